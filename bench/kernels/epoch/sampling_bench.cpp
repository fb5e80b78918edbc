#include "kernels/epoch/interesting.h"
#include "kernels/epoch/slot_index.h"
#include "kernels/epoch/uninteresting.h"

#include <benchmark/benchmark.h>

#include "bench/kernels/epoch/ranking_lists.h"
#include "bench/kernels/large.h"
#include "bench/kernels/support.h"
#include "kernels/platform/sort.h"

namespace derrd::bench::sampling_bench {
namespace {

constexpr int64_t kListLength = 500;
constexpr int64_t kInteresting = 40;
constexpr int64_t kSlots = 80;
constexpr int64_t kObserved = 22;
constexpr RandomKey kKey = {0, RandomPurpose::kInteresting, 0};

/// range(0) users with lists of kListLength of range(1) items.
struct Lists {
  explicit Lists(const benchmark::State& state)
      : users(state.range(0)),
        items(state.range(1)),
        n(users * kListLength),
        lists(index_array(n, items, 1)),
        offsets(to_device(even_offsets(users, kListLength))),
        keys(n),
        sorted_keys(n),
        values(n),
        sorted_values(n),
        scratch(segmented_sort_scratch_bytes(n, users)),
        samples(to_device(popular_rows(users, kSlots, items, 2))),
        lowest(users) {
    make_keys();
    sort();
  }
  static int64_t bytes(const Arguments& shape) {
    return shape[0] * (44 * kListLength + 64 * kSlots);
  }

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

void keys(benchmark::State& state) {
  const Lists& lists = kept_data<Lists, 2>(state);
  measure(state, {.bytes = 16.0 * static_cast<double>(lists.n)}, [&] { lists.make_keys(); });
}

void sorted_epoch(benchmark::State& state) {
  const Lists& lists = kept_data<Lists, 2>(state);
  measure(state, {}, [&] {
    lists.make_keys();
    lists.sort();
    lists.take();
  });
}

void take(benchmark::State& state) {
  const Lists& lists = kept_data<Lists, 2>(state);
  measure(state, {.bytes = 12.0 * static_cast<double>(lists.users * kInteresting)},
          [&] { lists.take(); });
}

// Collaborative Distillation's: positions, then items and targets at them.
void take_with_scores(benchmark::State& state) {
  const Lists& lists = kept_data<Lists, 2>(state);
  constexpr int64_t kItems = 50;
  const DeviceArray<float> scores = random_array(lists.n, 3);
  const DeviceArray<int32_t> positions(lists.users * kItems), items(positions.size());
  const DeviceArray<float> taken(positions.size());
  // Sorted positions read, positions written and read twice, both results gathered.
  measure(state, {.bytes = 32.0 * static_cast<double>(positions.size())}, [&] {
    interesting_positions(positions.matrix(lists.users, kItems), lists.view(),
                          lists.sorted_values.view(), stream());
    gather_at(items.matrix(lists.users, kItems), lists.view(),
              positions.matrix(lists.users, kItems), -1, stream());
    gather_at(taken.matrix(lists.users, kItems), scores.matrix(lists.users, kListLength),
              positions.matrix(lists.users, kItems), 0.0f, stream());
  });
}

void top(benchmark::State& state) {
  const Lists& lists = kept_data<Lists, 2>(state);
  measure(state, {.bytes = static_cast<double>(lists.users * (8 * kInteresting + 4))}, [&] {
    top_items(lists.samples.matrix(lists.users, kSlots), lists.lowest.view(), lists.view(),
              kInteresting, stream());
  });
}

void lengths(benchmark::State& state) {
  const Lists& lists = kept_data<Lists, 2>(state);
  measure(state, {.bytes = static_cast<double>(lists.users * (4 * kListLength + 4))},
          [&] { list_lengths(lists.lowest.view(), lists.view(), stream()); });
}

// What the uninteresting items are not drawn from, up to the sort.
void exclusion(benchmark::State& state) {
  const Lists& lists = kept_data<Lists, 2>(state);
  const int64_t n = lists.users * (kListLength + kObserved);
  const DeviceArray<int32_t> observed = index_array(lists.users * kObserved, lists.items, 3);
  const DeviceArray<int64_t> observed_offsets = to_device(even_offsets(lists.users, kObserved));
  const SparseRows rows = {observed_offsets.view(), observed.view()};
  const DeviceArray<int32_t> list_lengths =
      to_device(std::vector<int32_t>(static_cast<size_t>(lists.users), kListLength));
  const DeviceArray<int64_t> offsets(lists.users + 1);
  const DeviceArray<uint8_t> scratch(exclusive_sum_scratch_bytes(offsets.size()));
  const DeviceArray<uint64_t> unsorted_keys(n);
  const DeviceArray<uint32_t> unsorted_values(n);
  // An item read, a key and a value written; a handful of numbers a user.
  measure(state, {.bytes = 16.0 * static_cast<double>(n)}, [&] {
    exclusion_sizes(offsets.view(), rows, list_lengths.view(), stream());
    exclusive_sum(offsets.view(), Vector<const int64_t>(offsets.view()), scratch.view(), stream());
    exclusion_keys({unsorted_keys.view(), unsorted_values.view()}, offsets.view(), rows,
                   lists.view(), list_lengths.view(), stream());
  });
}

void order(benchmark::State& state) {
  const Lists& lists = kept_data<Lists, 2>(state);
  const int64_t n = lists.samples.size();
  const DeviceArray<float> scores = normal_array(n, 3);
  const DeviceArray<uint64_t> slot_keys(n);
  const DeviceArray<uint32_t> slot_values(n);
  measure(state, {.bytes = 20.0 * static_cast<double>(n)}, [&] {
    slot_order_keys({slot_keys.view(), slot_values.view()},
                    lists.samples.matrix(lists.users, kSlots), scores.matrix(lists.users, kSlots),
                    stream());
  });
}

void inverse(benchmark::State& state) {
  const Lists& lists = kept_data<Lists, 2>(state);
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

void shapes(benchmark::internal::Benchmark* benchmark) {
  wall_clock(benchmark);
  benchmark->ArgNames({"U", "I"});
  benchmark->Args({5'219, 25'181});
}
BENCHMARK(keys)->Name("interesting_keys")->Apply(shapes);
BENCHMARK(sorted_epoch)->Name("interesting_keys_sort_items")->Apply(shapes);
BENCHMARK(take)->Name("interesting_items")->Apply(shapes);
BENCHMARK(take_with_scores)->Name("interesting_positions_gather_at")->Apply(shapes);
BENCHMARK(top)->Name("top_items")->Apply(shapes);
BENCHMARK(lengths)->Name("list_lengths")->Apply(shapes);
BENCHMARK(exclusion)->Name("exclusion_keys")->Apply(shapes);
BENCHMARK(order)->Name("slot_order_keys")->Apply(shapes);
BENCHMARK(inverse)->Name("ranking_occurrences")->Apply(shapes);

[[maybe_unused]] const bool large =
    add_large({"U", "I"}, {{100'000, 1'000'000}},
              [](const Arguments& shape) { return Lists::bytes(shape) + 8'400 * shape[0]; },
              {{"interesting_keys", keys},
               {"interesting_keys_sort_items", sorted_epoch},
               {"interesting_items", take},
               {"interesting_positions_gather_at", take_with_scores},
               {"top_items", top},
               {"list_lengths", lengths},
               {"exclusion_keys", exclusion},
               {"slot_order_keys", order},
               {"ranking_occurrences", inverse}});

}  // namespace
}  // namespace derrd::bench::sampling_bench
