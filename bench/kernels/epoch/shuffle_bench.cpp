#include "kernels/epoch/shuffle.h"

#include <benchmark/benchmark.h>

#include "bench/kernels/large.h"
#include "bench/kernels/support.h"
#include "tests/cases/sort_arrays.h"

namespace derrd::bench::shuffle_bench {
namespace {

/// range(0) elements.
struct Elements : cases::SortArrays<DeviceArray> {
  explicit Elements(const benchmark::State& state)
      : SortArrays(state.range(0)), n(state.range(0)), in(index_array(n, n, 1)), out(n) {
    shuffle();
  }
  static int64_t bytes(const Arguments& shape) { return 64 * shape[0]; }

  void make_keys() const { shuffle_keys(unsorted(), {0, RandomPurpose::kShuffle, 0}, stream()); }
  void gather() const {
    gather_values(Gathering{out.view(), in.view(), sorted_values.view()}, stream());
  }
  void shuffle() const {
    derrd::shuffle(sorted(), unsorted(), {0, RandomPurpose::kShuffle, 0}, scratch.view(), stream());
    gather();
  }

  int64_t n;
  DeviceArray<int32_t> in, out;
};

void keys(benchmark::State& state) {
  const Elements& e = kept_data<Elements, 1>(state);
  measure(state, {.bytes = 12.0 * static_cast<double>(e.n)}, [&] { e.make_keys(); });
}

void gather(benchmark::State& state) {
  const Elements& e = kept_data<Elements, 1>(state);
  measure(state, {.bytes = (8 + sectors(4)) * static_cast<double>(e.n)}, [&] { e.gather(); });
}

void shuffle(benchmark::State& state) {
  const Elements& e = kept_data<Elements, 1>(state);
  measure(state, {}, [&] { e.shuffle(); });
}
BENCHMARK(shuffle)->Name("shuffle_gather")->Apply(wall_clock)->ArgNames({"n"})->Arg(115'142);

[[maybe_unused]] const bool large =
    add_large({"n"}, {{20'000'000}}, Elements::bytes,
              {{"shuffle_keys", keys}, {"gather_values", gather}, {"shuffle_gather", shuffle}});

}  // namespace
}  // namespace derrd::bench::shuffle_bench
