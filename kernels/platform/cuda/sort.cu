#include "kernels/platform/sort.h"

#include <thrust/execution_policy.h>
#include <thrust/sort.h>
#include <thrust/system/cuda/execution_policy.h>
#include <thrust/system_error.h>
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>

#include <cstddef>
#include <stdexcept>
#include <string>

#include "kernels/platform/cuda/check.h"
#include "kernels/platform/sort_scratch.h"

namespace derrd {

namespace {

constexpr int kKeyBits = 64;

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

/// Allocator that hands the caller's scratch memory to Thrust.
class ScratchAllocator {
 public:
  using value_type = char;

  explicit ScratchAllocator(Vector<uint8_t> scratch) : scratch_(scratch) {}
  char* allocate(std::ptrdiff_t bytes) {
    if (bytes > scratch_.size - used_) {
      throw std::invalid_argument("sort_segments: scratch of " + std::to_string(scratch_.size) +
                                  " bytes, at least " + std::to_string(used_ + bytes) +
                                  " are needed; sort_segments_scratch_bytes says how many");
    }
    used_ += bytes;
    return reinterpret_cast<char*>(scratch_.data) + (used_ - bytes);
  }
  void deallocate(char*, std::size_t) {}

 private:
  Vector<uint8_t> scratch_;
  int64_t used_ = 0;
};

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

int64_t sort_pairs_host_bytes(int64_t) { return 0; }

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

// Thrust sorts integers by CUB's radix sort and allocates once: a second array of keys and one of
// values, each rounded up to 128 bytes, and CUB's scratch. Its interface does not tell the size.
int64_t sort_segments_scratch_bytes(int64_t n) {
  cub::DoubleBuffer<uint64_t> keys;
  cub::DoubleBuffer<uint32_t> values;
  size_t bytes = 0;
  cuda::check(cub::DeviceRadixSort::SortPairs(nullptr, bytes, keys, values,
                                              static_cast<std::ptrdiff_t>(n), 0, kKeyBits),
              "sort_segments_scratch_bytes");
  const auto array = [n](int64_t element) { return (n * element + 127) / 128 * 128; };
  return array(sizeof(uint64_t)) + array(sizeof(uint32_t)) + static_cast<int64_t>(bytes);
}

void sort_segments(SortBuffers pairs, int, Vector<uint8_t> scratch, const Stream& stream) {
  if (pairs.keys.size == 0) return;
  require_scratch("sort_segments", scratch);
  ScratchAllocator allocator(scratch);
  try {
    thrust::stable_sort_by_key(thrust::cuda::par_nosync(allocator).on(handle(stream)),
                               pairs.keys.data, pairs.keys.data + pairs.keys.size,
                               pairs.values.data);
  } catch (const thrust::system_error& error) {
    cudaGetLastError();  // or the next launch would be blamed
    throw DeviceError(std::string("sort_segments: ") + error.what());
  }
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
