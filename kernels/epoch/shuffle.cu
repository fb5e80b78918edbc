// The order of an epoch: sort the elements by 64 random bits each. Two of n elements share a key
// with probability below n^2 2^-65 (3e-8 for a million); the stable sort then leaves them in order.
// A thread an element; 12 bytes written for an element, 12 moved by a gather: memory bandwidth is
// the limit.

#include "kernels/epoch/shuffle.h"

#include <stdexcept>
#include <string>

#include "kernels/common/random.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

__global__ void shuffle_keys_kernel(SortBuffers out, RandomKey key) {
  for (const int64_t element : units_of(SingleThread{}, out.keys.size)) {
    const Philox4 bits = random_bits(key, static_cast<uint64_t>(element));
    out.keys[element] = static_cast<uint64_t>(bits.x) << 32 | bits.y;
    out.values[element] = static_cast<uint32_t>(element);
  }
}

__global__ void gather_values_kernel(Vector<int32_t> out, Vector<const int32_t> in,
                                     Vector<const uint32_t> order, int64_t repeats) {
  for (const int64_t i : units_of(SingleThread{}, out.size)) out[i] = in[order[i] / repeats];
}

}  // namespace

void shuffle_keys(SortBuffers out, RandomKey key, const Stream& stream) {
  require_size("shuffle_keys", "values", out.values, out.keys.size);
  if (out.keys.size > int64_t{1} << 32) {
    throw std::invalid_argument("shuffle_keys: " + std::to_string(out.keys.size) +
                                " elements are too many for 32-bit numbers");
  }
  if (out.keys.size == 0) return;
  constexpr int64_t kOperations = 40;  // ten rounds of Philox
  launch("shuffle_keys", threads_for(out.keys.size, kOperations), stream, shuffle_keys_kernel, out,
         key);
}

void gather_values(Vector<int32_t> out, Vector<const int32_t> in, Vector<const uint32_t> order,
                   int64_t repeats, const Stream& stream) {
  require_size("gather_values", "order", order, out.size);
  if (repeats <= 0) {
    throw std::invalid_argument("gather_values: " + std::to_string(repeats) + " repeats");
  }
  if (out.size == 0) return;
  launch("gather_values", threads_for(out.size), stream, gather_values_kernel, out, in, order,
         repeats);
}

}  // namespace derrd
