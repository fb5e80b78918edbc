#include "kernels/distill/ranking_distillation.h"

#include "bench/kernels/distill/slot_batch.h"
#include "bench/kernels/large.h"

namespace derrd::bench::ranking_distillation_bench {
namespace {

/// range(0) anchors, range(1) of the teacher's items, range(2) negatives.
void run(benchmark::State& state, RankWeight weight) {
  const int64_t top = state.range(1);
  const auto batch = scored_batch(state.range(0), top + state.range(2));
  const RankingDistillationOptions options = {.top = top, .items = 25'000, .weight = weight};
  // Samples and scores read, the gradient written.
  measure(state, {.bytes = 12 * batch.batch_slots()}, [&] {
    ranking_distillation(batch.loss.view(), batch.gradient(), batch.scores(), batch.batch(),
                         options, stream());
  });
}

void fixed(benchmark::State& state) { run(state, RankWeight::kStatic); }
void dynamic(benchmark::State& state) { run(state, RankWeight::kDynamic); }

void shapes(benchmark::internal::Benchmark* benchmark) {
  wall_clock(benchmark);
  benchmark->ArgNames({"B", "K", "N"});
  benchmark->Args({850, 10, 100});
  benchmark->Args({850, 100, 400});
}
BENCHMARK(fixed)->Name("ranking_distillation_static")->Apply(shapes);
BENCHMARK(dynamic)->Name("ranking_distillation_dynamic")->Apply(shapes);

[[maybe_unused]] const bool large =
    add_large({"B", "K", "N"}, {{100'000, 10, 100}, {100'000, 40, 40}},
              [](const Arguments& shape) { return 12 * shape[0] * (shape[1] + shape[2] + 1); },
              {{"ranking_distillation_static", fixed}, {"ranking_distillation_dynamic", dynamic}});

}  // namespace
}  // namespace derrd::bench::ranking_distillation_bench
