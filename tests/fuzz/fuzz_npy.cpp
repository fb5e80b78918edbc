// Feeds arbitrary bytes to the reader of NumPy's files.

#include <cstddef>
#include <cstdint>
#include <span>

#include "data/error.h"
#include "data/formats/npy.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const derrd::NpyArray array = derrd::parse_npy(std::as_bytes(std::span(data, size)), "input");
    int64_t elements = 1;
    for (const int64_t extent : array.shape) elements *= extent;
    if (elements != static_cast<int64_t>(array.values.size())) __builtin_trap();
  } catch (const derrd::Error&) {
  }
  return 0;
}
