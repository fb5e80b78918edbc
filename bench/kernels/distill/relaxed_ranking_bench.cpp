#include "kernels/distill/relaxed_ranking.h"

#include <benchmark/benchmark.h>

#include <numeric>
#include <random>

#include "bench/kernels/epoch/ranking_lists.h"
#include "bench/kernels/large.h"
#include "bench/kernels/support.h"
#include "kernels/distill/slot_hidden.h"
#include "kernels/distill/slot_scores.h"
#include "kernels/epoch/slot_index.h"
#include "kernels/platform/sort.h"

namespace derrd::bench::relaxed_ranking_bench {
namespace {

/// One batch of RRD: `batch` distinct users of U, half of whose slots hold popular items, half
/// uniform ones.
struct Batch {
  explicit Batch(const benchmark::State& state)
      : users(state.range(0)),
        items(state.range(1)),
        batch(state.range(2)),
        slots(2 * state.range(3)),
        cols(state.range(4)),
        user_embedding(random_array(users * cols, 1, 0.1f)),
        item_embedding(random_array(items * cols, 2, 0.1f)),
        grad_user(zero_array<float>(users * cols)),
        grad_item(zero_array<float>(items * cols)),
        loss(batch),
        score(batch * slots),
        grad_score(batch * slots),
        item_offsets(items + 1),
        occurrences(users * slots) {
    const std::vector<int32_t> interesting = popular_rows(users, slots / 2, items, 3);
    std::mt19937_64 generator(4);
    std::uniform_int_distribution<int32_t> uniform(0, static_cast<int32_t>(items - 1));
    std::vector<int32_t> host(static_cast<size_t>(users * slots));
    for (size_t i = 0; i < host.size(); ++i) {
      const size_t user = i / static_cast<size_t>(slots);
      const size_t slot = i % static_cast<size_t>(slots);
      const auto k = static_cast<size_t>(slots / 2);
      host[i] = slot < k ? interesting[user * k + slot] : uniform(generator);
    }
    samples = to_device(host);

    std::vector<int32_t> order(static_cast<size_t>(users));
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), generator);
    order.resize(static_cast<size_t>(batch));
    std::sort(order.begin(), order.end());
    std::vector<int32_t> position(static_cast<size_t>(users), -1);
    std::vector<bool> is_held(static_cast<size_t>(items));
    for (size_t i = 0; i < order.size(); ++i) {
      position[static_cast<size_t>(order[i])] = static_cast<int32_t>(i);
      const auto row = host.begin() + order[i] * slots;
      for (auto sample = row; sample != row + slots; ++sample) {
        is_held[static_cast<size_t>(*sample)] = true;
      }
    }
    held_items = std::count(is_held.begin(), is_held.end(), true);
    batch_users = to_device(order);
    user_position = to_device(position);
    cursor = one_batch(batch);

    const DeviceArray<uint64_t> keys(samples.size()), sorted_keys(samples.size());
    const DeviceArray<uint32_t> values(samples.size());
    const DeviceArray<uint8_t> scratch(sort_pairs_scratch_bytes(samples.size()));
    const SortBuffers unsorted = {keys.view(), values.view()};
    ranking_occurrence_keys(unsorted, samples.matrix(users, slots), stream());
    sort_pairs({sorted_keys.view(), occurrences.view()}, unsorted, 32, scratch.view(), stream());
    row_offsets(item_offsets.view(), sorted_keys.view(), stream());
    forward();
    ranking();
  }
  static int64_t bytes(const Arguments& shape) {
    const int64_t users = shape[0], items = shape[1], batch = shape[2], slots = 2 * shape[3];
    return 8 * shape[4] * (users + items) + users * slots * 64 + 8 * batch * slots;
  }

