#include "tests/cases/bpr.h"

#include "bench/kernels/large.h"
#include "bench/kernels/support.h"

namespace derrd::bench::bpr_bench {
namespace {

/// One batch: range(0) users, range(1) items, range(2) B, range(3) D.
struct Step : cases::BprCase {
  explicit Step(const benchmark::State& state)
      : BprCase(shape_of({state.range(0), state.range(1), state.range(2), state.range(3)}), 0.1f),
        grad_user(zero_array<float>(user_embedding.size())),
        grad_item(zero_array<float>(item_embedding.size())),
        loss(shape.samples),
        coefficient(shape.samples) {
    forward();
  }
  static Shape shape_of(const Arguments& a) { return {a[0], a[1], a[2], a[2], a[3]}; }
  static int64_t bytes(const Arguments& a) { return BprCase::bytes(shape_of(a)); }

  void forward() const { bpr_forward(loss.view(), coefficient.view(), call(), stream()); }
  void backward() const {
    bpr_backward(grad_user.matrix(shape.users, shape.cols),
                 grad_item.matrix(shape.items, shape.cols), coefficient.view(), call(), stream());
  }

  DeviceArray<float> grad_user, grad_item, loss, coefficient;
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
