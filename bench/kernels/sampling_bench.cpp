#include "kernels/sampling.h"

#include <benchmark/benchmark.h>

#include "bench/kernels/ranking_lists.h"
#include "bench/kernels/support.h"
#include "kernels/platform/sort.h"

namespace derrd::bench {
namespace {

constexpr int64_t kListLength = 500;
constexpr int64_t kInteresting = 40;
constexpr int64_t kSlots = 80;
constexpr RandomKey kKey = {0, RandomPurpose::kInteresting, 0};

struct Lists {
  explicit Lists(const benchmark::State& state)
      : users(state.range(0)),
        items(state.range(1)),
        n(users * kListLength),
        lists(to_device(popular_rows(users, kListLength, items, 1))),
        offsets(to_device(even_offsets(users, kListLength))),
        keys(n),
        sorted_keys(n),
        values(n),
        sorted_values(n),
        scratch(segmented_sort_scratch_bytes(n, users)),
        samples(to_device(popular_rows(users, kSlots, items, 2))),
        lowest(users) {}

  Matrix<const int32_t> view() const { return lists.matrix(users, kListLength); }
  void make_keys() const {
    interesting_keys({keys.view(), values.view()}, view(), 10.0f, kKey, stream());
  }
  void sort() const {
    segmented_sort_pairs({sorted_keys.view(), sorted_values.view()}, {keys.view(), values.view()},
                         offsets.view(), scratch.view(), stream());
  }
  void take() const {
    interesting_items(samples.matrix(users, kSlots), lowest.view(), view(), sorted_values.view(),
                      kInteresting, stream());
  }

  int64_t users, items, n;
  DeviceArray<int32_t> lists;
  DeviceArray<int64_t> offsets;
  DeviceArray<uint64_t> keys, sorted_keys;
  DeviceArray<uint32_t> values, sorted_values;
  DeviceArray<uint8_t> scratch;
  DeviceArray<int32_t> samples, lowest;
};

void shapes(benchmark::internal::Benchmark* benchmark) {
  wall_clock(benchmark);
  benchmark->ArgNames({"U", "I"});
  benchmark->Args({5'219, 25'181});
  benchmark->Args({100'000, 1'000'000});
}

void keys(benchmark::State& state) {
  const Lists lists(state);
  measure(state, {16.0 * static_cast<double>(lists.n), 0}, [&] { lists.make_keys(); });
}
BENCHMARK(keys)->Name("interesting_keys")->Apply(shapes);

void sorted_epoch(benchmark::State& state) {
  const Lists lists(state);
  measure(state, {}, [&] {
    lists.make_keys();
    lists.sort();
    lists.take();
  });
}
BENCHMARK(sorted_epoch)->Name("interesting_keys_sort_items")->Apply(shapes);

void take(benchmark::State& state) {
  const Lists lists(state);
  lists.make_keys();
  lists.sort();
  measure(state, {12.0 * static_cast<double>(lists.users * kInteresting), 0},
          [&] { lists.take(); });
}
BENCHMARK(take)->Name("interesting_items")->Apply(shapes);

// Collaborative Distillation's: positions, then items and targets at them.
void take_with_scores(benchmark::State& state) {
  const Lists lists(state);
  lists.make_keys();
  lists.sort();
  constexpr int64_t kItems = 50;
  const DeviceArray<float> scores = normal_array(lists.n, 3);
  const DeviceArray<int32_t> positions(lists.users * kItems), items(positions.size());
  const DeviceArray<float> taken(positions.size());
  // Sorted positions read, positions written and read twice, both results gathered.
  measure(state, {32.0 * static_cast<double>(positions.size()), 0}, [&] {
    interesting_positions(positions.matrix(lists.users, kItems), lists.view(),
                          lists.sorted_values.view(), stream());
    take_at(items.matrix(lists.users, kItems), lists.view(), positions.matrix(lists.users, kItems),
            -1, stream());
    take_at(taken.matrix(lists.users, kItems), scores.matrix(lists.users, kListLength),
            positions.matrix(lists.users, kItems), 0.0f, stream());
  });
}
BENCHMARK(take_with_scores)->Name("interesting_positions_take_at")->Apply(shapes);

void order(benchmark::State& state) {
  const Lists lists(state);
  const int64_t n = lists.samples.size();
  const DeviceArray<float> scores = normal_array(n, 3, 1.0f);
  const DeviceArray<uint64_t> slot_keys(n);
  const DeviceArray<uint32_t> slot_values(n);
  measure(state, {20.0 * static_cast<double>(n), 0}, [&] {
    slot_order_keys({slot_keys.view(), slot_values.view()},
                    lists.samples.matrix(lists.users, kSlots), scores.matrix(lists.users, kSlots),
                    stream());
  });
}
BENCHMARK(order)->Name("slot_order_keys")->Apply(shapes);

void inverse(benchmark::State& state) {
  const Lists lists(state);
  const int64_t n = lists.samples.size();
  const DeviceArray<uint64_t> unsorted_keys(n), ascending_keys(n);
  const DeviceArray<uint32_t> unsorted(n), ascending(n);
  const DeviceArray<uint8_t> scratch(sort_pairs_scratch_bytes(n));
  const DeviceArray<int32_t> offsets(lists.items + 1);
  measure(state, {}, [&] {
    ranking_occurrence_keys({unsorted_keys.view(), unsorted.view()},
                            lists.samples.matrix(lists.users, kSlots), stream());
    sort_pairs({ascending_keys.view(), ascending.view()}, {unsorted_keys.view(), unsorted.view()},
               32, scratch.view(), stream());
    row_offsets(offsets.view(), ascending_keys.view(), stream());
  });
}
BENCHMARK(inverse)->Name("ranking_occurrences")->Apply(shapes);

}  // namespace
}  // namespace derrd::bench
