#include "kernels/pair_scores.h"

#include "bench/kernels/support.h"

namespace derrd::bench {
namespace {

/// NeuMF with one hidden layer, frozen: range(0) users to score at once, range(1) items, range(2)
/// the dimension, which is the hidden layer's width as well.
struct Frozen {
  explicit Frozen(const benchmark::State& state)
      : users(state.range(0)),
        items(state.range(1)),
        dims(state.range(2)),
        user_product(normal_array(users * dims, 1)),
        user_part(normal_array(users * dims, 2)),
        item_product(normal_array(items * dims, 3)),
        item_part(normal_array(items * dims, 4)),
        weight(normal_array(dims, 5)),
        user_weight(normal_array(users, 6)),
        packed(packed_items_size(items, 2 * dims)) {
    pack();
  }
  void pack() const {
    pack_items(packed.view(), item_product.matrix(items, dims), item_part.matrix(items, dims),
               stream());
  }
  PairScorer view() const {
    return {user_product.matrix(users, dims),
            user_part.matrix(users, dims),
            item_product.matrix(items, dims),
            item_part.matrix(items, dims),
            weight.view(),
            weight.view().slice(0, 1)};
  }
  double row_bytes() const { return 8.0 * static_cast<double>(dims); }

  int64_t users, items, dims;
  DeviceArray<float> user_product, user_part, item_product, item_part, weight, user_weight, packed;
};

// Flops: a multiply-add of the product, a maximum and a multiply-add of the hidden layer.
void tile(benchmark::State& state) {
  const Frozen f(state);
  const DeviceArray<float> score(f.users * f.items);
  const double pairs = static_cast<double>(f.users * f.items);
  const double rows = static_cast<double>(f.users + f.items);
  measure(state, {rows * f.row_bytes() + 4 * pairs, 5 * pairs * static_cast<double>(f.dims)}, [&] {
    pair_tile_scores(score.matrix(f.users, f.items), f.view(), f.user_weight.view(),
                     f.packed.view(), stream());
  });
}
BENCHMARK(tile)
    ->Name("pair_tile_scores")
    ->ArgNames({"users", "I", "D"})
    ->Args({320, 25'181, 25})
    ->Args({320, 25'181, 250})
    ->Apply(wall_clock);

void pack(benchmark::State& state) {
  const Frozen f(state);
  measure(state, {2 * static_cast<double>(f.items) * f.row_bytes(), 0}, [&] { f.pack(); });
}
BENCHMARK(pack)
    ->Name("pack_items")
    ->ArgNames({"users", "I", "D"})
    ->Args({1, 25'181, 25})
    ->Args({1, 25'181, 250})
    ->Apply(wall_clock);

void list(benchmark::State& state) {
  const Frozen f(state);
  const int64_t slots = state.range(3);
  const DeviceArray<int32_t> item = index_array(f.users * slots, f.items, 7);
  const DeviceArray<float> score(f.users * slots);
  const double pairs = static_cast<double>(f.users * slots);
  measure(state,
          {pairs * (f.row_bytes() + 8) + static_cast<double>(f.users) * f.row_bytes(),
           6 * pairs * static_cast<double>(f.dims)},
          [&] {
            pair_list_scores(score.matrix(f.users, slots), f.view(), item.matrix(f.users, slots),
                             stream());
          });
}
BENCHMARK(list)
    ->Name("pair_list_scores")
    ->ArgNames({"users", "I", "D", "S"})
    ->Args({5'219, 25'181, 25, 501})
    ->Args({5'219, 25'181, 250, 501})
    ->Apply(wall_clock);

}  // namespace
}  // namespace derrd::bench
