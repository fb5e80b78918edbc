#include <benchmark/benchmark.h>

#include "bench/kernels/large.h"
#include "bench/kernels/support.h"
#include "kernels/models/neumf_first_layer.h"
#include "kernels/models/neumf_joint.h"
#include "kernels/models/neumf_pairs.h"
#include "kernels/models/neumf_row_gradients.h"
#include "kernels/models/scale_columns.h"
#include "tests/cases/batch_rows.h"

namespace derrd::bench::neumf_bench {
namespace {

/// One batch of NeuMF with one hidden layer, as wide as the vectors: range(0) users, range(1)
/// items, range(2) B samples, range(3) D. Users and items are uniform.
struct Step {
  explicit Step(const benchmark::State& state)
      : users(state.range(0)),
        items(state.range(1)),
        samples(state.range(2)),
        cols(state.range(3)),
        pairs(2 * samples),
        user_rows(index_array(samples, users, 1).to_host(stream())),
        positive_rows(index_array(samples, items, 2).to_host(stream())),
        negative_rows(index_array(samples, items, 3).to_host(stream())),
        cursor(one_batch(samples)),
        numbers(zero_array<int32_t>(4 * pairs)),
        pair_cursor(zero_array<BatchCursor>(1)),
        user_table(random_array(users * cols, 4, 0.1f)),
        item_table(random_array(items * cols, 5, 0.1f)),
        grad_user(zero_array<float>(users * cols)),
        grad_item(zero_array<float>(items * cols)),
        user_part(random_array(user_rows.capacity * cols, 6)),
        item_part(random_array((positive_rows.capacity + negative_rows.capacity) * cols, 7)),
        hidden(random_array(pairs * cols, 8)),
        joint(random_array(pairs * 2 * cols, 10)),
        grad_joint(random_array(pairs * 2 * cols, 12)),
        weight(random_array(2 * cols, 11)),
        grad_weight(zero_array<float>(cols)),
        loss(pairs),
        grad_score(pairs) {
    locate();
  }
  static int64_t bytes(const Arguments& shape) {
    const int64_t users = shape[0], items = shape[1], samples = shape[2], cols = shape[3];
    return 4 * cols * (3 * users + 2 * items + 13 * samples) +
           (3 * cases::BatchRows::kSampleBytes + 60) * samples;
  }

  NeumfJointCall joint_call() const {
    return {.user_table = user_table.matrix(users, cols),
            .item_table = item_table.matrix(items, cols),
            .hidden = hidden.matrix(pairs, cols),
            .pairs = buffers().rows(),
            .weight = weight.view(),
            .bias = weight.view().slice(0, 1)};
  }
  ScaleColumnsCall scale_call() const {
    return {user_table.matrix(users, cols), weight.view().slice(0, cols)};
  }
  PairBatch batch() const {
    return {cursor.data(), user_rows.view(), positive_rows.view(), negative_rows.view()};
  }
  PairBuffers buffers() const {
    const auto part = [&](int64_t i) { return numbers.view().slice(i * pairs, pairs); };
    return {part(0), part(1), part(2), part(3), pair_cursor.data()};
  }
  Matrix<float> user_positions() const { return user_part.matrix(user_rows.capacity, cols); }
  Matrix<float> item_positions() const {
    return item_part.matrix(positive_rows.capacity + negative_rows.capacity, cols);
  }
  void locate() const {
    locate_pairs(buffers(),
                 {.users = user_positions(),
                  .items = item_positions(),
                  .user_table = user_table.matrix(users, cols),
                  .item_table = item_table.matrix(items, cols)},
                 batch(), stream());
  }
  double distinct() const {
    return static_cast<double>(user_rows.capacity + positive_rows.capacity +
                               negative_rows.capacity);
  }
  double count() const { return static_cast<double>(pairs); }
  double row_bytes() const { return 4.0 * static_cast<double>(cols); }

