#include "kernels/update/adam.h"

#include <cstdint>
#include <random>
#include <vector>

#include "bench/kernels/large.h"
#include "bench/kernels/support.h"
#include "tests/cases/adam_table.h"
#include "tests/cases/batch_rows.h"

namespace derrd::bench::adam_bench {
namespace {

constexpr AdamOptions kOptions = {.weight_decay = 1e-3};
constexpr double kBytes = 32;  // of an element: value, moments and gradient, read and written
constexpr double kFlops = 14;

/// A table [range(0) rows, range(1)] with all that Adam keeps of it.
struct Table : cases::AdamTable<DeviceArray> {
  explicit Table(const benchmark::State& state)
      : AdamTable(state.range(0), state.range(1),
                  random_array(state.range(0) * state.range(1), 1, 0.01f)),
        updates(kWindow) {
    gradient = random_array(rows * dim, 2);
  }
  static int64_t bytes(const Arguments& shape) { return shape[0] * (16 * shape[1] + 4); }

  void advance() const { adam_advance(updates.view(), kOptions, stream()); }
  /// All rows, or those of a batch.
  void catch_up(RowSegments batch = {}) const {
    const AdamRead read = {view(), batch, {}};
    adam_catch_up({&read, 1}, kOptions, updates.view(), stream());
  }
  double elements() const { return static_cast<double>(rows * dim); }

  static constexpr int64_t kWindow = 128;   // steps between two epochs' ends, at most
  cases::AdamUpdates<DeviceArray> updates;  ///< of the lazy rows
};

/// Updates of all rows at every step.
struct EveryStep {
  void step() const {
    adam_advance(updates.view(), kOptions, stream());
    adam_update(table.view().parameters(), kOptions, updates.view(), stream());
  }

  const Table& table;
  cases::AdamUpdates<DeviceArray> updates{1};
};

// One update of every row, at once.
void update(benchmark::State& state) {
  const Table& t = kept_data<Table, 2>(state);
  const EveryStep optimizer{t};
  const Work work = {.bytes = kBytes * t.elements(), .flops = kFlops * t.elements()};
  measure(state, work, [&] { optimizer.step(); });
}

// One update of every row, in the kernel for lazy rows.
void catch_up_all(benchmark::State& state) {
  const Table& t = kept_data<Table, 2>(state);
  const double rows = static_cast<double>(t.rows);
  const Work work = {.bytes = kBytes * t.elements() + 8 * rows, .flops = kFlops * t.elements()};
  measure(state, work, [&] {
    t.advance();
    t.catch_up();
  });
}

// One update of every eighth row or so, picked at random.
void catch_up_batch(benchmark::State& state) {
  const Table& t = kept_data<Table, 2>(state);
  const int64_t samples = t.rows / 8;
  const cases::BatchRows batch(index_array(samples, t.rows, 3).to_host(stream()));
  t.catch_up();
  const double rows = static_cast<double>(batch.capacity);
  const double elements = rows * static_cast<double>(t.dim);
  const Work work = {.bytes = kBytes * elements + 12 * rows, .flops = kFlops * elements};
  measure(state, work, [&] {
    t.advance();
    t.catch_up(batch.view());
  });
  t.catch_up();
}

/// The distinct rows that `steps` batches read: a random one of each of `batch` equal parts of the
/// table.
DeviceArray<int32_t> rows_of_batches(int64_t rows, int64_t batch, int64_t steps) {
  std::mt19937_64 random(4);
  std::vector<int32_t> read;
  for (int64_t i = 0; i < batch * steps; ++i) {
    const int64_t begin = i % batch * rows / batch;
    const int64_t end = (i % batch + 1) * rows / batch;
    read.push_back(static_cast<int32_t>(
        begin + static_cast<int64_t>(random() % static_cast<uint64_t>(end - begin))));
  }
  return to_device(read);
}

/// An epoch of range(3) steps, each of which reads range(2) rows.
template <bool kLazy>
void epoch(benchmark::State& state) {
  const Table& t = kept_data<Table, 2>(state);
  const int64_t batch = state.range(2);
  const int64_t steps = state.range(3);
  const DeviceArray<int32_t> read = rows_of_batches(t.rows, batch, steps);
  std::vector<BatchCursor> batches;
  for (int64_t s = 0; s < steps; ++s) {
    batches.push_back(
        {static_cast<int32_t>(s), static_cast<int32_t>(s * batch), static_cast<int32_t>(batch)});
  }
  const DeviceArray<BatchCursor> cursors = to_device(batches);
  const EveryStep optimizer{t};
  const double all = t.elements() * static_cast<double>(steps);
  const double moved = static_cast<double>(t.dim * (batch * steps + t.rows));
  const Work work = {.bytes = kBytes * (kLazy ? moved : all), .flops = kFlops * all};
  measure(state, work, [&] {
    for (int64_t s = 0; s < steps; ++s) {
      if (kLazy) {
        t.catch_up({read.view(), {}, {}, cursors.data() + s, batch});
        t.advance();
      } else {
        optimizer.step();
      }
    }
    if (kLazy) t.catch_up();
  });
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  wall_clock(benchmark);
  benchmark->ArgNames({"R", "D"})->ArgsProduct({{30'000}, {20, 200}});
}
BENCHMARK(update)->Name("adam_update")->Apply(shapes);
BENCHMARK(catch_up_all)->Name("adam_catch_up_all")->Apply(shapes);
BENCHMARK(catch_up_batch)->Name("adam_catch_up_batch")->Apply(shapes);

void epochs(benchmark::internal::Benchmark* benchmark) {
  wall_clock(benchmark);
  benchmark->ArgNames({"R", "D", "B", "steps"})->ArgsProduct({{30'000}, {20, 200}, {2'900}, {113}});
}
BENCHMARK(epoch<false>)->Name("adam_epoch_every_step")->Apply(epochs);
BENCHMARK(epoch<true>)->Name("adam_epoch_lazy")->Apply(epochs);

const bool large_tables =
    add_large({"R", "D"}, {{1'000'000, 64}, {1'000'000, 128}, {10'000'000, 64}, {10'000'000, 128}},
              Table::bytes,
              {{"adam_update", update},
               {"adam_catch_up_all", catch_up_all},
               {"adam_catch_up_batch", catch_up_batch}});
[[maybe_unused]] const bool large_epochs = add_large(
    {"R", "D", "B", "steps"}, {{1'000'000, 64, 3'000, 50}, {1'000'000, 128, 3'000, 50}},
    Table::bytes, {{"adam_epoch_every_step", epoch<false>}, {"adam_epoch_lazy", epoch<true>}});

}  // namespace
}  // namespace derrd::bench::adam_bench
