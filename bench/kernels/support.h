#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/platform/gemm.h"
#include "kernels/platform/memory.h"
#include "tests/cases/support.h"

namespace derrd::bench {

using cases::index_array;
using cases::normal_array;
using cases::one_batch;
using cases::random_array;
using cases::to_device;
using cases::Work;
using cases::zero_array;
using test::stream;

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

/// Seconds of one of `calls` calls of `call()`, which queues work, with one synchronisation.
template <class Call>
double seconds_of_call(int64_t calls, Call&& call) {
  stream().synchronize();
  const double begin = seconds_now();
  for (int64_t i = 0; i < calls; ++i) call();
  stream().synchronize();
  return std::max(seconds_now() - begin, 1e-9) / static_cast<double>(calls);
}

/// Warms up and says how many calls to queue with one synchronisation: about a millisecond's, so
/// that launch latency is hidden as in a training step.
template <class Call>
int64_t group_of(Call&& call) {
  constexpr double kGroupSeconds = 1e-3;
  constexpr double kMaxGroup = 64;
  constexpr double kSlow = 0.1;  // more than what a first call loads and faults in
  double once = 0;
  for (int warm = 0; warm < 2 && once < kSlow; ++warm) once = seconds_of_call(1, call);
  return static_cast<int64_t>(std::clamp(kGroupSeconds / once, 1.0, kMaxGroup));
}

/// The least of several groups.
template <class Call>
double least_seconds(Call&& call) {
  constexpr int kGroups = 5;
  constexpr double kEnough = 1.0;
  const int64_t calls = group_of(call);
  const double start = seconds_now();
  double least = seconds_of_call(calls, call);
  for (int group = 1; group < kGroups && seconds_now() - start < kEnough; ++group) {
    least = std::min(least, seconds_of_call(calls, call));
  }
  return least;
}

/// Bytes read and written per second by a large copy: the roof of every memory-bound kernel.
inline double copy_bandwidth() {
  static const double bandwidth = [] {
    constexpr int64_t kElements = int64_t{1} << 26;
    const DeviceArray<float> from = zero_array<float>(kElements);
    const DeviceArray<float> to = zero_array<float>(kElements);
    return static_cast<double>(2 * from.bytes()) /
           least_seconds([&] { copy_with_all_threads(to, from); });
  }();
  return bandwidth;
}

/// Flops per second of the BLAS library's own product c [m, n] = a b: the roof of what computes
/// about as much on the same shape. Overwrites c; measured once per shape.
inline double gemm_rate(Matrix<float> c, Operand a, Operand b) {
  static std::map<std::array<int64_t, 5>, double> rates;
  const int64_t k = a.cols();
  const auto [rate, missing] = rates.try_emplace({c.rows, c.cols, k, a.transposed, b.transposed});
  if (missing) {
    rate->second = 2.0 * static_cast<double>(c.size()) * static_cast<double>(k) /
                   least_seconds([&] { gemm(c, a, b, {}, stream()); });
  }
  return rate->second;
}

/// Bytes that move for `bytes` adjacent ones anywhere in memory: whole sectors of a GPU. (A CPU
/// moves two of them at least.)
inline double sectors(double bytes) {
  constexpr double kSectorBytes = 32;
  return std::ceil(bytes / kSectorBytes) * kSectorBytes;
}

/// Times `call()`, which queues one operation on stream() and is warm, `group` calls to a
/// synchronisation. Reports GB/s, the percentage of the device's copy bandwidth (over 100: the data
/// fits in a cache), GFLOP/s and the percentage of the BLAS library's.
template <class Call>
void measure_warm(benchmark::State& state, Work work, int64_t group, Call&& call) {
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
  if (work.gemm_rate > 0) state.counters["%gemm"] = 100.0 * work.flops / seconds / work.gemm_rate;
}

template <class Call>
void measure(benchmark::State& state, Work work, Call&& call) {
  measure_warm(state, work, group_of(call), call);
}

/// `BENCHMARK(name)->Apply(wall_clock)`: kernels run on other threads or on another device, so only
/// elapsed time counts.
inline void wall_clock(benchmark::internal::Benchmark* benchmark) {
  benchmark->UseRealTime()->Unit(benchmark::kMicrosecond);
}

/// Owns what kept_data keeps.
inline std::shared_ptr<const void>& kept_slot() {
  static std::shared_ptr<const void> slot;
  return slot;
}

/// Data(state), which the benchmark's first kArguments arguments determine, kept until other data
/// is asked for: Google Benchmark calls a benchmark anew for every number of iterations, and large
/// data takes longer to make than to read.
template <class Data, int kArguments>
const Data& kept_data(const benchmark::State& state) {
  static std::weak_ptr<const Data> kept;
  static std::array<int64_t, kArguments> kept_arguments;
  std::array<int64_t, kArguments> arguments;
  for (size_t i = 0; i < kArguments; ++i) arguments[i] = state.range(i);
  if (kept.expired() || arguments != kept_arguments) {
    kept_slot().reset();  // before there is more: two of them may not fit
    const auto data = std::make_shared<const Data>(state);
    kept_slot() = data;
    kept = data;
    kept_arguments = arguments;
  }
  return *kept.lock();
}

}  // namespace derrd::bench
