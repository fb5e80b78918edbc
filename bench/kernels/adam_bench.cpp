#include "kernels/adam.h"

#include <bit>

#include "bench/kernels/support.h"
#include "kernels/adam_rows.h"

namespace derrd::bench {
namespace {

constexpr AdamOptions kOptions = {.weight_decay = 1e-3};
constexpr double kFlops = 14;  // of an element's update

/// A table with Adam's state, of random values.
struct Table {
  Table(int64_t rows, int64_t dim)
      : shape{nullptr, rows, dim},
        value(normal_array(rows * dim, 1, 0.01f)),
        first_moment(zero_array<float>(rows * dim)),
        second_moment(zero_array<float>(rows * dim)),
        gradient(normal_array(rows * dim, 2)),
        applied(zero_array<uint32_t>(rows)) {}

  AdamRows rows() const {
    const auto matrix = [&](const DeviceArray<float>& array) {
      return array.matrix(shape.rows, shape.cols);
    };
    return {matrix(value), matrix(first_moment), matrix(second_moment), matrix(gradient),
            applied.view()};
  }

  Matrix<float> shape;
  DeviceArray<float> value, first_moment, second_moment, gradient;
  DeviceArray<uint32_t> applied;
};

/// The updates of an epoch of `steps` steps.
struct Updates {
  explicit Updates(int64_t window)
      : steps(zero_array<int64_t>(1)),
        corrections(zero_array<AdamCorrections>(
            static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(window))))) {}
  AdamHistory history() const { return {steps.data(), corrections.view()}; }

  DeviceArray<int64_t> steps;
  DeviceArray<AdamCorrections> corrections;
};

/// Every element at every step.
void adam(benchmark::State& state) {
  const int64_t n = state.range(0);
  const Table table(1, n);
  const Updates updates(1);
  const Work work = {.bytes = 32.0 * static_cast<double>(n),
                     .flops = kFlops * static_cast<double>(n)};
  measure(state, work, [&] {
    adam_advance(updates.history(), kOptions, stream());
    adam_update(table.value.view(), table.first_moment.view(), table.second_moment.view(),
                table.gradient.view(), kOptions, updates.history(), stream());
  });
}
BENCHMARK(adam)->Apply(wall_clock)->Arg(608'000)->Arg(6'080'000)->Arg(100'000'000);

/// An epoch's updates of a table, of which every step reads B random rows: a step's share. Row by
/// row when read (Lazy 1), with what an epoch's end leaves to do, or all at every step (0). Bytes
/// are those of the rows that are moved.
void adam_epoch(benchmark::State& state) {
  const int64_t rows = state.range(0);
  const int64_t dim = state.range(1);
  const int64_t batch = state.range(2);
  const int64_t steps = state.range(3);
  const bool lazy = state.range(4) != 0;
  const Table table(rows, dim);
  const Updates updates(steps);
  const DeviceArray<int32_t> read = index_array(batch * steps, rows, 3);
  std::vector<BatchCursor> batches;
  for (int64_t s = 0; s < steps; ++s) {
    batches.push_back(
        {static_cast<int32_t>(s), static_cast<int32_t>(s * batch), static_cast<int32_t>(batch)});
  }
  const DeviceArray<BatchCursor> cursors = to_device(batches);
  const double elements = static_cast<double>(rows * dim * steps);
  const double moved = static_cast<double>(dim * (batch * steps + rows));
  const Work work = {.bytes = 32 * (lazy ? moved : elements), .flops = kFlops * elements};
  measure(state, work, [&] {
    for (int64_t s = 0; s < steps; ++s) {
      if (lazy) {
        const AdamRead rows_of_step = {
            table.rows(), {read.view(), {}, {}, cursors.data() + s, batch}, {}};
        adam_catch_up({&rows_of_step, 1}, kOptions, updates.history(), stream());
      }
      adam_advance(updates.history(), kOptions, stream());
      if (!lazy) {
        adam_update(table.value.view(), table.first_moment.view(), table.second_moment.view(),
                    table.gradient.view(), kOptions, updates.history(), stream());
      }
    }
    const AdamRead all = {table.rows(), {}, {}};
    if (lazy) adam_catch_up({&all, 1}, kOptions, updates.history(), stream());
  });
}
BENCHMARK(adam_epoch)
    ->Apply(wall_clock)
    ->ArgNames({"R", "D", "B", "steps", "lazy"})
    ->ArgsProduct({{30'000}, {20, 200}, {2'900}, {113}, {0, 1}})
    ->ArgsProduct({{1'000'000}, {64, 128}, {3'000}, {100}, {0, 1}});

}  // namespace
}  // namespace derrd::bench