  SlotBatch view() const {
    return {samples.matrix(users, slots),
            RowSegments{batch_users.view(), {}, {}, cursor.data(), batch}};
  }
  void forward() const {
    slot_scores_forward(score.matrix(batch, slots), user_embedding.matrix(users, cols),
                        item_embedding.matrix(items, cols), view(), stream());
  }
  void ranking() const {
    relaxed_ranking(loss.view(), grad_score.matrix(batch, slots), score.matrix(batch, slots),
                    view(), slots / 2, 1e-3f, AnchorReduction::kSum, stream());
  }
  void backward() const {
    slot_scores_backward(grad_user.matrix(users, cols), grad_item.matrix(items, cols),
                         grad_score.matrix(batch, slots), user_embedding.matrix(users, cols),
                         item_embedding.matrix(items, cols), view(),
                         {item_offsets.view(), occurrences.view(), user_position.view()}, stream());
  }
  double scores() const { return static_cast<double>(batch * slots); }
  double row_bytes() const { return 4.0 * static_cast<double>(cols); }
  /// For the gradient of items: every user's slots by item, and where that user stands in the
  /// batch.
  double walk_bytes() const { return 8.0 * static_cast<double>(users * slots) + 4.0 * items; }
  Work forward_work() const {
    return {.bytes = scores() * (row_bytes() + 8) + static_cast<double>(batch) * row_bytes(),
            .flops = scores() * row_bytes() / 2};
  }
  Work ranking_work() const { return {.bytes = 12 * scores()}; }
  Work backward_work() const {
    const double rows = static_cast<double>(batch + held_items);
    return {.bytes = 2 * scores() * (row_bytes() + 4) + 2 * rows * row_bytes() + 4 * scores() +
                     walk_bytes(),
            .flops = scores() * row_bytes()};
  }

  int64_t users, items, batch, slots, cols;
  int64_t held_items = 0;  ///< distinct, by the batch's users
  DeviceArray<float> user_embedding, item_embedding, grad_user, grad_item, loss, score, grad_score;
  DeviceArray<int32_t> item_offsets;
  DeviceArray<uint32_t> occurrences;
  DeviceArray<int32_t> samples, batch_users, user_position;
  DeviceArray<BatchCursor> cursor;
};

void forward(benchmark::State& state) {
  const Batch& batch = kept_data<Batch, 5>(state);
  measure(state, batch.forward_work(), [&] { batch.forward(); });
}

void ranking(benchmark::State& state) {
  const Batch& batch = kept_data<Batch, 5>(state);
  measure(state, batch.ranking_work(), [&] { batch.ranking(); });
}

void backward(benchmark::State& state) {
  const Batch& batch = kept_data<Batch, 5>(state);
  measure(state, batch.backward_work(), [&] { batch.backward(); });
}

/// Scores of given items: range(0) users, range(1) items, range(2) of them a user, range(3) D.
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

/// The perceptron's part of NeuMF's slots, on as many hidden units as vectors have columns.
struct HiddenBatch : Batch {
  explicit HiddenBatch(const benchmark::State& state)
      : Batch(state),
        pairs(batch * slots),
        hidden(random_array(pairs * cols, 5)),
        grad_hidden(random_array(pairs * cols, 6)),
        weight(random_array(cols, 7)),
        bias(zero_array<float>(1)),
        grad_weight(zero_array<float>(cols)),
        sums(zero_array<float>(batch * (cols + 1))),
        grad_anchor_part(zero_array<float>(batch * cols)),
        places(pairs),
        rows(pairs),
        live(1) {}
  static int64_t bytes(const Arguments& shape) {
    const int64_t pairs = 2 * shape[2] * shape[3];
    return Batch::bytes(shape) + 8 * shape[4] * (pairs + shape[2]) + 8 * pairs;
  }
  SlotOutputCall output_call() const {
    return {.hidden = hidden.matrix(pairs, cols),
            .weight = weight.view(),
            .bias = bias.view(),
            .batch = view()};
  }
  /// Bytes of the vectors of all slots.
  double vector_bytes() const { return 4 * static_cast<double>(pairs * cols); }

