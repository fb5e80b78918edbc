#include "kernels/distill/experts.h"

#include <random>

#include "bench/kernels/large.h"
#include "bench/kernels/support.h"
#include "kernels/distill/reconstruction.h"

namespace derrd::bench::experts_bench {
namespace {

/// DE for BPR on CiteULike, phi = 0.1: range(0) entities; range(1): of 100 entities, how many live
/// experts they have together (3000: all 30 each).
struct Mixture {
  explicit Mixture(const benchmark::State& state)
      : shape(shape_of(state.range(0))),
        pairs(shape.capacity * state.range(1) / 100),
        floats(experts_workspace_floats(shape)),
        integers(experts_workspace_integers(shape)),
        workspace(make_experts_workspace(shape, floats.view(), integers.view())),
        student(random_array(shape.capacity * shape.student, 1, 0.1f)),
        teacher(random_array(shape.capacity * shape.teacher, 2, 0.1f)),
        selection(to_device(sparse_selection(shape, pairs))),
        weight1(random_array(hidden() * shape.student, 3, 0.2f)),
        bias1(random_array(hidden(), 4, 0.2f)),
        weight2(random_array(hidden() * shape.teacher, 5, 0.1f)),
        bias2(random_array(shape.experts * shape.teacher, 6, 0.1f)),
        grad_weight1(zero_array<float>(weight1.size())),
        grad_bias1(zero_array<float>(bias1.size())),
        grad_weight2(zero_array<float>(weight2.size())),
        grad_bias2(zero_array<float>(bias2.size())),
        reconstruction(zero_array<float>(teacher.size())),
        grad_reconstruction(zero_array<float>(teacher.size())),
        grad_student(zero_array<float>(student.size())),
        grad_selection(zero_array<float>(selection.size())),
        loss(zero_array<float>(shape.capacity)),
        active_rows(to_device(std::vector<int32_t>{static_cast<int32_t>(shape.capacity)})) {}

  static ExpertShape shape_of(int64_t entities) {
    return {.experts = 30, .student = 20, .hidden = 110, .teacher = 200, .capacity = entities};
  }
  static int64_t bytes(const Arguments& arguments) {
    const ExpertShape s = shape_of(arguments[0]);
    return 4 * (experts_workspace_floats(s) + experts_workspace_integers(s) +
                s.capacity * (3 * s.teacher + 2 * s.student + 2 * s.experts));
  }
  int64_t hidden() const { return shape.experts * shape.hidden; }
  /// `pairs` weights that are not 0, spread evenly over entities and at random over experts.
  static std::vector<float> sparse_selection(const ExpertShape& shape, int64_t pairs) {
    std::mt19937_64 generator(7);
    std::vector<float> weights(static_cast<size_t>(shape.capacity * shape.experts));
    for (int64_t i = 0; i < pairs; ++i) {
      const int64_t n = i % shape.capacity;
      int64_t m = static_cast<int64_t>(generator() % static_cast<uint64_t>(shape.experts));
      while (weights[static_cast<size_t>(n * shape.experts + m)] != 0) m = (m + 1) % shape.experts;
      weights[static_cast<size_t>(n * shape.experts + m)] =
          static_cast<float>(shape.capacity) / static_cast<float>(pairs);
    }
    return weights;
  }

  void step(ExpertPath path) const {
    const int64_t n = shape.capacity;
    const Matrix<float> r = reconstruction.matrix(n, shape.teacher);
    const Matrix<float> grad_r = grad_reconstruction.matrix(n, shape.teacher);
    const ExpertsCall call = {.student = student.matrix(n, shape.student),
                              .selection = selection.matrix(n, shape.experts),
                              .parameters = {weight1.matrix(hidden(), shape.student), bias1.view(),
                                             weight2.matrix(hidden(), shape.teacher),
                                             bias2.matrix(shape.experts, shape.teacher)},
                              .workspace = workspace,
                              .path = path,
                              .active = active_rows.data()};
    experts_forward(r, call, stream());
    reconstruction_loss(
        loss.view(), grad_r,
        {.reconstruction = r, .teacher = teacher.matrix(n, shape.teacher), .active = call.active},
        stream());
    experts_backward(
        {.student = grad_student.matrix(n, shape.student),
         .selection = grad_selection.matrix(n, shape.experts),
         .parameters = {grad_weight1.matrix(hidden(), shape.student), grad_bias1.view(),
                        grad_weight2.matrix(hidden(), shape.teacher),
                        grad_bias2.matrix(shape.experts, shape.teacher)}},
        grad_r, call, stream());
  }
  /// The products alone, three of each layer, over `rows` pairs.
  Work work(int64_t rows) const {
    return {.flops =
                6.0 * static_cast<double>(rows * shape.hidden * (shape.student + shape.teacher))};
  }

