#include "bench/kernels/support.h"
#include "kernels/ranking.h"

namespace derrd::bench {
namespace {

struct Shape {
  int64_t users, items, r;
  explicit Shape(const benchmark::State& state)
      : users(state.range(0)), items(state.range(1)), r(state.range(2)) {}
  double score_bytes() const { return static_cast<double>(users * items) * 4; }
  double pairs() const { return static_cast<double>(users * r); }
};

void finite_rows_benchmark(benchmark::State& state) {
  const Shape shape(state);
  const DeviceArray<float> scores = normal_array(shape.users * shape.items, 1);
  const DeviceArray<int32_t> finite(shape.users);
  measure(state, {shape.score_bytes(), 0},
          [&] { finite_rows(finite.view(), scores.matrix(shape.users, shape.items), stream()); });
}

void select_top_benchmark(benchmark::State& state) {
  const Shape shape(state);
  const DeviceArray<float> scores = normal_array(shape.users * shape.items, 1);
  const DeviceArray<uint64_t> keys(shape.users * shape.r);
  const DeviceArray<uint32_t> values(shape.users * shape.r);
  const DeviceArray<int32_t> status(shape.users);
  measure(state, {shape.score_bytes() + shape.pairs() * 12, 0}, [&] {
    select_top({keys.view(), values.view()}, scores.matrix(shape.users, shape.items), status.view(),
               shape.r, stream());
  });
}

void write_top_benchmark(benchmark::State& state) {
  const Shape shape(state);
  const DeviceArray<float> scores = normal_array(shape.users * shape.items, 1);
  const std::vector<int32_t> random =
      index_array(shape.users * shape.r, shape.items, 2).to_host(stream());
  const DeviceArray<uint32_t> values =
      to_device(std::vector<uint32_t>(random.begin(), random.end()));
  const DeviceArray<uint64_t> keys(shape.users * shape.r);
  const DeviceArray<int32_t> items(shape.users * shape.r);
  const DeviceArray<float> list_scores(shape.users * shape.r);
  measure(state, {shape.pairs() * 16, 0}, [&] {
    write_top(items.matrix(shape.users, shape.r), list_scores.matrix(shape.users, shape.r),
              {keys.view(), values.view()}, scores.matrix(shape.users, shape.items), stream());
  });
}

void full_ranks_benchmark(benchmark::State& state) {
  const Shape shape(state);
  const DeviceArray<float> scores = normal_array(shape.users * shape.items, 1);
  const DeviceArray<int32_t> target = index_array(shape.users, shape.items, 2);
  const DeviceArray<int32_t> rank(shape.users);
  measure(state, {shape.score_bytes(), 0}, [&] {
    full_ranks(rank.view(), scores.matrix(shape.users, shape.items), target.view(), 0, stream());
  });
}

// A tile of users: CiteULike's items, and a million.
constexpr int64_t kTile = 256, kLargeTile = 64;
void tiles(benchmark::internal::Benchmark* benchmark) {
  benchmark->Args({kTile, 25181, 500})->Args({kLargeTile, 1'000'000, 500})->Apply(wall_clock);
}
BENCHMARK(finite_rows_benchmark)->Name("finite_rows")->Apply(tiles);
BENCHMARK(select_top_benchmark)->Name("select_top")->Apply(tiles);
BENCHMARK(write_top_benchmark)->Name("write_top")->Apply(tiles);
BENCHMARK(full_ranks_benchmark)->Name("full_ranks")->Apply(tiles);

}  // namespace
}  // namespace derrd::bench
