#include "kernels/epoch/slot_index.h"

#include "bench/kernels/epoch/ranking_lists.h"
#include "bench/kernels/large.h"
#include "bench/kernels/support.h"

namespace derrd::bench::slot_index_bench {
namespace {

constexpr int64_t kSlots = 80;

/// range(0) users with kSlots slots each that hold popular ones of range(1) items.
struct Slots {
  explicit Slots(const benchmark::State& state)
      : users(state.range(0)),
        items(state.range(1)),
        samples(to_device(popular_rows(users, kSlots, items, 2))) {}
  Matrix<const int32_t> view() const { return samples.matrix(users, kSlots); }

  int64_t users, items;
  DeviceArray<int32_t> samples;
};

void order(benchmark::State& state) {
  const Slots& slots = kept_data<Slots, 2>(state);
  const int64_t n = slots.samples.size();
  const DeviceArray<float> scores = normal_array(n, 3);
  const DeviceArray<uint64_t> keys(n);
  measure(state, {.bytes = 16.0 * static_cast<double>(n)}, [&] {
    slot_order_keys(keys.view(), slots.view(), scores.matrix(slots.users, kSlots), stream());
  });
}

void inverse(benchmark::State& state) {
  const Slots& slots = kept_data<Slots, 2>(state);
  const int64_t n = slots.samples.size();
  const cases::SortArrays<DeviceArray> pairs(n);
  const DeviceArray<int32_t> offsets(slots.items + 1);
  measure(state, {}, [&] {
    ranking_occurrence_keys(pairs.unsorted(), slots.view(), stream());
    pairs.sort(32);
    row_offsets(offsets.view(), pairs.sorted_keys.view(), stream());
  });
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  wall_clock(benchmark);
  benchmark->ArgNames({"U", "I"});
  benchmark->Args({5'219, 25'181});
}
BENCHMARK(order)->Name("slot_order_keys")->Apply(shapes);
BENCHMARK(inverse)->Name("ranking_occurrences")->Apply(shapes);

[[maybe_unused]] const bool large =
    add_large({"U", "I"}, {{100'000, 1'000'000}},
              [](const Arguments& shape) { return shape[0] * 64 * kSlots + 4 * shape[1]; },
              {{"slot_order_keys", order}, {"ranking_occurrences", inverse}});

}  // namespace
}  // namespace derrd::bench::slot_index_bench
