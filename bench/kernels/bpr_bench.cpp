#include "kernels/bpr.h"

#include "bench/kernels/support.h"
#include "tests/kernels/host_segments.h"

namespace derrd::bench {
namespace {

/// One batch: range(0) users, range(1) items, range(2) B, range(3) D. Users and items are uniform.
struct Step {
  explicit Step(const benchmark::State& state)
      : users(state.range(0)),
        items(state.range(1)),
        batch(state.range(2)),
        cols(state.range(3)),
        user_of_sample(index_array(batch, users, 1)),
        positive_of_sample(index_array(batch, items, 2)),
        negative_of_sample(index_array(batch, items, 3)),
        user_rows(user_of_sample.to_host(stream()), batch, stream()),
        positive_rows(positive_of_sample.to_host(stream()), batch, stream()),
        negative_rows(negative_of_sample.to_host(stream()), batch, stream()),
        cursors(to_device(test::sample_cursors(batch, batch))),
        user_embedding(normal_array(users * cols, 4, 0.1f)),
        item_embedding(normal_array(items * cols, 5, 0.1f)),
        grad_user(zero_array<float>(users * cols)),
        grad_item(zero_array<float>(items * cols)),
        loss(zero_array<float>(batch)),
        coefficient(zero_array<float>(batch)) {}

  void forward() const {
    bpr_forward(loss.view(), coefficient.view(), user_embedding.matrix(users, cols),
                item_embedding.matrix(items, cols), samples(), stream());
  }
  void backward() const {
    bpr_backward(grad_user.matrix(users, cols), grad_item.matrix(items, cols), coefficient.view(),
                 user_embedding.matrix(users, cols), item_embedding.matrix(items, cols), samples(),
                 user_rows.view(0), positive_rows.view(0), negative_rows.view(0), stream());
  }
  BprSamples samples() const {
    return {user_of_sample.view(), positive_of_sample.view(), negative_of_sample.view(),
            cursors.data(), batch};
  }
  Work forward_work() const {
    return {.bytes = static_cast<double>(batch * (12 * cols + 20)),
            .flops = 3.0 * static_cast<double>(batch * cols)};
  }
  Work backward_work() const {
    const int64_t rows = user_rows.capacity + positive_rows.capacity + negative_rows.capacity;
    return {.bytes = static_cast<double>(batch * (16 * cols + 40) + rows * 8 * cols),
            .flops = 7.0 * static_cast<double>(batch * cols)};
  }

  int64_t users, items, batch, cols;
  DeviceArray<int32_t> user_of_sample, positive_of_sample, negative_of_sample;
  test::HostSegments user_rows, positive_rows, negative_rows;
  DeviceArray<BatchCursor> cursors;
  DeviceArray<float> user_embedding, item_embedding, grad_user, grad_item, loss, coefficient;
};

void shapes(benchmark::internal::Benchmark* benchmark) {
  wall_clock(benchmark);
  benchmark->ArgNames({"U", "I", "B", "D"});
  for (const int64_t cols : {20, 25, 50, 100, 200, 250}) {
    benchmark->Args({5'219, 25'181, 1024, cols});
  }
  benchmark->Args({1'000'000, 1'000'000, 65'536, 64});
}

void forward(benchmark::State& state) {
  const Step step(state);
  measure(state, step.forward_work(), [&] { step.forward(); });
}
BENCHMARK(forward)->Name("bpr_forward")->Apply(shapes);

void backward(benchmark::State& state) {
  const Step step(state);
  step.forward();
  measure(state, step.backward_work(), [&] { step.backward(); });
}
BENCHMARK(backward)->Name("bpr_backward")->Apply(shapes);

}  // namespace
}  // namespace derrd::bench
