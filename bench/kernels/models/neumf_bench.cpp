#include <benchmark/benchmark.h>

#include "bench/kernels/large.h"
#include "bench/kernels/support.h"
#include "kernels/models/bce.h"
#include "kernels/models/neumf_first_layer.h"
#include "kernels/models/neumf_joint.h"
#include "kernels/models/neumf_pairs.h"
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
        grad_hidden(random_array(pairs * cols, 9)),
        joint(random_array(pairs * 2 * cols, 10)),
        weight(random_array(2 * cols, 11)),
        grad_weight(zero_array<float>(cols)),
        score(pairs) {
    locate();
  }
  static int64_t bytes(const Arguments& shape) {
    const int64_t users = shape[0], items = shape[1], samples = shape[2], cols = shape[3];
    return 4 * cols * (3 * users + 2 * items + 11 * samples) +
           (3 * cases::BatchRows::kSampleBytes + 60) * samples;
  }

  NeumfJointCall joint_call() const {
    return {.user_table = user_table.matrix(users, cols),
            .item_table = item_table.matrix(items, cols),
            .hidden = hidden.matrix(pairs, cols),
            .pairs = buffers().rows()};
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
  void locate() const { locate_pairs(buffers(), batch(), stream()); }
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
  DeviceArray<float> hidden, grad_hidden, joint, weight, grad_weight, score;
};

void locate(benchmark::State& state) {
  const Step& s = kept_data<Step, 4>(state);
  measure(state, {.bytes = 16 * s.count() + 4 * 1.5 * s.count() + 8 * s.distinct()},
          [&] { s.locate(); });
}

void hidden_forward(benchmark::State& state) {
  const Step& s = kept_data<Step, 4>(state);
  const PairRows positions = s.buffers().positions();
  measure(state, {(3 * s.row_bytes() + 8) * s.count(), 0.5 * s.row_bytes() * s.count()}, [&] {
    neumf_first_layer_forward(
        s.hidden.matrix(s.pairs, s.cols), s.user_part.matrix(s.user_rows.capacity, s.cols),
        s.item_part.matrix(s.item_part.size() / s.cols, s.cols), positions, stream());
  });
}

void hidden_backward(benchmark::State& state) {
  const Step& s = kept_data<Step, 4>(state);
  const PairSegments users = s.batch().users();
  const Matrix<float> grad_part = s.user_part.matrix(users.rows.capacity, s.cols);
  const double rows = static_cast<double>(users.rows.capacity);
  measure(state, {s.row_bytes() * (2 * s.count() + rows), 0.25 * s.row_bytes() * s.count()}, [&] {
    neumf_first_layer_backward(grad_part, s.grad_hidden.matrix(s.pairs, s.cols),
                               s.hidden.matrix(s.pairs, s.cols), users, stream());
  });
}

void forward(benchmark::State& state) {
  const Step& s = kept_data<Step, 4>(state);
  measure(state, {(5 * s.row_bytes() + 8) * s.count(), 0.25 * s.row_bytes() * s.count()}, [&] {
    neumf_joint_forward(s.joint.matrix(s.pairs, 2 * s.cols), s.joint_call(), stream());
  });
}

void score(benchmark::State& state) {
  const Step& s = kept_data<Step, 4>(state);
  const PairRows rows = s.buffers().rows();
  const Vector<const float> bias = s.weight.view().slice(0, 1);
  measure(state, {(2 * s.row_bytes() + 12) * s.count(), s.row_bytes() * s.count()}, [&] {
    neumf_joint_score(s.score.view(), s.joint.matrix(s.pairs, 2 * s.cols), s.weight.view(), bias,
                      rows, stream());
  });
}

void backward(benchmark::State& state) {
  const Step& s = kept_data<Step, 4>(state);
  const double bytes = s.row_bytes() * (6 * s.count() + 2 * s.distinct());
  measure(state, {bytes, s.row_bytes() * s.count()}, [&] {
    neumf_joint_backward({.user = s.grad_user.matrix(s.users, s.cols),
                          .item = s.grad_item.matrix(s.items, s.cols),
                          .hidden = s.grad_hidden.matrix(s.pairs, s.cols)},
                         s.joint.matrix(s.pairs, 2 * s.cols), s.joint_call(), s.batch(), stream());
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
  measure(state, {20 * elements, 4 * elements}, [&] {
    scale_columns_backward(s.grad_user.matrix(s.users, s.cols), s.grad_weight.view(),
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
BENCHMARK(hidden_forward)->Name("neumf_first_layer_forward")->Apply(shapes);
BENCHMARK(hidden_backward)->Name("neumf_first_layer_backward")->Apply(shapes);
BENCHMARK(forward)->Name("neumf_joint_forward")->Apply(shapes);
BENCHMARK(score)->Name("neumf_joint_score")->Apply(shapes);
BENCHMARK(backward)->Name("neumf_joint_backward")->Apply(shapes);
BENCHMARK(scale_forward)->Name("scale_columns_forward")->Apply(shapes);
BENCHMARK(scale_backward)->Name("scale_columns_backward")->Apply(shapes);

[[maybe_unused]] const bool large = add_large({"U", "I", "B", "D"},
                                              {{1'000'000, 1'000'000, 1'000'000, 64},
                                               {1'000'000, 1'000'000, 1'000'000, 128},
                                               {10'000'000, 10'000'000, 1'000'000, 64}},
                                              Step::bytes,
                                              {{"locate_pairs", locate},
                                               {"neumf_first_layer_forward", hidden_forward},
                                               {"neumf_first_layer_backward", hidden_backward},
                                               {"neumf_joint_forward", forward},
                                               {"neumf_joint_score", score},
                                               {"neumf_joint_backward", backward},
                                               {"scale_columns_forward", scale_forward},
                                               {"scale_columns_backward", scale_backward}});

/// range(0) scores.
void cross_entropy(benchmark::State& state) {
  const int64_t n = state.range(0);
  const DeviceArray<float> scores = normal_array(n, 1), targets = random_array(n, 2);
  const DeviceArray<float> loss(n), gradient(n);
  measure(state, {.bytes = 16.0 * static_cast<double>(n)}, [&] {
    binary_cross_entropy(loss.view(), gradient.view(), scores.view(), targets.view(), nullptr,
                         stream());
  });
}
BENCHMARK(cross_entropy)
    ->Name("binary_cross_entropy")
    ->ArgNames({"N"})
    ->Arg(2048)
    ->Apply(wall_clock);
[[maybe_unused]] const bool large_cross_entropy =
    add_large({"N"}, {{20'000'000}}, [](const Arguments& shape) { return 16 * shape[0]; },
              {{"binary_cross_entropy", cross_entropy}});

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
