#include <benchmark/benchmark.h>

#include "bench/kernels/support.h"
#include "kernels/bce.h"
#include "kernels/joint.h"
#include "kernels/pair_hidden.h"
#include "kernels/pairs.h"
#include "kernels/scale_columns.h"
#include "tests/kernels/host_segments.h"

namespace derrd::bench {
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
        user_rows(rows_of(users, 1), samples, stream()),
        positive_rows(rows_of(items, 2), samples, stream()),
        negative_rows(rows_of(items, 3), samples, stream()),
        cursors(to_device(test::sample_cursors(samples, samples))),
        numbers(zero_array<int32_t>(4 * pairs)),
        pair_cursor(zero_array<BatchCursor>(1)),
        user_table(normal_array(users * cols, 4, 0.1f)),
        item_table(normal_array(items * cols, 5, 0.1f)),
        grad_user(zero_array<float>(users * cols)),
        grad_item(zero_array<float>(items * cols)),
        user_part(normal_array(user_rows.capacity * cols, 6)),
        item_part(normal_array((positive_rows.capacity + negative_rows.capacity) * cols, 7)),
        hidden(normal_array(pairs * cols, 8)),
        grad_hidden(normal_array(pairs * cols, 9)),
        joint(normal_array(pairs * 2 * cols, 10)),
        weight(normal_array(2 * cols, 11)),
        score(normal_array(pairs, 12)),
        loss(zero_array<float>(pairs)),
        grad_score(zero_array<float>(pairs)) {
    locate();
  }
  std::vector<int32_t> rows_of(int64_t bound, uint64_t seed) const {
    return index_array(samples, bound, seed).to_host(stream());
  }

