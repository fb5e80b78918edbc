#include "kernels/relaxed_ranking.h"

#include <benchmark/benchmark.h>

#include <numeric>
#include <random>

#include "bench/kernels/ranking_lists.h"
#include "bench/kernels/support.h"
#include "kernels/platform/sort.h"
#include "kernels/sampling.h"

namespace derrd::bench {
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
        user_embedding(normal_array(users * cols, 1, 0.1f)),
        item_embedding(normal_array(items * cols, 2, 0.1f)),
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
    for (size_t i = 0; i < order.size(); ++i) {
      position[static_cast<size_t>(order[i])] = static_cast<int32_t>(i);
    }
    batch_users = to_device(order);
    user_position = to_device(position);
    cursor = to_device(std::vector<BatchCursor>{{0, 0, static_cast<int32_t>(batch)}});

    const DeviceArray<uint64_t> keys(samples.size()), sorted_keys(samples.size());
    const DeviceArray<uint32_t> values(samples.size());
    const DeviceArray<uint8_t> scratch(sort_pairs_scratch_bytes(samples.size()));
    const SortBuffers unsorted = {keys.view(), values.view()};
    ranking_occurrence_keys(unsorted, samples.matrix(users, slots), stream());
    sort_pairs({sorted_keys.view(), occurrences.view()}, unsorted, 32, scratch.view(), stream());
    row_offsets(item_offsets.view(), sorted_keys.view(), stream());
    stream().synchronize();
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
  Work forward_work() const {
    return {scores() * static_cast<double>(4 * cols + 8), scores() * static_cast<double>(2 * cols)};
  }
  Work ranking_work() const { return {12 * scores(), 0}; }
  Work backward_work() const {
    const double walk = static_cast<double>(4 * users * slots);
    return {2 * scores() * static_cast<double>(4 * cols + 4) + walk,
            2 * scores() * static_cast<double>(2 * cols)};
  }

  int64_t users, items, batch, slots, cols;
  DeviceArray<float> user_embedding, item_embedding, grad_user, grad_item, loss, score, grad_score;
  DeviceArray<int32_t> item_offsets;
  DeviceArray<uint32_t> occurrences;
  DeviceArray<int32_t> samples, batch_users, user_position;
  DeviceArray<BatchCursor> cursor;
};

void shapes(benchmark::internal::Benchmark* benchmark) {
  wall_clock(benchmark);
  benchmark->ArgNames({"U", "I", "B", "K", "D"});
  benchmark->Args({5'219, 25'181, 850, 40, 20});
  benchmark->Args({5'219, 25'181, 850, 40, 100});
  benchmark->Args({1'000'000, 1'000'000, 65'536, 40, 64});
}

void forward(benchmark::State& state) {
  const Batch batch(state);
  measure(state, batch.forward_work(), [&] { batch.forward(); });
}
BENCHMARK(forward)->Name("slot_scores_forward")->Apply(shapes);

void ranking(benchmark::State& state) {
  const Batch batch(state);
  batch.forward();
  measure(state, batch.ranking_work(), [&] { batch.ranking(); });
}
BENCHMARK(ranking)->Name("relaxed_ranking")->Apply(shapes);

void backward(benchmark::State& state) {
  const Batch batch(state);
  batch.forward();
  batch.ranking();
  measure(state, batch.backward_work(), [&] { batch.backward(); });
}
BENCHMARK(backward)->Name("slot_scores_backward")->Apply(shapes);

}  // namespace
}  // namespace derrd::bench
