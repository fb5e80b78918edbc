// Feeds arbitrary bytes to the safetensors reader, and what it accepts to everything that reads
// such a file.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "data/dataset.h"
#include "data/error.h"
#include "data/formats/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  try {
    const derrd::SafetensorsFile file =
        derrd::SafetensorsFile::parse({bytes, bytes + size}, "input");
    for (const auto& [name, view] : file.tensors()) {
      try {
        file.floats(name);
      } catch (const derrd::Error&) {
      }
    }
    const derrd::Dataset dataset = derrd::load_dataset(file);
    derrd::statistics(dataset);
    for (int64_t u = 0; u < dataset.num_users(); ++u) {
      if (dataset.user_ids.find(dataset.user_ids.text(u)) != u) __builtin_trap();
    }
  } catch (const derrd::Error&) {
  }
  return 0;
}
