#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/common/initialize.h"
#include "kernels/epoch/negatives.h"
#include "kernels/epoch/segments.h"
#include "kernels/platform/memory.h"
#include "tests/stream.h"

namespace derrd::cases {

using test::stream;

// Device arrays filled from a seed, on the device: a table of ten million rows would take a host
// generator minutes.

/// Uniform values of standard deviation `scale`.
inline DeviceArray<float> random_array(int64_t n, uint64_t seed, float scale = 1.0f) {
  DeviceArray<float> array(n);
  initialize_uniform(array.view(), scale * std::sqrt(3.0f), {.seed = seed}, 0, stream());
  return array;
}
/// Normal values, for scores, whose distribution decides how a kernel branches. Takes several times
/// as long as random_array.
inline DeviceArray<float> normal_array(int64_t n, uint64_t seed, float scale = 1.0f) {
  DeviceArray<float> array(n);
  initialize_normal(array.view(), scale, {.seed = seed}, 0, stream());
  return array;
}
template <class T>
DeviceArray<T> zero_array(int64_t n) {
  DeviceArray<T> array(n);
  array.zero(stream());
  return array;
}
template <class T>
DeviceArray<T> to_device(const std::vector<T>& host) {
  return {host, stream()};
}
/// Uniform indices below `bound`, drawn as negatives of a user without interactions.
inline DeviceArray<int32_t> index_array(int64_t n, int64_t bound, uint64_t seed) {
  DeviceArray<int32_t> array(n);
  const DeviceArray<int32_t> users = zero_array<int32_t>(n);
  const DeviceArray<int64_t> offsets = zero_array<int64_t>(2);
  sample_negatives(array.view(), users.view(), {offsets.view(), {}}, bound,
                   {seed, RandomPurpose::kNegative, 0}, stream());
  return array;
}
/// Cursor of an epoch that is one batch of `count`.
inline DeviceArray<BatchCursor> one_batch(int64_t count) {
  return to_device(std::vector<BatchCursor>{{0, 0, static_cast<int32_t>(count)}});
}

/// Work of one call of an operation, counted from its shapes.
struct Work {
  double bytes = 0;      ///< that it must read and write if nothing stays in a cache
  double flops = 0;      ///< floating-point operations
  double gemm_rate = 0;  ///< flops per second of a matrix product of its shape, where there is one
};

}  // namespace derrd::cases
