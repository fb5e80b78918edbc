#include "kernels/platform/sort.h"

#include <thrust/execution_policy.h>
#include <thrust/scan.h>
#include <thrust/sort.h>

#include <algorithm>
#include <vector>

#include "kernels/platform/cpu/parallel.h"
#include "kernels/platform/sort_scratch.h"

namespace derrd {

// Thrust's sequential radix sort: for the few hundred thousand pairs of an epoch it is faster than
// its parallel merge sort on two cores.

namespace {
/// Nothing here uses the scratch; a caller that forgets it must still be found without a GPU.
constexpr int64_t kScratchBytes = 1;
}  // namespace

int64_t sort_pairs_scratch_bytes(int64_t) { return kScratchBytes; }

void sort_pairs(SortBuffers out, SortBuffers in, int bits, Vector<uint8_t> scratch,
                const Stream& stream) {
  if (cpu::record([=, &stream] { sort_pairs(out, in, bits, scratch, stream); })) return;
  if (in.keys.size == 0) return;
  require_scratch("sort_pairs", scratch);
  const int64_t n = in.keys.size;
  std::copy_n(in.keys.data, n, out.keys.data);
  std::copy_n(in.values.data, n, out.values.data);
  if (bits <= 32) {
    // Half the passes of the 64-bit sort.
    auto* narrow = reinterpret_cast<uint32_t*>(in.keys.data);
    std::copy_n(out.keys.data, n, narrow);
    thrust::stable_sort_by_key(thrust::host, narrow, narrow + n, out.values.data);
    std::copy_n(narrow, n, out.keys.data);
    return;
  }
  thrust::stable_sort_by_key(thrust::host, out.keys.data, out.keys.data + n, out.values.data);
}

int64_t segmented_sort_scratch_bytes(int64_t, int64_t) { return kScratchBytes; }

namespace {

struct Pair {
  uint64_t key;
  uint32_t value;
};

}  // namespace

void segmented_sort_pairs(SortBuffers out, SortBuffers in, Vector<const int64_t> offsets,
                          Vector<uint8_t> scratch, const Stream&) {
  cpu::refuse_recording("a segmented sort waits");
  if (offsets.size < 2 || in.keys.size == 0) return;
  require_scratch("segmented_sort", scratch);
  const int64_t segments = offsets.size - 1;
  constexpr int64_t kOperationsPerPair = 10;
  cpu::parallel_for(segments, in.keys.size / segments * kOperationsPerPair, [&](int64_t s) {
    // The pairs of a segment are few (hundreds); their buffer is kept for the thread's next
    // segment.
    thread_local std::vector<Pair> pairs;
    const int64_t begin = offsets[s];
    const int64_t end = offsets[s + 1];
    pairs.resize(static_cast<size_t>(end - begin));
    for (int64_t i = begin; i < end; ++i) {
      pairs[static_cast<size_t>(i - begin)] = {in.keys[i], in.values[i]};
    }
    std::stable_sort(pairs.begin(), pairs.end(),
                     [](const Pair& a, const Pair& b) { return a.key < b.key; });
    for (int64_t i = begin; i < end; ++i) {
      out.keys[i] = pairs[static_cast<size_t>(i - begin)].key;
      out.values[i] = pairs[static_cast<size_t>(i - begin)].value;
    }
  });
}

int64_t exclusive_sum_scratch_bytes(int64_t) { return kScratchBytes; }

namespace {
template <class T>
void exclusive_sum_of(Vector<T> out, Vector<const T> in, Vector<uint8_t> scratch) {
  if (in.size == 0) return;
  require_scratch("exclusive_sum", scratch);
  thrust::exclusive_scan(thrust::host, in.data, in.data + in.size, out.data);
}
}  // namespace

void exclusive_sum(Vector<int32_t> out, Vector<const int32_t> in, Vector<uint8_t> scratch,
                   const Stream& stream) {
  if (cpu::record([=, &stream] { exclusive_sum(out, in, scratch, stream); })) return;
  exclusive_sum_of(out, in, scratch);
}
void exclusive_sum(Vector<int64_t> out, Vector<const int64_t> in, Vector<uint8_t> scratch,
                   const Stream& stream) {
  if (cpu::record([=, &stream] { exclusive_sum(out, in, scratch, stream); })) return;
  exclusive_sum_of(out, in, scratch);
}

}  // namespace derrd
