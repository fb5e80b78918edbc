#include "kernels/models/bpr.h"

#include "bench/kernels/epoch/batch_rows.h"
#include "bench/kernels/large.h"
#include "bench/kernels/support.h"

namespace derrd::bench::bpr_bench {
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
        user_rows(user_of_sample, users),
        positive_rows(positive_of_sample, items),
        negative_rows(negative_of_sample, items),
        cursor(one_batch(batch)),
        user_embedding(random_array(users * cols, 4, 0.1f)),
        item_embedding(random_array(items * cols, 5, 0.1f)),
        grad_user(zero_array<float>(users * cols)),
        grad_item(zero_array<float>(items * cols)),
        loss(zero_array<float>(batch)),
        coefficient(zero_array<float>(batch)) {
    forward();
  }
  static int64_t bytes(const Arguments& shape) {
    const int64_t users = shape[0], items = shape[1], batch = shape[2], cols = shape[3];
    return 8 * cols * (users + items) + kBatchRowBytes * batch;
  }

  void forward() const { bpr_forward(loss.view(), coefficient.view(), call(), stream()); }
  void backward() const {
    bpr_backward(grad_user.matrix(users, cols), grad_item.matrix(items, cols), coefficient.view(),
                 call(), stream());
  }
  BprCall call() const {
    return {.user_embedding = user_embedding.matrix(users, cols),
            .item_embedding = item_embedding.matrix(items, cols),
            .samples = {user_of_sample.view(), positive_of_sample.view(), negative_of_sample.view(),
                        cursor.data(), batch},
            .users = user_rows.view(),
            .positives = positive_rows.view(),
            .negatives = negative_rows.view()};
  }
  Work forward_work() const {
    return {.bytes = static_cast<double>(batch * (12 * cols + 20)),
            .flops = 3.0 * static_cast<double>(batch * cols)};
  }
  Work backward_work() const {
    const int64_t rows = user_rows.count() + positive_rows.count() + negative_rows.count();
    return {.bytes = static_cast<double>(batch * (16 * cols + 40) + rows * (8 * cols + 8)),
            .flops = 7.0 * static_cast<double>(batch * cols)};
  }

  int64_t users, items, batch, cols;
  DeviceArray<int32_t> user_of_sample, positive_of_sample, negative_of_sample;
  BatchRows user_rows, positive_rows, negative_rows;
  DeviceArray<BatchCursor> cursor;
  DeviceArray<float> user_embedding, item_embedding, grad_user, grad_item, loss, coefficient;
};

void forward(benchmark::State& state) {
  const Step& step = kept_data<Step, 4>(state);
  measure(state, step.forward_work(), [&] { step.forward(); });
}

void backward(benchmark::State& state) {
  const Step& step = kept_data<Step, 4>(state);
  measure(state, step.backward_work(), [&] { step.backward(); });
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  wall_clock(benchmark);
  benchmark->ArgNames({"U", "I", "B", "D"});
  for (const int64_t cols : {20, 25, 50, 100, 200, 250}) {
    benchmark->Args({5'219, 25'181, 1024, cols});
  }
}
BENCHMARK(forward)->Name("bpr_forward")->Apply(shapes);
BENCHMARK(backward)->Name("bpr_backward")->Apply(shapes);

[[maybe_unused]] const bool large =
    add_large({"U", "I", "B", "D"},
              {{1'000'000, 1'000'000, 1'000'000, 64},
               {1'000'000, 1'000'000, 1'000'000, 128},
               {10'000'000, 10'000'000, 1'000'000, 64},
               {10'000'000, 10'000'000, 1'000'000, 128}},
              Step::bytes, {{"bpr_forward", forward}, {"bpr_backward", backward}});

}  // namespace
}  // namespace derrd::bench::bpr_bench