  int64_t pairs;
  DeviceArray<float> hidden, grad_hidden, weight, bias, grad_weight, sums, grad_anchor_part;
  DeviceArray<int32_t> places, rows, live;
};

void slots_located(benchmark::State& state) {
  const HiddenBatch& b = kept_data<HiddenBatch, 5>(state);
  measure(state, {12 * b.scores(), 0}, [&] {
    locate_slots({b.places.view(), b.rows.view(), b.live.data()}, b.view(), stream());
  });
}

void output_forward(benchmark::State& state) {
  const HiddenBatch& b = kept_data<HiddenBatch, 5>(state);
  measure(state, {b.vector_bytes() + 12 * b.scores(), b.vector_bytes() / 2}, [&] {
    slot_output_forward(b.score.matrix(b.batch, b.slots), b.output_call(), stream());
  });
}

void output_backward(benchmark::State& state) {
  const HiddenBatch& b = kept_data<HiddenBatch, 5>(state);
  measure(state, {2 * b.vector_bytes() + 8 * b.scores(), 0.75 * b.vector_bytes()}, [&] {
    slot_output_backward({.hidden = b.grad_hidden.matrix(b.pairs, b.cols),
                          .weight = b.grad_weight.view(),
                          .bias = b.bias.view(),
                          .sums = b.sums.matrix(b.batch, b.cols + 1)},
                         b.grad_score.matrix(b.batch, b.slots), b.output_call(), stream());
  });
}

void hidden_backward(benchmark::State& state) {
  const HiddenBatch& b = kept_data<HiddenBatch, 5>(state);
  const double parts = static_cast<double>(b.batch + b.items) * b.row_bytes();
  measure(state, {4 * b.vector_bytes() + parts + b.walk_bytes(), b.vector_bytes() / 2}, [&] {
    slot_hidden_backward(
        b.grad_anchor_part.matrix(b.batch, b.cols), b.grad_item.matrix(b.items, b.cols),
        b.grad_hidden.matrix(b.pairs, b.cols), b.hidden.matrix(b.pairs, b.cols), b.view(),
        {b.item_offsets.view(), b.occurrences.view(), b.user_position.view()}, stream());
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
BENCHMARK(slots_located)->Name("locate_slots")->Apply(shapes);
BENCHMARK(output_forward)->Name("slot_output_forward")->Apply(shapes);
BENCHMARK(output_backward)->Name("slot_output_backward")->Apply(shapes);
BENCHMARK(hidden_backward)->Name("slot_hidden_backward")->Apply(shapes);

// All users are the batch, or one of them in fifteen.
[[maybe_unused]] const bool large = add_large({"U", "I", "B", "K", "D"},
                                              {{100'000, 1'000'000, 100'000, 40, 64},
                                               {100'000, 1'000'000, 100'000, 40, 128},
                                               {1'000'000, 1'000'000, 65'536, 40, 64}},
                                              Batch::bytes,
                                              {{"slot_scores_forward", forward},
                                               {"relaxed_ranking", ranking},
                                               {"slot_scores_backward", backward}});
[[maybe_unused]] const bool large_hidden =
    add_large({"U", "I", "B", "K", "D"},
              {{100'000, 1'000'000, 100'000, 40, 64}, {100'000, 1'000'000, 100'000, 40, 128}},
              HiddenBatch::bytes,
              {{"locate_slots", slots_located},
               {"slot_output_forward", output_forward},
               {"slot_output_backward", output_backward},
               {"slot_hidden_backward", hidden_backward}});
[[maybe_unused]] const bool large_items =
    add_large({"U", "I", "S", "D"}, {{100'000, 1'000'000, 501, 64}, {20'000, 10'000'000, 501, 128}},
              [](const Arguments& shape) {
                return 4 * (shape[3] * (shape[0] + shape[1]) + 3 * shape[0] * shape[2]);
              },
              {{"item_scores", given_items}});

}  // namespace
}  // namespace derrd::bench::relaxed_ranking_bench
