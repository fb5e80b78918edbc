#include "kernels/evaluate/ranking.h"

#include <algorithm>

#include "bench/kernels/epoch/ranking_lists.h"
#include "bench/kernels/large.h"
#include "bench/kernels/support.h"

namespace derrd::bench::ranking_bench {
namespace {

constexpr int64_t kObserved = 22;  ///< items a user
constexpr int64_t kRelevant = 1;   ///< items a user

/// The scores of range(0) users for range(1) items and their lists of range(2).
struct Tile : cases::SortArrays<DeviceArray> {
  explicit Tile(const benchmark::State& state)
      : Tile(state.range(0), state.range(1), state.range(2)) {
    scores_array = normal_array(users * items, 1);
  }
  /// Without scores.
  Tile(int64_t tile_users, int64_t item_count, int64_t list_length)
      : SortArrays(tile_users * list_length),
        users(tile_users),
        items(item_count),
        r(list_length),
        scores_array(users * items),
        status(users),
        offsets(to_device(even_offsets(users, kRelevant))),
        relevant(index_array(users * kRelevant, items, 2)),
        rank(users * kRelevant),
        listed(index_array(users * r, items, 3)),
        list_scores(users * r) {}
  static int64_t bytes(const Arguments& shape) { return shape[0] * (4 * shape[1] + 64 * shape[2]); }

  Matrix<float> scores() const { return scores_array.matrix(users, items); }
  void select() const { select_top(unsorted(), scores(), status.view(), r, stream()); }
  void write() const {
    write_top(listed.matrix(users, r), list_scores.matrix(users, r), values.view(), scores(),
              stream());
  }
  double score_bytes() const { return 4.0 * static_cast<double>(users * items); }
  double pairs() const { return static_cast<double>(users * r); }

  int64_t users, items, r;
  DeviceArray<float> scores_array;
  DeviceArray<int32_t> status;
  DeviceArray<int64_t> offsets;
  DeviceArray<int32_t> relevant, rank, listed;
  DeviceArray<float> list_scores;
};

void finite(benchmark::State& state) {
  const Tile& tile = kept_data<Tile, 3>(state);
  measure(state, {.bytes = tile.score_bytes()},
          [&] { finite_rows(tile.status.view(), tile.scores(), stream()); });
}

void mask(benchmark::State& state) {
  const Tile& tile = kept_data<Tile, 3>(state);
  // On scores of its own: the others are to stay as they are.
  const DeviceArray<float> scores = zero_array<float>(tile.users * tile.items);
  const DeviceArray<int32_t> observed =
      to_device(popular_rows(tile.users, kObserved, tile.items, 4));
  const DeviceArray<int64_t> offsets = to_device(even_offsets(tile.users, kObserved));
  measure(state, {.bytes = static_cast<double>(observed.size()) * (4 + sectors(4))}, [&] {
    mask_items(scores.matrix(tile.users, tile.items), {offsets.view(), observed.view()}, 0,
               stream());
  });
}

// Scores once: what the later passes over a row need, a cache may hold.
void select(benchmark::State& state) {
  const Tile& tile = kept_data<Tile, 3>(state);
  measure(state, {.bytes = tile.score_bytes() + 12 * tile.pairs()}, [&] { tile.select(); });
}

void write(benchmark::State& state) {
  const Tile& tile = kept_data<Tile, 3>(state);
  tile.select();
  measure(state, {.bytes = tile.pairs() * (12 + sectors(4))}, [&] { tile.write(); });
}

void ranks(benchmark::State& state) {
  const Tile& tile = kept_data<Tile, 3>(state);
  measure(state, {.bytes = tile.score_bytes()}, [&] {
    full_ranks(tile.rank.view(), tile.scores(), {tile.offsets.view(), tile.relevant.view()}, 0,
               stream());
  });
}

/// The lists of a teacher: range(0) users, range(1) items, range(2) R, range(3) D, range(4) users
/// at once.
struct Teacher {
  explicit Teacher(const benchmark::State& state)
      : users(state.range(0)),
        dims(state.range(3)),
        tile(state.range(4), state.range(1), state.range(2)),
        user_embedding(random_array(users * dims, 1)),
        item_embedding(random_array(tile.items * dims, 2)),
        observed(to_device(popular_rows(users, kObserved, tile.items, 3))),
        observed_offsets(to_device(even_offsets(users, kObserved))) {}
  static int64_t bytes(const Arguments& shape) {
    return Tile::bytes({shape[4], shape[1], shape[2]}) + 4 * shape[3] * (shape[0] + shape[1]) +
           100 * shape[0];
  }

