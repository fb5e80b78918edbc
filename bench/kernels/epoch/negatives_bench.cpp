#include "kernels/epoch/negatives.h"

#include <benchmark/benchmark.h>

#include "bench/kernels/epoch/ranking_lists.h"
#include "bench/kernels/large.h"
#include "bench/kernels/support.h"

namespace derrd::bench::negatives_bench {
namespace {

/// Rows of `length` ascending items for every user.
struct Rows {
  Rows(int64_t users, int64_t length, int64_t items_below)
      : items(to_device(ascending_rows(popular_rows(users, length, items_below, 1), length))),
        offsets(to_device(even_offsets(users, length))) {}
  SparseRows view() const { return {offsets.view(), items.view()}; }
  DeviceArray<int32_t> items;
  DeviceArray<int64_t> offsets;
};

// A draw's user may be any: its row's bounds and, for the search, the row.
void negatives(benchmark::State& state) {
  const int64_t users = state.range(0), items = state.range(1), n = state.range(2);
  constexpr int64_t kDegree = 22;
  const Rows observed(users, kDegree, items);
  const DeviceArray<int32_t> sample_users = index_array(n, users, 2);
  const DeviceArray<int32_t> drawn(n);
  const double draw = 8 + sectors(2 * sizeof(int64_t)) + sectors(kDegree * sizeof(int32_t));
  measure(state, {.bytes = draw * static_cast<double>(n)}, [&] {
    sample_negatives(drawn.view(), sample_users.view(), observed.view(), items,
                     {0, RandomPurpose::kNegative, 0}, stream());
  });
}
BENCHMARK(negatives)
    ->Name("sample_negatives")
    ->Apply(wall_clock)
    ->ArgNames({"U", "I", "n"})
    ->Args({5'219, 25'181, 115'142});

void uninteresting(benchmark::State& state) {
  const int64_t users = state.range(0), items = state.range(1);
  constexpr int64_t kDrawn = 40, kExcluded = 522;
  const Rows excluded(users, kExcluded, items);
  const DeviceArray<int32_t> samples(users * 2 * kDrawn);
  measure(state, {.bytes = 4.0 * static_cast<double>(users * (kExcluded + kDrawn))}, [&] {
    sample_uninteresting(samples.matrix(users, 2 * kDrawn), kDrawn, excluded.view(), items,
                         {0, RandomPurpose::kUninteresting, 0}, stream());
  });
}
BENCHMARK(uninteresting)
    ->Name("sample_uninteresting")
    ->Apply(wall_clock)
    ->ArgNames({"U", "I"})
    ->Args({5'219, 25'181});

[[maybe_unused]] const bool large =
    add_large({"U", "I", "n"}, {{1'000'000, 1'000'000, 20'000'000}},
              [](const Arguments& shape) { return 96 * shape[0] + 16 * shape[2]; },
              {{"sample_negatives", negatives}});
[[maybe_unused]] const bool large_uninteresting = add_large(
    {"U", "I"}, {{100'000, 1'000'000}}, [](const Arguments& shape) { return 2'500 * shape[0]; },
    {{"sample_uninteresting", uninteresting}});

}  // namespace
}  // namespace derrd::bench::negatives_bench
