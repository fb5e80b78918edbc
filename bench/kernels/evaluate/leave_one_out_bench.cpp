#include "kernels/evaluate/leave_one_out.h"

#include <numeric>
#include <vector>

#include "bench/kernels/large.h"
#include "bench/kernels/support.h"

namespace derrd::bench::leave_one_out_bench {
namespace {

constexpr int64_t kCandidates = 499;
constexpr int64_t kSlots = kCandidates + 2;

/// Offsets of rows of one item each.
DeviceArray<int64_t> one_each(int64_t rows) {
  std::vector<int64_t> offsets(static_cast<size_t>(rows) + 1);
  std::iota(offsets.begin(), offsets.end(), int64_t{0});
  return DeviceArray<int64_t>(offsets, stream());
}

/// range(0) users.
struct HeldOut {
  HeldOut(int64_t user_count, int64_t items)
      : users(user_count),
        offsets(one_each(users)),
        valid_item(index_array(users, items, 3)),
        test_item(index_array(users, items, 4)),
        candidates(index_array(users * kCandidates, items, 5)),
        valid_rank(users),
        test_rank(users) {}

  HeldOutItems view() const {
    return {{offsets.view(), valid_item.view()},
            {offsets.view(), test_item.view()},
            candidates.matrix(users, kCandidates)};
  }
  LeaveOneOutRanks ranks() const { return {valid_rank.view(), test_rank.view()}; }
  double slots() const { return static_cast<double>(users * kSlots); }

  int64_t users;
  DeviceArray<int64_t> offsets;
  DeviceArray<int32_t> valid_item, test_item, candidates, valid_rank, test_rank;
};

/// range(0) users, range(1) items, range(2) D.
void ranks(benchmark::State& state) {
  const int64_t users = state.range(0), items = state.range(1), dims = state.range(2);
  const DeviceArray<float> user_embedding = random_array(users * dims, 1);
  const DeviceArray<float> item_embedding = random_array(items * dims, 2);
  const HeldOut h(users, items);
  const double row_bytes = 4.0 * static_cast<double>(dims);
  const double once = static_cast<double>(users) * (row_bytes + 24);
  measure(state, {h.slots() * (row_bytes + 4) + once, h.slots() * row_bytes / 2}, [&] {
    leave_one_out_ranks(h.ranks(), user_embedding.matrix(users, dims),
                        item_embedding.matrix(items, dims), h.view(), stream());
  });
}

/// Items and ranks for models that score otherwise: range(0) users, range(1) items.
struct ScoredItems : HeldOut {
  explicit ScoredItems(const benchmark::State& state)
      : HeldOut(state.range(0), state.range(1)),
        item(users * kSlots),
        score(random_array(users * kSlots, 6)) {
    list_items();
  }
  void list_items() const { leave_one_out_items(item.matrix(users, kSlots), view(), 0, stream()); }

  DeviceArray<int32_t> item;
  DeviceArray<float> score;
};

void list_items(benchmark::State& state) {
  const ScoredItems& s = kept_data<ScoredItems, 2>(state);
  measure(state, {.bytes = 8 * s.slots()}, [&] { s.list_items(); });
}

void ranks_of_given_scores(benchmark::State& state) {
  const ScoredItems& s = kept_data<ScoredItems, 2>(state);
  measure(state, {.bytes = 8 * s.slots() + 8.0 * static_cast<double>(s.users)}, [&] {
    ranks_of_scores(s.ranks(), s.score.matrix(s.users, kSlots), s.item.matrix(s.users, kSlots),
                    stream());
  });
}

BENCHMARK(ranks)
    ->Name("leave_one_out_ranks")
    ->ArgNames({"U", "I", "D"})
    ->Args({5219, 25181, 20})
    ->Args({5219, 25181, 200})
    ->Apply(wall_clock);

[[maybe_unused]] const bool large =
    add_large({"U", "I", "D"}, {{1'000'000, 1'000'000, 64}, {100'000, 10'000'000, 128}},
              [](const Arguments& shape) {
                return 4 * (shape[0] * (shape[2] + 2 * kSlots) + shape[1] * shape[2]);
              },
              {{"leave_one_out_ranks", ranks}});
[[maybe_unused]] const bool large_scored =
    add_large({"U", "I"}, {{1'000'000, 1'000'000}},
              [](const Arguments& shape) { return 16 * shape[0] * kSlots; },
              {{"leave_one_out_items", list_items}, {"ranks_of_scores", ranks_of_given_scores}});

}  // namespace
}  // namespace derrd::bench::leave_one_out_bench
