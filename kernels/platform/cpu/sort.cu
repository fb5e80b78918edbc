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

// Thrust's radix sort goes to and fro between the arrays and copies of its own.
int64_t sort_pairs_host_bytes(int64_t n) {
  return n * static_cast<int64_t>(sizeof(uint64_t) + sizeof(uint32_t));
}

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

int64_t sort_segments_scratch_bytes(int64_t) { return kScratchBytes; }

namespace {
struct Pair {
  uint64_t key;
  uint32_t value;
};
}  // namespace

void sort_segments(SortBuffers pairs, int value_bits, Vector<uint8_t> scratch,
                   const Stream& stream) {
  if (cpu::record([=, &stream] { sort_segments(pairs, value_bits, scratch, stream); })) return;
  const int64_t n = pairs.keys.size;
  if (n == 0) return;
  require_scratch("sort_segments", scratch);
  // Parts of whole segments, few pairs each, that are merged in a processor's nearest cache. A
  // long segment is sorted faster by the digits of its keys.
  constexpr int64_t kPartPairs = 512;
  constexpr int64_t kMostMerged = 1024;
  constexpr int64_t kOperationsPerPair = 10;
  uint64_t* const keys = pairs.keys.data;
  uint32_t* const values = pairs.values.data;
  std::vector<int64_t> begin = {0};
  while (begin.back() < n) {
    const int64_t next = std::min(n, begin.back() + kPartPairs);
    const uint64_t segment = keys[next - 1] >> value_bits;
    const auto within = [=](uint64_t key) { return key >> value_bits <= segment; };
    begin.push_back(std::partition_point(keys + next, keys + n, within) - keys);
  }
  const auto parts = static_cast<int64_t>(begin.size()) - 1;
  cpu::parallel_for(parts, n / parts * kOperationsPerPair, [&](int64_t part) {
    const int64_t first = begin[static_cast<size_t>(part)];
    const int64_t last = begin[static_cast<size_t>(part) + 1];
    if (std::is_sorted(keys + first, keys + last)) return;
    if (last - first > kMostMerged) {
      thrust::stable_sort_by_key(thrust::seq, keys + first, keys + last, values + first);
      return;
    }
    thread_local std::vector<Pair> sorted;  // kept for the thread's next part
    sorted.clear();
    for (int64_t i = first; i < last; ++i) sorted.push_back({keys[i], values[i]});
    thrust::stable_sort(thrust::seq, sorted.data(), sorted.data() + sorted.size(),
                        [](const Pair& a, const Pair& b) { return a.key < b.key; });
    for (int64_t i = first; i < last; ++i) {
      keys[i] = sorted[static_cast<size_t>(i - first)].key;
      values[i] = sorted[static_cast<size_t>(i - first)].value;
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
