#include <benchmark/benchmark.h>

#include <bit>
#include <string>
#include <vector>

#include "bench/kernels/support.h"
#include "bench/ladders/adam_rows/distinct_rows.h"
#include "bench/ladders/adam_rows/levels.h"

namespace derrd::bench {
namespace {

constexpr AdamOptions kOptions = {.weight_decay = 1e-3};
constexpr double kFlops = 14;  // of an element's update
constexpr int kArguments = 4;

/// A table of range(0) rows and range(1) columns, of which range(3) steps read range(2) rows each.
struct Epoch {
  explicit Epoch(const benchmark::State& state)
      : rows(state.range(0)),
        dim(state.range(1)),
        batch(state.range(2)),
        steps(state.range(3)),
        value(normal_array(rows * dim, 1, 0.1f)),
        first_moment(zero_array<float>(rows * dim)),
        second_moment(zero_array<float>(rows * dim)),
        gradient(zero_array<float>(rows * dim)),
        applied(zero_array<uint32_t>(rows)),
        read(to_device(ladder::distinct_rows(steps, batch, rows, 2))),
        batches(to_device(ladder::batches_of(steps, batch))),
        updates(zero_array<int64_t>(1)),
        corrections(zero_array<AdamCorrections>(
            static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(steps))))) {}

  ladder::AdamEpoch view() const {
    const AdamRows table = {value.matrix(rows, dim), first_moment.matrix(rows, dim),
                            second_moment.matrix(rows, dim), gradient.matrix(rows, dim),
                            applied.view()};
    return {
        table, {read.data(), steps, batch}, batches.view(), {updates.data(), corrections.view()}};
  }
  /// What must move at least: a row when it is read, and all of them at the end.
  Work work() const {
    const double moved = static_cast<double>(dim * (batch * steps + rows));
    return {.bytes = 32 * moved, .flops = kFlops * static_cast<double>(rows * dim * steps)};
  }

  int64_t rows, dim, batch, steps;
  DeviceArray<float> value, first_moment, second_moment, gradient;
  DeviceArray<uint32_t> applied;
  DeviceArray<int32_t> read;
  DeviceArray<BatchCursor> batches;
  DeviceArray<int64_t> updates;
  DeviceArray<AdamCorrections> corrections;
};

/// The levels find the table as the one before left it: no row has missed updates, all have
/// moments.
void run(benchmark::State& state, ladder::AdamSteps* level) {
  const Epoch& epoch = kept_data<Epoch, kArguments>(state);
  const ladder::AdamEpoch view = epoch.view();
  measure(state, epoch.work(), [&] { level(view, kOptions, stream()); });
}

[[maybe_unused]] const bool registered = [] {
  const std::vector<std::vector<int64_t>> shapes = {{30'000, 200, 2'900, 113},  // CiteULike's
                                                    {1'000'000, 64, 3'000, 20},
                                                    {1'000'000, 128, 3'000, 20}};
  for (const std::vector<int64_t>& shape : shapes) {
    for (const ladder::AdamRowsLevel& level : ladder::kAdamRowsLevels) {
      const std::string name = std::string("adam_rows/") + level.name;
      benchmark::RegisterBenchmark(name.c_str(), run, level.run)
          ->Apply(wall_clock)
          ->Unit(benchmark::kMillisecond)
          ->ArgNames({"R", "D", "B", "steps"})
          ->Args(shape);
    }
  }
  return true;
}();

}  // namespace
}  // namespace derrd::bench
