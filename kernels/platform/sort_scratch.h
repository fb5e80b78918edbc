#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "kernels/platform/views.h"

namespace derrd {

/// CUB takes a call without scratch for a question about its size, answers, and does nothing.
/// @throws std::invalid_argument if there is none.
inline void require_scratch(const char* operation, Vector<uint8_t> scratch) {
  if (scratch.data == nullptr) {
    throw std::invalid_argument(std::string(operation) + ": no scratch; " + operation +
                                "_scratch_bytes says how much it needs");
  }
}

}  // namespace derrd
