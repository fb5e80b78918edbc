#include "kernels/epoch/interesting.h"

#include "bench/kernels/epoch/ranking_lists.h"
#include "bench/kernels/large.h"
#include "bench/kernels/support.h"

namespace derrd::bench::interesting_bench {
namespace {

constexpr int64_t kListLength = 500;
constexpr int64_t kInteresting = 40;
constexpr int64_t kSlots =
    80;  // columns of the samples, of which the interesting ones are the first
constexpr RandomKey kKey = {0, RandomPurpose::kInteresting, 0};

/// range(0) users with lists of kListLength of range(1) items.
struct Lists : cases::SortArrays<DeviceArray> {
  explicit Lists(const benchmark::State& state)
      : SortArrays(state.range(0) * kListLength),
        users(state.range(0)),
        n(users * kListLength),
        lists(index_array(n, state.range(1), 1)),
        samples(users * kSlots),
        lowest(users) {
    make_keys(unsorted());
    sort_segments();
  }
  static int64_t bytes(const Arguments& shape) { return shape[0] * (48 * kListLength + 1'000); }

  Matrix<const int32_t> view() const { return lists.matrix(users, kListLength); }
  void make_keys(SortBuffers out) const { interesting_keys(out, view(), 10.0f, kKey, stream()); }
  void take() const {
    interesting_items(samples.matrix(users, kSlots), lowest.view(), view(), values.view(),
                      kInteresting, stream());
  }

  int64_t users, n;
  DeviceArray<int32_t> lists;
  DeviceArray<int32_t> samples, lowest;
};

void keys(benchmark::State& state) {
  const Lists& lists = kept_data<Lists, 2>(state);  // stay sorted for the others
  measure(state, {.bytes = 16.0 * static_cast<double>(lists.n)},
          [&] { lists.make_keys(lists.sorted()); });
}

void sorted_epoch(benchmark::State& state) {
  const Lists& lists = kept_data<Lists, 2>(state);
  measure(state, {}, [&] {
    lists.make_keys(lists.unsorted());
    lists.sort_segments();
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
    interesting_positions(positions.matrix(lists.users, kItems), lists.view(), lists.values.view(),
                          stream());
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

[[maybe_unused]] const bool large =
    add_large({"U", "I"}, {{100'000, 1'000'000}}, Lists::bytes,
              {{"interesting_keys", keys},
               {"interesting_keys_sort_items", sorted_epoch},
               {"interesting_items", take},
               {"interesting_positions_gather_at", take_with_scores},
               {"top_items", top}});

}  // namespace
}  // namespace derrd::bench::interesting_bench