  int64_t users, items, samples, cols, pairs;
  cases::BatchRows user_rows, positive_rows, negative_rows;
  DeviceArray<BatchCursor> cursor;
  DeviceArray<int32_t> numbers;
  DeviceArray<BatchCursor> pair_cursor;
  DeviceArray<float> user_table, item_table, grad_user, grad_item, user_part, item_part;
  DeviceArray<float> hidden, joint, grad_joint, weight, grad_weight, loss, grad_score;
};

void locate(benchmark::State& state) {
  const Step& s = kept_data<Step, 4>(state);
  const double bytes = (16 + 4 * 1.5) * s.count() + (8 + 2 * s.row_bytes()) * s.distinct();
  measure(state, {.bytes = bytes}, [&] { s.locate(); });
}

void first_layer(benchmark::State& state) {
  const Step& s = kept_data<Step, 4>(state);
  const NeumfFirstLayerCall call = {.user_part = s.user_positions(),
                                    .item_part = s.item_positions(),
                                    .bias = s.weight.view().slice(0, s.cols),
                                    .pairs = s.buffers().positions()};
  measure(state, {(3 * s.row_bytes() + 8) * s.count(), 0.5 * s.row_bytes() * s.count()},
          [&] { neumf_first_layer_forward(s.hidden.matrix(s.pairs, s.cols), call, stream()); });
}

void forward(benchmark::State& state) {
  const Step& s = kept_data<Step, 4>(state);
  measure(state, {(5 * s.row_bytes() + 8) * s.count(), 0.25 * s.row_bytes() * s.count()}, [&] {
    neumf_joint_forward(s.joint.matrix(s.pairs, 2 * s.cols), s.joint_call(), stream());
  });
}

void loss(benchmark::State& state) {
  const Step& s = kept_data<Step, 4>(state);
  measure(state, {(7 * s.row_bytes() + 16) * s.count(), 1.75 * s.row_bytes() * s.count()}, [&] {
    neumf_joint_loss({.loss = s.loss.view(),
                      .grad_score = s.grad_score.view(),
                      .joint = s.joint.matrix(s.pairs, 2 * s.cols),
                      .grad_joint = s.grad_joint.matrix(s.pairs, 2 * s.cols)},
                     s.joint_call(), stream());
  });
}

void row_gradients(benchmark::State& state) {
  const Step& s = kept_data<Step, 4>(state);
  const double bytes = s.row_bytes() * (8 * s.count() + 3 * s.distinct());
  const Matrix<const float> grad_joint = s.grad_joint.matrix(s.pairs, 2 * s.cols);
  measure(state, {bytes, 1.5 * s.row_bytes() * s.count()}, [&] {
    neumf_row_gradients({.user = s.grad_user.matrix(s.users, s.cols),
                         .item = s.grad_item.matrix(s.items, s.cols),
                         .user_part = s.user_positions(),
                         .item_part = s.item_positions()},
                        {.user_table = s.user_table.matrix(s.users, s.cols),
                         .item_table = s.item_table.matrix(s.items, s.cols),
                         .grad_joint = grad_joint,
                         .grad_hidden = grad_joint,
                         .first_column = s.cols,
                         .hidden = s.hidden.matrix(s.pairs, s.cols),
                         .pairs = s.buffers().rows(),
                         .batch = s.batch()},
                        stream());
  });
}

void scale_forward(benchmark::State& state) {
  const Step& s = kept_data<Step, 4>(state);
  const double elements = static_cast<double>(s.users * s.cols);
  measure(state, {8 * elements, elements}, [&] {
    scale_columns_forward(s.grad_user.matrix(s.users, s.cols), s.scale_call(), stream());
  });
}

void scale_backward(benchmark::State& state) {
  const Step& s = kept_data<Step, 4>(state);
  const double elements = static_cast<double>(s.user_rows.capacity * s.cols);
  const DeviceArray<float> grad_out = random_array(s.users * s.cols, 13);
  const int64_t parts = scale_columns_parts(s.user_rows.capacity);
  const DeviceArray<float> partials(parts * s.cols);
  measure(state, {16 * elements, 4 * elements}, [&] {
    scale_columns_backward({.in = s.grad_user.matrix(s.users, s.cols),
                            .scale = s.grad_weight.view(),
                            .partials = partials.matrix(parts, s.cols)},
                           grad_out.matrix(s.users, s.cols), s.scale_call(), s.user_rows.view(),
                           stream());
  });
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  wall_clock(benchmark);
  benchmark->ArgNames({"U", "I", "B", "D"});
  for (const int64_t cols : {25, 125, 250}) benchmark->Args({5'219, 25'181, 1024, cols});
}
BENCHMARK(locate)->Name("locate_pairs")->Apply(shapes);
BENCHMARK(first_layer)->Name("neumf_first_layer_forward")->Apply(shapes);
BENCHMARK(forward)->Name("neumf_joint_forward")->Apply(shapes);
BENCHMARK(loss)->Name("neumf_joint_loss")->Apply(shapes);
BENCHMARK(row_gradients)->Name("neumf_row_gradients")->Apply(shapes);
BENCHMARK(scale_forward)->Name("scale_columns_forward")->Apply(shapes);
BENCHMARK(scale_backward)->Name("scale_columns_backward")->Apply(shapes);

[[maybe_unused]] const bool large = add_large({"U", "I", "B", "D"},
                                              {{1'000'000, 1'000'000, 1'000'000, 64},
                                               {1'000'000, 1'000'000, 1'000'000, 128},
                                               {10'000'000, 10'000'000, 1'000'000, 64}},
                                              Step::bytes,
                                              {{"locate_pairs", locate},
                                               {"neumf_first_layer_forward", first_layer},
                                               {"neumf_joint_forward", forward},
                                               {"neumf_joint_loss", loss},
                                               {"neumf_row_gradients", row_gradients},
                                               {"scale_columns_forward", scale_forward},
                                               {"scale_columns_backward", scale_backward}});

/// All items for range(0) users, range(1) of them.
void enumerate(benchmark::State& state) {
  const int64_t users = state.range(0), items = state.range(1);
  const DeviceArray<int32_t> user(users * items), item(users * items);
  measure(state, {.bytes = 8.0 * static_cast<double>(users * items)}, [&] {
    enumerate_pairs(user.view(), item.view(), {0, items}, 0, stream());
  });
}
BENCHMARK(enumerate)
    ->Name("enumerate_pairs")
    ->ArgNames({"users", "I"})
    ->Args({8, 25'181})
    ->Apply(wall_clock);
[[maybe_unused]] const bool large_enumerate =
    add_large({"users", "I"}, {{512, 100'000}},
              [](const Arguments& shape) { return 8 * shape[0] * shape[1]; },
              {{"enumerate_pairs", enumerate}});

}  // namespace
}  // namespace derrd::bench::neumf_bench
