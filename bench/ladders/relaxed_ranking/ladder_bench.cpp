#include <benchmark/benchmark.h>

#include <string>

#include "bench/kernels/distill/slot_batch.h"
#include "bench/kernels/support.h"
#include "bench/ladders/relaxed_ranking/levels.h"

namespace derrd::bench {
namespace {

/// range(0) users, all in the batch, with range(1) interesting and range(1) uninteresting items
/// each.
void run(benchmark::State& state, ladder::RelaxedRanking* level) {
  const int64_t interesting = state.range(1);
  const auto batch = scored_batch(state.range(0), 2 * interesting);
  // Samples and scores read, the gradient written.
  measure(state, {.bytes = 12 * batch.batch_slots()}, [&] {
    level(batch.loss.view(), batch.gradient(),
          {.score = batch.scores(),
           .batch = batch.batch(),
           .interesting = interesting,
           .scale = 1e-3f},
          stream());
  });
}

[[maybe_unused]] const bool registered = [] {
  for (const ladder::RelaxedRankingLevel& level : ladder::kRelaxedRankingLevels) {
    const std::string name = std::string("relaxed_ranking/") + level.name;
    benchmark::RegisterBenchmark(name.c_str(), run, level.run)
        ->Apply(wall_clock)
        ->ArgNames({"B", "K"})
        ->Args({100'000, 40})
        ->Args({850, 40});  // CiteULike's batch
  }
  return true;
}();

}  // namespace
}  // namespace derrd::bench
