#include "kernels/models/neumf_frozen_scores.h"

#include "bench/kernels/large.h"
#include "bench/kernels/support.h"

namespace derrd::bench::neumf_frozen_scores_bench {
namespace {

/// NeuMF with one hidden layer, frozen: range(0) users to score at once, range(1) items, range(2)
/// the dimension, which is the hidden layer's width as well.
struct Frozen {
  explicit Frozen(const benchmark::State& state)
      : users(state.range(0)),
        items(state.range(1)),
        dims(state.range(2)),
        user_product(random_array(users * dims, 1)),
        user_part(random_array(users * dims, 2)),
        item_product(random_array(items * dims, 3)),
        item_part(random_array(items * dims, 4)),
        weight(random_array(dims, 5)),
        user_weight(random_array(users, 6)),
        packed(packed_items_size(items, 2 * dims)) {
    pack();
  }
  static int64_t bytes(const Arguments& shape) {
    return 4 * shape[2] * (2 * shape[0] + 4 * shape[1]);
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

// Flops: a multiply-add of the product, a maximum and a multiply-add of the hidden layer: five in
// three instructions. The library's product is that of the vectors with the hidden units behind
// them, four in two, so that 83 % of its rate is all there is where instructions are the limit.
void tile(benchmark::State& state) {
  const Frozen& f = kept_data<Frozen, 3>(state);
  const DeviceArray<float> score(f.users * f.items);
  const DeviceArray<float> joined = random_array(f.users * 2 * f.dims, 8);
  const double pairs = static_cast<double>(f.users * f.items);
  const double rows = static_cast<double>(f.users + f.items);
  const Work work = {
      .bytes = rows * f.row_bytes() + 4 * pairs,
      .flops = 5 * pairs * static_cast<double>(f.dims),
      .gemm_rate = gemm_rate(score.matrix(f.users, f.items), joined.matrix(f.users, 2 * f.dims),
                             transpose(f.packed.matrix(f.items, 2 * f.dims)))};
  measure(state, work, [&] {
    neumf_tile_scores(score.matrix(f.users, f.items), f.view(), f.user_weight.view(),
                      f.packed.view(), stream());
  });
}

void pack(benchmark::State& state) {
  const Frozen& f = kept_data<Frozen, 3>(state);
  measure(state, {.bytes = 2 * static_cast<double>(f.items) * f.row_bytes()}, [&] { f.pack(); });
}

/// range(3) items a user.
void list(benchmark::State& state) {
  const Frozen& f = kept_data<Frozen, 3>(state);
  const int64_t slots = state.range(3);
  const DeviceArray<int32_t> item = index_array(f.users * slots, f.items, 7);
  const DeviceArray<float> score(f.users * slots);
  const double pairs = static_cast<double>(f.users * slots);
  measure(state,
          {.bytes = pairs * (f.row_bytes() + 8) + static_cast<double>(f.users) * f.row_bytes(),
           .flops = 6 * pairs * static_cast<double>(f.dims)},
          [&] {
            neumf_list_scores(score.matrix(f.users, slots), f.view(), item.matrix(f.users, slots),
                              stream());
          });
}

void tiles(benchmark::internal::Benchmark* benchmark) {
  wall_clock(benchmark);
  benchmark->ArgNames({"users", "I", "D"});
  for (const int64_t dims : {25, 250}) benchmark->Args({320, 25'181, dims});
}
BENCHMARK(tile)->Name("neumf_tile_scores")->Apply(tiles);
BENCHMARK(pack)->Name("pack_items")->Apply(tiles);
BENCHMARK(list)
    ->Name("neumf_list_scores")
    ->ArgNames({"users", "I", "D", "S"})
    ->Args({5'219, 25'181, 25, 501})
    ->Args({5'219, 25'181, 250, 501})
    ->Apply(wall_clock);

[[maybe_unused]] const bool large =
    add_large({"users", "I", "D"}, {{512, 1'000'000, 64}, {512, 1'000'000, 128}},
              [](const Arguments& shape) { return Frozen::bytes(shape) + 4 * shape[0] * shape[1]; },
              {{"neumf_tile_scores", tile}, {"pack_items", pack}});
[[maybe_unused]] const bool large_list = add_large(
    {"users", "I", "D", "S"}, {{100'000, 1'000'000, 64, 501}, {20'000, 1'000'000, 128, 501}},
    [](const Arguments& shape) { return Frozen::bytes(shape) + 12 * shape[0] * shape[3]; },
    {{"neumf_list_scores", list}});

}  // namespace
}  // namespace derrd::bench::neumf_frozen_scores_bench
