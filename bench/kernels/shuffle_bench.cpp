#include "kernels/shuffle.h"

#include <benchmark/benchmark.h>

#include "bench/kernels/support.h"
#include "kernels/platform/sort.h"

namespace derrd::bench {
namespace {

void shuffle(benchmark::State& state) {
  const int64_t n = state.range(0);
  const DeviceArray<uint64_t> keys(n), sorted_keys(n);
  const DeviceArray<uint32_t> values(n), order(n);
  const DeviceArray<uint8_t> scratch(sort_pairs_scratch_bytes(n));
  const DeviceArray<int32_t> in = index_array(n, n, 1);
  const DeviceArray<int32_t> out(n);
  measure(state, {}, [&] {
    shuffle_keys({keys.view(), values.view()}, {0, RandomPurpose::kShuffle, 0}, stream());
    sort_pairs({sorted_keys.view(), order.view()}, {keys.view(), values.view()}, 64, scratch.view(),
               stream());
    gather_values(out.view(), in.view(), order.view(), stream());
  });
}
BENCHMARK(shuffle)
    ->Name("shuffle_keys_sort_gather")
    ->Apply(wall_clock)
    ->ArgNames({"n"})
    ->Args({115'142})
    ->Args({20'000'000});

}  // namespace
}  // namespace derrd::bench
