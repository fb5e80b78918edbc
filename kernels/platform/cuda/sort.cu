#include "kernels/platform/sort.h"

#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>
#include <cub/device/device_segmented_sort.cuh>

#include <climits>
#include <string>

#include "kernels/platform/cuda/check.h"
#include "kernels/platform/sort_scratch.h"

namespace derrd {

namespace {

cudaStream_t handle(const Stream& stream) { return static_cast<cudaStream_t>(stream.native()); }

template <class T>
void exclusive_sum_of(Vector<T> out, Vector<const T> in, Vector<uint8_t> scratch,
                      const Stream& stream) {
  if (in.size == 0) return;
  require_scratch("exclusive_sum", scratch);
  size_t bytes = static_cast<size_t>(scratch.size);
  cuda::check(cub::DeviceScan::ExclusiveSum(scratch.data, bytes, in.data, out.data, in.size,
                                            handle(stream)),
              "exclusive_sum");
}

}  // namespace

int64_t sort_pairs_scratch_bytes(int64_t n) {
  size_t bytes = 0;
  cuda::check(cub::DeviceRadixSort::SortPairs(nullptr, bytes, static_cast<const uint64_t*>(nullptr),
                                              static_cast<uint64_t*>(nullptr),
                                              static_cast<const uint32_t*>(nullptr),
                                              static_cast<uint32_t*>(nullptr), n),
              "sort_pairs_scratch_bytes");
  return static_cast<int64_t>(bytes);
}

void sort_pairs(SortBuffers out, SortBuffers in, int bits, Vector<uint8_t> scratch,
                const Stream& stream) {
  if (in.keys.size == 0) return;
  require_scratch("sort_pairs", scratch);
  size_t bytes = static_cast<size_t>(scratch.size);
  cuda::check(cub::DeviceRadixSort::SortPairs(
                  scratch.data, bytes, static_cast<const uint64_t*>(in.keys.data), out.keys.data,
                  static_cast<const uint32_t*>(in.values.data), out.values.data, in.keys.size, 0,
                  bits, handle(stream)),
              "sort_pairs");
}

int64_t segmented_sort_scratch_bytes(int64_t n, int64_t segments) {
  if (CUB_MAJOR_VERSION < 3 &&
      (n > INT_MAX || segments > INT_MAX)) {  // it would drop the high bits
    throw DeviceError("a segmented sort of " + std::to_string(n) + " pairs in " +
                      std::to_string(segments) +
                      " segments: CUB before 3.0 counts them in int; "
                      "build with CUDA 13, or take shorter lists");
  }
  size_t bytes = 0;
  cuda::check(
      cub::DeviceSegmentedSort::StableSortPairs(
          nullptr, bytes, static_cast<const uint64_t*>(nullptr), static_cast<uint64_t*>(nullptr),
          static_cast<const uint32_t*>(nullptr), static_cast<uint32_t*>(nullptr), n, segments,
          static_cast<const int64_t*>(nullptr), static_cast<const int64_t*>(nullptr)),
      "segmented_sort_scratch_bytes");
  return static_cast<int64_t>(bytes);
}

void segmented_sort_pairs(SortBuffers out, SortBuffers in, Vector<const int64_t> offsets,
                          Vector<uint8_t> scratch, const Stream& stream) {
  if (offsets.size < 2 || in.keys.size == 0) return;
  require_scratch("segmented_sort", scratch);
  size_t bytes = static_cast<size_t>(scratch.size);
  cuda::check(cub::DeviceSegmentedSort::StableSortPairs(
                  scratch.data, bytes, static_cast<const uint64_t*>(in.keys.data), out.keys.data,
                  static_cast<const uint32_t*>(in.values.data), out.values.data, in.keys.size,
                  offsets.size - 1, offsets.data, offsets.data + 1, handle(stream)),
              "segmented_sort_pairs");
}

int64_t exclusive_sum_scratch_bytes(int64_t n) {
  size_t bytes = 0;
  cuda::check(cub::DeviceScan::ExclusiveSum(nullptr, bytes, static_cast<const int64_t*>(nullptr),
                                            static_cast<int64_t*>(nullptr), n),
              "exclusive_sum_scratch_bytes");
  return static_cast<int64_t>(bytes);
}

void exclusive_sum(Vector<int32_t> out, Vector<const int32_t> in, Vector<uint8_t> scratch,
                   const Stream& stream) {
  exclusive_sum_of(out, in, scratch, stream);
}
void exclusive_sum(Vector<int64_t> out, Vector<const int64_t> in, Vector<uint8_t> scratch,
                   const Stream& stream) {
  exclusive_sum_of(out, in, scratch, stream);
}

}  // namespace derrd