  PairBatch batch() const {
    return {cursors.data(), user_rows.view(0), positive_rows.view(0), negative_rows.view(0)};
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
  test::HostSegments user_rows, positive_rows, negative_rows;
  DeviceArray<BatchCursor> cursors;
  DeviceArray<int32_t> numbers;
  DeviceArray<BatchCursor> pair_cursor;
  DeviceArray<float> user_table, item_table, grad_user, grad_item, user_part, item_part;
  DeviceArray<float> hidden, grad_hidden, joint, weight, score, loss, grad_score;
};

void shapes(benchmark::internal::Benchmark* benchmark) {
  wall_clock(benchmark);
  benchmark->ArgNames({"U", "I", "B", "D"});
  for (const int64_t cols : {25, 125, 250}) benchmark->Args({5'219, 25'181, 1024, cols});
  benchmark->Args({1'000'000, 1'000'000, 65'536, 64});
}

void locate(benchmark::State& state) {
  const Step s(state);
  measure(state, {16 * s.count() + 4 * 1.5 * s.count() + 8 * s.distinct(), 0}, [&] { s.locate(); });
}
BENCHMARK(locate)->Name("locate_pairs")->Apply(shapes);

void hidden_forward(benchmark::State& state) {
  const Step s(state);
  const PairRows places = s.buffers().places();
  measure(state, {3 * s.row_bytes() * s.count(), 0.5 * s.row_bytes() * s.count()}, [&] {
    pair_hidden_forward(s.hidden.matrix(s.pairs, s.cols),
                        s.user_part.matrix(s.user_rows.capacity, s.cols),
                        s.item_part.matrix(s.item_part.size() / s.cols, s.cols), places, stream());
  });
}
BENCHMARK(hidden_forward)->Name("pair_hidden_forward")->Apply(shapes);

void hidden_backward(benchmark::State& state) {
  const Step s(state);
  const PairSegments users = s.batch().users();
  const Matrix<float> grad_part = s.user_part.matrix(users.rows.capacity, s.cols);
  const double rows = static_cast<double>(users.rows.capacity);
  measure(state, {s.row_bytes() * (2 * s.count() + rows), 0.25 * s.row_bytes() * s.count()}, [&] {
    pair_hidden_backward(grad_part, s.grad_hidden.matrix(s.pairs, s.cols),
                         s.hidden.matrix(s.pairs, s.cols), users, stream());
  });
}
BENCHMARK(hidden_backward)->Name("pair_hidden_backward/users")->Apply(shapes);

void forward(benchmark::State& state) {
  const Step s(state);
  const PairRows rows = s.buffers().rows();
  measure(state, {5 * s.row_bytes() * s.count(), 0.25 * s.row_bytes() * s.count()}, [&] {
    joint_forward(s.joint.matrix(s.pairs, 2 * s.cols), s.user_table.matrix(s.users, s.cols),
                  s.item_table.matrix(s.items, s.cols), s.hidden.matrix(s.pairs, s.cols), rows,
                  stream());
  });
}
BENCHMARK(forward)->Name("joint_forward")->Apply(shapes);

void score(benchmark::State& state) {
  const Step s(state);
  const PairRows rows = s.buffers().rows();
  const Vector<const float> bias = s.weight.view().slice(0, 1);
  measure(state, {2 * s.row_bytes() * s.count(), s.row_bytes() * s.count()}, [&] {
    joint_score(s.score.view(), s.joint.matrix(s.pairs, 2 * s.cols), s.weight.view(), bias, rows,
                stream());
  });
}
BENCHMARK(score)->Name("joint_score")->Apply(shapes);

void backward(benchmark::State& state) {
  const Step s(state);
  const PairRows rows = s.buffers().rows();
  const double bytes = s.row_bytes() * (6 * s.count() + 2 * s.distinct());
  measure(state, {bytes, s.row_bytes() * s.count()}, [&] {
    joint_backward(s.grad_user.matrix(s.users, s.cols), s.grad_item.matrix(s.items, s.cols),
                   s.grad_hidden.matrix(s.pairs, s.cols), s.joint.matrix(s.pairs, 2 * s.cols),
                   s.user_table.matrix(s.users, s.cols), s.item_table.matrix(s.items, s.cols), rows,
                   s.batch(), stream());
  });
}
BENCHMARK(backward)->Name("joint_backward")->Apply(shapes);

void cross_entropy(benchmark::State& state) {
  const Step s(state);
  measure(state, {16 * s.count(), 0}, [&] {
    binary_cross_entropy(s.loss.view(), s.grad_score.view(), s.score.view(), s.score.view(),
                         &s.pair_cursor.data()->count, stream());
  });
}
BENCHMARK(cross_entropy)
    ->Name("binary_cross_entropy")
    ->ArgNames({"U", "I", "B", "D"})
    ->Args({5'219, 25'181, 1024, 1})
    ->Args({5'219, 25'181, 1'000'000, 1})
    ->Apply(wall_clock);

void scale_forward(benchmark::State& state) {
  const Step s(state);
  const double elements = static_cast<double>(s.users * s.cols);
  measure(state, {8 * elements, elements}, [&] {
    scale_columns_forward(s.grad_user.matrix(s.users, s.cols), s.user_table.matrix(s.users, s.cols),
                          s.weight.view().slice(0, s.cols), stream());
  });
}
BENCHMARK(scale_forward)->Name("scale_columns_forward")->Apply(shapes);

void scale_backward(benchmark::State& state) {
  const Step s(state);
  const double elements = static_cast<double>(s.user_rows.capacity * s.cols);
  const DeviceArray<float> grad_scale = zero_array<float>(s.cols);
  const DeviceArray<float> grad_out = normal_array(s.users * s.cols, 13);
  measure(state, {20 * elements, 4 * elements}, [&] {
    scale_columns_backward(s.grad_user.matrix(s.users, s.cols), grad_scale.view(),
                           grad_out.matrix(s.users, s.cols), s.user_table.matrix(s.users, s.cols),
                           s.weight.view().slice(0, s.cols), s.user_rows.view(0), stream());
  });
}
BENCHMARK(scale_backward)->Name("scale_columns_backward")->Apply(shapes);

}  // namespace
}  // namespace derrd::bench
