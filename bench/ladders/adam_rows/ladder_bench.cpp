#include <benchmark/benchmark.h>

#include <bit>
#include <string>
#include <vector>

#include "bench/kernels/support.h"
#include "bench/ladders/adam_rows/distinct_rows.h"
#include "bench/ladders/adam_rows/levels.h"
#include "tests/cases/adam_table.h"

namespace derrd::bench {
namespace {

constexpr AdamOptions kOptions = {.weight_decay = 1e-3};
constexpr double kFlops = 14;  // of an element's update
constexpr int kArguments = 4;

/// A table of range(0) rows and range(1) columns, of which range(3) steps read range(2) rows each.
struct Epoch : cases::AdamTable<DeviceArray> {
  explicit Epoch(const benchmark::State& state)
      : AdamTable(state.range(0), state.range(1),
                  normal_array(state.range(0) * state.range(1), 1, 0.1f)),
        batch(state.range(2)),
        steps(state.range(3)),
        read(to_device(ladder::distinct_rows(steps, batch, rows, 2))),
        batches(to_device(ladder::batches_of(steps, batch))),
        updates(static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(steps)))) {}

  ladder::AdamEpoch epoch() const {
    return {view(), {read.data(), steps, batch}, batches.view(), updates.view()};
  }
  /// Least traffic: a row when it is read, and all of them at the end.
  Work work() const {
    const double moved = static_cast<double>(dim * (batch * steps + rows));
    return {.bytes = 32 * moved, .flops = kFlops * static_cast<double>(rows * dim * steps)};
  }

  int64_t batch, steps;
  DeviceArray<int32_t> read;
  DeviceArray<BatchCursor> batches;
  cases::AdamUpdates<DeviceArray> updates;
};

/// The levels find the table as the one before left it: no row has missed updates, all have
/// moments.
void run(benchmark::State& state, ladder::AdamSteps* level) {
  const Epoch& data = kept_data<Epoch, kArguments>(state);
  const ladder::AdamEpoch epoch = data.epoch();
  measure(state, data.work(), [&] { level(epoch, kOptions, stream()); });
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
