#include "kernels/distill/expert_pairs.h"

#include "bench/kernels/large.h"
#include "bench/kernels/support.h"

namespace derrd::bench::expert_pairs_bench {
namespace {

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
[[maybe_unused]] const bool large =
    add_large({"N"}, {{1'000'000}}, [](const Arguments& shape) { return 120 * shape[0]; },
              {{"count_pairs", count}});

}  // namespace
}  // namespace derrd::bench::expert_pairs_bench