  Matrix<const float> users_from(int64_t first) const {
    return user_embedding.matrix(users, dims).slice(first, tile.users);
  }
  Matrix<const float> all_items() const { return item_embedding.matrix(tile.items, dims); }
  /// Makes the lists of the users before `end`.
  void make_lists(int64_t end) const {
    for (int64_t next = 0; next < end; next += tile.users) {
      const int64_t first = std::min(next, users - tile.users);  // the last tile is a whole one too
      gemm(tile.scores(), users_from(first), transpose(all_items()), {}, stream());
      finite_rows(tile.status.view(), tile.scores(), stream());
      mask_items(tile.scores(), {observed_offsets.view(), observed.view()}, first, stream());
      tile.select();
      tile.sort_segments(top_value_bits(tile.items));
      tile.write();
    }
  }
  double flops() const {
    const int64_t tiles = (users + tile.users - 1) / tile.users;
    return 2.0 * static_cast<double>(tiles * tile.users * tile.items * dims);
  }

  int64_t users, dims;
  Tile tile;
  DeviceArray<float> user_embedding, item_embedding;
  DeviceArray<int32_t> observed;
  DeviceArray<int64_t> observed_offsets;
};

// All users' scores together are 40 GB at 1e5 x 1e5. So the lists are made tile after tile, and the
// library's product beside them is that of a tile, [users at once, D] x [D, items]: what the
// scoring alone would take. A first tile warms up; all of them take seconds.
void teacher_lists(benchmark::State& state) {
  const Teacher& t = kept_data<Teacher, 5>(state);
  const double rate = gemm_rate(t.tile.scores(), t.users_from(0), transpose(t.all_items()));
  t.make_lists(t.tile.users);
  measure_warm(state, {.flops = t.flops(), .gemm_rate = rate}, 1, [&] { t.make_lists(t.users); });
}

void tiles(benchmark::internal::Benchmark* benchmark) {
  wall_clock(benchmark);
  benchmark->ArgNames({"users", "I", "R"})->Args({256, 25'181, 500});
}
BENCHMARK(finite)->Name("finite_rows")->Apply(tiles);
BENCHMARK(mask)->Name("mask_items")->Apply(tiles);
BENCHMARK(select)->Name("select_top")->Apply(tiles);
BENCHMARK(write)->Name("write_top")->Apply(tiles);
BENCHMARK(ranks)->Name("full_ranks")->Apply(tiles);

[[maybe_unused]] const bool large =
    add_large({"users", "I", "R"}, {{4'096, 100'000, 500}, {256, 1'000'000, 500}},
              [](const Arguments& shape) { return Tile::bytes(shape) + 4 * shape[0] * shape[1]; },
              {{"finite_rows", finite},
               {"mask_items", mask},
               {"select_top", select},
               {"write_top", write},
               {"full_ranks", ranks}});
// The program's tiles (engine/evaluation/top_lists.cpp) are of 64 users at this number of items.
[[maybe_unused]] const bool large_lists =
    add_large({"U", "I", "R", "D", "users"},
              {{100'000, 100'000, 500, 64, 64},
               {100'000, 100'000, 500, 64, 2'048},
               {100'000, 100'000, 500, 128, 2'048}},
              Teacher::bytes, {{"teacher_lists", teacher_lists}});

}  // namespace
}  // namespace derrd::bench::ranking_bench
