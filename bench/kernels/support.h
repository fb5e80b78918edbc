#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "kernels/platform/memory.h"

namespace derrd::bench {

/// The stream of all benchmarks.
inline const Stream& stream() {
  static const Stream instance;
  return instance;
}

/// Device arrays filled from a seed.
inline DeviceArray<float> normal_array(int64_t n, uint64_t seed, float scale = 1.0f) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> host(static_cast<size_t>(n));
  for (float& value : host) value = normal(generator);
  return {host, stream()};
}
inline DeviceArray<int32_t> index_array(int64_t n, int64_t bound, uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::uniform_int_distribution<int32_t> uniform(0, static_cast<int32_t>(bound - 1));
  std::vector<int32_t> host(static_cast<size_t>(n));
  for (int32_t& value : host) value = uniform(generator);
  return {host, stream()};
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

inline double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Copies `from` to `to` with every host thread that kernels are spread over (one on a GPU).
inline void copy_with_all_threads(const DeviceArray<float>& to, const DeviceArray<float>& from) {
  const int threads = device_info().threads;
  const auto copy_part = [&](int64_t part) {
    const int64_t begin = from.size() * part / threads;
    const int64_t end = from.size() * (part + 1) / threads;
    copy_on_device(to.data() + begin, from.data() + begin,
                   (end - begin) * static_cast<int64_t>(sizeof(float)), stream());
  };
  std::vector<std::jthread> others;
  for (int64_t part = 1; part < threads; ++part) others.emplace_back(copy_part, part);
  copy_part(0);
}

/// Bytes read and written per second by a large copy: the roof of every memory-bound kernel.
/// Measured once, the best of several.
inline double copy_bandwidth() {
  static const double bandwidth = [] {
    constexpr int64_t kElements = int64_t{1} << 26;
    constexpr int kRepetitions = 5;
    const DeviceArray<float> from = zero_array<float>(kElements);
    const DeviceArray<float> to = zero_array<float>(kElements);
    double best = 0;
    for (int i = 0; i < kRepetitions; ++i) {
      stream().synchronize();
      const double begin = seconds_now();
      copy_with_all_threads(to, from);
      stream().synchronize();
      best = std::max(best, static_cast<double>(2 * from.bytes()) / (seconds_now() - begin));
    }
    return best;
  }();
  return bandwidth;
}

/// What one call of an operation does, counted from its shapes.
struct Work {
  double bytes = 0;  ///< that it must read and write if nothing stays in a cache
  double flops = 0;
};

/// Times `call()`, which queues one operation on stream(). Reports GB/s, the percentage of the
/// device's copy bandwidth (over 100: the data fits in a cache) and GFLOP/s. Calls are queued in
/// groups of about a millisecond with one synchronisation each, so that launch latency is hidden
/// as in a training step.
template <class Call>
void measure(benchmark::State& state, Work work, Call&& call) {
  constexpr double kGroupSeconds = 1e-3;
  constexpr double kMaxGroup = 64;
  call();
  stream().synchronize();
  const double warm = seconds_now();
  call();
  stream().synchronize();
  const double once = std::max(seconds_now() - warm, 1e-9);
  const auto group = static_cast<int64_t>(std::clamp(kGroupSeconds / once, 1.0, kMaxGroup));

  const double begin = seconds_now();
  while (state.KeepRunningBatch(group)) {
    for (int64_t i = 0; i < group; ++i) call();
    stream().synchronize();
  }
  const double seconds = (seconds_now() - begin) / static_cast<double>(state.iterations());
  if (work.bytes > 0) {
    state.counters["GB/s"] = work.bytes / seconds * 1e-9;
    state.counters["%copy"] = 100.0 * work.bytes / seconds / copy_bandwidth();
  }
  if (work.flops > 0) state.counters["GFLOP/s"] = work.flops / seconds * 1e-9;
}

/// `BENCHMARK(name)->Apply(wall_clock)`: kernels run on other threads or on another device, so only
/// elapsed time counts.
inline void wall_clock(benchmark::internal::Benchmark* benchmark) {
  benchmark->UseRealTime()->Unit(benchmark::kMicrosecond);
}

}  // namespace derrd::bench
