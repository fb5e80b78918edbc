#include "tests/cases/experts.h"

#include <random>

#include "bench/kernels/large.h"
#include "bench/kernels/support.h"

namespace derrd::bench::experts_bench {
namespace {

/// DE for BPR on CiteULike, phi = 0.1: range(0) entities, with range(1) active pairs per hundred
/// entities (3000: all).
struct Mixture : cases::ExpertsCase<DeviceArray> {
  explicit Mixture(const benchmark::State& state)
      : ExpertsCase(shape_of(state.range(0)), static_cast<int32_t>(state.range(0)),
                    sparse_selection(shape_of(state.range(0)), pairs_of(state)), 0.1f),
        pairs(pairs_of(state)) {}

  static ExpertShape shape_of(int64_t entities) {
    return {.experts = 30, .student = 20, .hidden = 110, .teacher = 200, .capacity = entities};
  }
  static int64_t pairs_of(const benchmark::State& state) {
    return state.range(0) * state.range(1) / 100;
  }
  static int64_t bytes(const Arguments& arguments) {
    const ExpertShape s = shape_of(arguments[0]);
    return 4 * (experts_workspace_floats(s) + experts_workspace_integers(s) +
                s.capacity * (3 * s.teacher + 2 * s.student + 2 * s.experts));
  }
  /// `active` weights that are not 0, spread evenly over entities and at random over experts.
  static std::vector<float> sparse_selection(const ExpertShape& s, int64_t active) {
    std::mt19937_64 generator(7);
    std::vector<float> weights(static_cast<size_t>(s.capacity * s.experts));
    for (int64_t i = 0; i < active; ++i) {
      const int64_t n = i % s.capacity;
      int64_t m = static_cast<int64_t>(generator() % static_cast<uint64_t>(s.experts));
      while (weights[static_cast<size_t>(n * s.experts + m)] != 0) m = (m + 1) % s.experts;
      weights[static_cast<size_t>(n * s.experts + m)] =
          static_cast<float>(s.capacity) / static_cast<float>(active);
    }
    return weights;
  }

  int64_t pairs;  ///< number of active pairs
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

}  // namespace
}  // namespace derrd::bench::experts_bench