  ExpertShape shape;
  int64_t pairs;
  DeviceArray<float> floats;
  DeviceArray<int32_t> integers;
  ExpertsWorkspace workspace;
  DeviceArray<float> student, teacher, selection, weight1, bias1, weight2, bias2, grad_weight1,
      grad_bias1, grad_weight2, grad_bias2, reconstruction, grad_reconstruction, grad_student,
      grad_selection, loss;
  DeviceArray<int32_t> active_rows;
};

void stacked(benchmark::State& state) {
  const Mixture& mixture = kept_data<Mixture, 2>(state);
  measure(state, mixture.work(mixture.shape.capacity * mixture.shape.experts),
          [&] { mixture.step(ExpertPath::kStacked); });
}
BENCHMARK(stacked)
    ->Name("experts_stacked")
    ->ArgNames({"N", "live%"})
    ->Args({1000, 3000})
    ->Apply(wall_clock);

void routed(benchmark::State& state) {
  const Mixture& mixture = kept_data<Mixture, 2>(state);
  measure(state, mixture.work(mixture.pairs), [&] { mixture.step(ExpertPath::kRouted); });
}
BENCHMARK(routed)
    ->Name("experts_routed")
    ->ArgNames({"N", "live%"})
    ->Args({1000, 130})
    ->Args({1000, 300})
    ->Args({1000, 1000})
    ->Args({1000, 3000})
    ->Apply(wall_clock);

[[maybe_unused]] const bool large = add_large({"N", "live%"}, {{65'536, 130}, {65'536, 3000}},
                                              Mixture::bytes, {{"experts_routed", routed}});
[[maybe_unused]] const bool large_stacked =
    add_large({"N", "live%"}, {{65'536, 3000}}, Mixture::bytes, {{"experts_stacked", stacked}});

void count(benchmark::State& state) {
  const int64_t entities = state.range(0);
  constexpr int64_t kExperts = 30;
  const DeviceArray<float> selection = random_array(entities * kExperts, 1);
  const DeviceArray<int32_t> active_rows =
      to_device(std::vector<int32_t>{static_cast<int32_t>(entities)});
  const DeviceArray<PairCount> counted = zero_array<PairCount>(1);
  measure(state, {.bytes = 4.0 * static_cast<double>(entities * kExperts)}, [&] {
    count_pairs(counted.data(), selection.matrix(entities, kExperts), active_rows.data(), stream());
  });
}
BENCHMARK(count)->Name("count_pairs")->ArgNames({"N"})->Arg(1000)->Apply(wall_clock);
[[maybe_unused]] const bool large_count =
    add_large({"N"}, {{1'000'000}}, [](const Arguments& shape) { return 120 * shape[0]; },
              {{"count_pairs", count}});

void loss(benchmark::State& state) {
  const int64_t rows = state.range(0), width = state.range(1);
  const DeviceArray<float> reconstruction = random_array(rows * width, 1);
  const DeviceArray<float> teacher = random_array(rows * width, 2);
  const DeviceArray<float> gradient(rows * width), losses(rows);
  const DeviceArray<int32_t> active_rows =
      to_device(std::vector<int32_t>{static_cast<int32_t>(rows)});
  measure(state, {.bytes = static_cast<double>(rows * (12 * width + 4))}, [&] {
    reconstruction_loss(losses.view(), gradient.matrix(rows, width),
                        {.reconstruction = reconstruction.matrix(rows, width),
                         .teacher = teacher.matrix(rows, width),
                         .active = active_rows.data()},
                        stream());
  });
}
BENCHMARK(loss)
    ->Name("reconstruction_loss")
    ->ArgNames({"N", "T"})
    ->Args({1000, 200})
    ->Apply(wall_clock);
[[maybe_unused]] const bool large_loss =
    add_large({"N", "T"}, {{1'000'000, 64}, {1'000'000, 128}},
              [](const Arguments& shape) { return 12 * shape[0] * (shape[1] + 1); },
              {{"reconstruction_loss", loss}});

}  // namespace
}  // namespace derrd::bench::experts_bench
