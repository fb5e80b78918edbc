#pragma once

#include "kernels/platform/device.h"

namespace derrd::test {

/// Stream that a test program puts its work on.
inline const Stream& stream() {
  static const Stream instance;
  return instance;
}

}  // namespace derrd::test
