// The order of an epoch: sort the elements by 64 random bits each. Two of n elements share a key
// with probability below n^2 2^-65 (3e-8 for a million); the stable sort then leaves them in order.
//
//   key(e) = the first of 64 random bits of element e   sorted; few elements share their keys
//   ties: insertion sort by all 64 bits                  drawn again: they belong to the element
//
// A thread an element; 12 bytes written for an element, 12 moved by a gather: memory bandwidth is
// the limit. The sort takes three passes instead of eight for CiteULike's 115,142 samples.

#include "kernels/epoch/shuffle.h"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <string>

#include "kernels/common/random.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/call_units.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

constexpr int64_t kPhiloxOperations = 40;  // ten rounds

/// Bits of n elements' keys: seven more than number them, within the first word.
int key_bits(int64_t n) {
  return std::min(32, static_cast<int>(std::bit_width(static_cast<uint64_t>(n))) + 7);
}

/// The random bits of an element.
__device__ __forceinline__ uint64_t bits_of(RandomKey key, int64_t element) {
  const Philox4 words = random_bits(key, static_cast<uint64_t>(element));
  return static_cast<uint64_t>(words.x) << 32 | words.y;
}

__global__ void shuffle_keys_kernel(SortBuffers out, RandomKey key, int bits) {
  for (const int64_t element : units_of(SingleThread{}, out.keys.size)) {
    out.keys[element] = bits_of(key, element) >> (64 - bits);
    out.values[element] = static_cast<uint32_t>(element);
  }
}

/// The thread at the first of several equal keys orders their elements.
__global__ void order_ties_kernel(SortBuffers sorted, RandomKey key) {
  const Vector<const uint64_t> keys = sorted.keys;
  const Vector<uint32_t> order = sorted.values;
  for (const int64_t first : units_of(SingleThread{}, keys.size)) {
    if (first > 0 && keys[first] == keys[first - 1]) continue;
    for (int64_t i = first + 1; i < keys.size && keys[i] == keys[first]; ++i) {
      const uint32_t element = order[i];
      const uint64_t bits = bits_of(key, element);
      int64_t j = i;
      for (; j > first && bits_of(key, order[j - 1]) > bits; --j) order[j] = order[j - 1];
      order[j] = element;
    }
  }
}

__global__ void gather_values_kernel(const __grid_constant__ CallList<Gathering> calls) {
  const auto units = [](const Gathering& call) { return call.out.size; };
  for_each_unit(SingleThread{}, calls, units, [](const Gathering& call, int64_t i) {
    call.out[i] = call.in[call.order[i] / call.repeats];
  });
}

}  // namespace

void shuffle_keys(SortBuffers out, RandomKey key, const Stream& stream) {
  require_size("shuffle_keys", "values", out.values, out.keys.size);
  if (out.keys.size > int64_t{1} << 32) {
    throw std::invalid_argument("shuffle_keys: " + std::to_string(out.keys.size) +
                                " elements are too many for 32-bit numbers");
  }
  if (out.keys.size == 0) return;
  launch("shuffle_keys", threads_for(out.keys.size, kPhiloxOperations), stream, shuffle_keys_kernel,
         out, key, key_bits(out.keys.size));
}

void order_ties(SortBuffers sorted, RandomKey key, const Stream& stream) {
  require_size("order_ties", "values", sorted.values, sorted.keys.size);
  if (sorted.keys.size == 0) return;
  launch("order_ties", threads_for(sorted.keys.size), stream, order_ties_kernel, sorted, key);
}

void shuffle(SortBuffers sorted, SortBuffers unsorted, RandomKey key, Vector<uint8_t> scratch,
             const Stream& stream) {
  shuffle_keys(unsorted, key, stream);
  sort_pairs(sorted, unsorted, key_bits(unsorted.keys.size), scratch, stream);
  order_ties(sorted, key, stream);
}

void gather_values(const CallList<Gathering>& calls, const Stream& stream) {
  for (const Gathering& call : calls) {
    require_size("gather_values", "order", call.order, call.out.size);
    if (call.repeats <= 0) {
      throw std::invalid_argument("gather_values: " + std::to_string(call.repeats) + " repeats");
    }
  }
  const int64_t values = total_units(calls, [](const Gathering& call) { return call.out.size; });
  if (values == 0) return;
  launch("gather_values", threads_for(values), stream, gather_values_kernel, calls);
}

}  // namespace derrd
