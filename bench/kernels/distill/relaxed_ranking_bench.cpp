#include "kernels/distill/relaxed_ranking.h"

#include <algorithm>

#include "bench/kernels/distill/slot_batch.h"
#include "bench/kernels/large.h"
#include "tests/cases/slot_scores.h"

namespace derrd::bench::relaxed_ranking_bench {
namespace {

/// One batch of RRD with range(4) columns.
struct Batch : cases::SlotScoresCase {
  explicit Batch(const benchmark::State& state)
      : SlotScoresCase(state.range(1), state.range(4), ranking_slots(state), 0.1f),
        grad_user(zero_array<float>(anchor_embedding.size())),
        grad_item(zero_array<float>(other_embedding.size())),
        loss(capacity),
        score(capacity * slots),
        grad_score(capacity * slots) {
    std::vector<bool> is_held(static_cast<size_t>(others));
    for (const int32_t user : batch_rows.rows) {
      const auto row = samples.begin() + user * slots;
      for (auto s = row; s != row + slots; ++s) is_held[static_cast<size_t>(*s)] = true;
    }
    held_items = std::count(is_held.begin(), is_held.end(), true);
    forward();
    ranking();
  }
  static int64_t bytes(const Arguments& shape) {
    const int64_t users = shape[0], items = shape[1], batch = shape[2], slots = 2 * shape[3];
    return 8 * shape[4] * (users + items) + 16 * users * slots + 8 * batch * slots;
  }

  void forward() const { slot_scores_forward(score.matrix(capacity, slots), call(), stream()); }
  void ranking() const {
    relaxed_ranking(loss.view(), grad_score.matrix(capacity, slots),
                    {.score = score.matrix(capacity, slots),
                     .batch = batch(),
                     .interesting = slots / 2,
                     .scale = 1e-3f},
                    stream());
  }
  void backward() const {
    slot_scores_backward(grad_user.matrix(anchors, cols), grad_item.matrix(others, cols),
                         grad_score.matrix(capacity, slots), call(), stream());
  }

  DeviceArray<float> grad_user, grad_item, loss, score, grad_score;
  int64_t held_items = 0;  ///< distinct items in the slots of the batch's users
};

void forward(benchmark::State& state) {
  const Batch& batch = kept_data<Batch, 5>(state);
  measure(state, batch.forward_work(), [&] { batch.forward(); });
}

void ranking(benchmark::State& state) {
  const Batch& batch = kept_data<Batch, 5>(state);
  measure(state, {.bytes = 12 * batch.batch_slots()}, [&] { batch.ranking(); });
}

void backward(benchmark::State& state) {
  const Batch& batch = kept_data<Batch, 5>(state);
  measure(state, batch.backward_work(batch.held_items), [&] { batch.backward(); });
}

/// Scores of given items: range(0) users, range(1) items, range(2) items a user, range(3) D.
void given_items(benchmark::State& state) {
  const int64_t users = state.range(0), items = state.range(1), slots = state.range(2);
  const int64_t cols = state.range(3);
  const DeviceArray<float> user_embedding = random_array(users * cols, 1);
  const DeviceArray<float> item_embedding = random_array(items * cols, 2);
  const DeviceArray<int32_t> item = index_array(users * slots, items, 3);
  const DeviceArray<float> score(users * slots);
  const double scores = static_cast<double>(users * slots);
  const double row_bytes = 4.0 * static_cast<double>(cols);
  const Work work = {.bytes = scores * (row_bytes + 8) + static_cast<double>(users) * row_bytes,
                     .flops = scores * row_bytes / 2};
  measure(state, work, [&] {
    item_scores(score.matrix(users, slots), user_embedding.matrix(users, cols),
                item_embedding.matrix(items, cols), item.matrix(users, slots), stream());
  });
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  wall_clock(benchmark);
  benchmark->ArgNames({"U", "I", "B", "K", "D"});
  for (const int64_t cols : {20, 100}) benchmark->Args({5'219, 25'181, 850, 40, cols});
}
BENCHMARK(forward)->Name("slot_scores_forward")->Apply(shapes);
BENCHMARK(ranking)->Name("relaxed_ranking")->Apply(shapes);
BENCHMARK(backward)->Name("slot_scores_backward")->Apply(shapes);

// The batch has all users, or one in fifteen.
[[maybe_unused]] const bool large = add_large({"U", "I", "B", "K", "D"},
                                              {{100'000, 1'000'000, 100'000, 40, 64},
                                               {100'000, 1'000'000, 100'000, 40, 128},
                                               {1'000'000, 1'000'000, 65'536, 40, 64}},
                                              Batch::bytes,
                                              {{"slot_scores_forward", forward},
                                               {"relaxed_ranking", ranking},
                                               {"slot_scores_backward", backward}});
[[maybe_unused]] const bool large_items =
    add_large({"U", "I", "S", "D"}, {{100'000, 1'000'000, 501, 64}, {20'000, 10'000'000, 501, 128}},
              [](const Arguments& shape) {
                return 4 * (shape[3] * (shape[0] + shape[1]) + 3 * shape[0] * shape[2]);
              },
              {{"item_scores", given_items}});

}  // namespace
}  // namespace derrd::bench::relaxed_ranking_bench
