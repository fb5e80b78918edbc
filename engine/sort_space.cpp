#include "engine/sort_space.h"

#include <vector>

namespace derrd {

DeviceArray<int64_t> even_offsets(int64_t segments, int64_t length, const Stream& stream) {
  std::vector<int64_t> offsets(static_cast<size_t>(segments + 1));
  for (int64_t s = 0; s <= segments; ++s) offsets[static_cast<size_t>(s)] = s * length;
  return {offsets, stream};
}

}  // namespace derrd
