#include "kernels/negatives.h"

#include <benchmark/benchmark.h>

#include "bench/kernels/ranking_lists.h"
#include "bench/kernels/support.h"

namespace derrd::bench {
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

void negatives(benchmark::State& state) {
  const int64_t users = state.range(0);
  const int64_t items = state.range(1);
  const int64_t n = state.range(2);
  const Rows observed(users, 22, items);
  const DeviceArray<int32_t> sample_users = index_array(n, users, 2);
  const DeviceArray<int32_t> drawn(n);
  measure(state, {8.0 * static_cast<double>(n), 0}, [&] {
    sample_negatives(drawn.view(), sample_users.view(), observed.view(), items,
                     {0, RandomPurpose::kNegative, 0}, stream());
  });
}
BENCHMARK(negatives)
    ->Name("sample_negatives")
    ->Apply(wall_clock)
    ->ArgNames({"U", "I", "n"})
    ->Args({5'219, 25'181, 115'142})
    ->Args({1'000'000, 1'000'000, 20'000'000});

void uninteresting(benchmark::State& state) {
  const int64_t users = state.range(0);
  const int64_t items = state.range(1);
  const int64_t drawn = 40;
  const Rows excluded(users, 522, items);
  const DeviceArray<int32_t> samples(users * 2 * drawn);
  measure(state, {4.0 * static_cast<double>(users * (522 + drawn)), 0}, [&] {
    sample_uninteresting(samples.matrix(users, 2 * drawn), drawn, excluded.view(), items,
                         {0, RandomPurpose::kUninteresting, 0}, stream());
  });
}
BENCHMARK(uninteresting)
    ->Name("sample_uninteresting")
    ->Apply(wall_clock)
    ->ArgNames({"U", "I"})
    ->Args({5'219, 25'181})
    ->Args({100'000, 1'000'000});

}  // namespace
}  // namespace derrd::bench
