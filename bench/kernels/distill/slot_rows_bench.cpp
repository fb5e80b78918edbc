#include "kernels/distill/slot_rows.h"

#include <algorithm>

#include "bench/kernels/epoch/ranking_lists.h"
#include "bench/kernels/large.h"
#include "kernels/platform/sort.h"
#include "tests/cases/slots.h"

namespace derrd::bench::slot_rows_bench {
namespace {

constexpr int64_t kSlots = 40;

/// range(0) anchors of kSlots slots that hold popular rows of range(1), range(2) anchors in the
/// batch.
void slot_rows(benchmark::State& state) {
  const int64_t anchors = state.range(0), rows = state.range(1), count = state.range(2);
  std::vector<int32_t> batch;  // every anchors / count-th anchor
  for (int64_t i = 0; i < count; ++i) batch.push_back(static_cast<int32_t>(i * (anchors / count)));
  const cases::IndexedSlots data(
      rows, {anchors, kSlots, popular_rows(anchors, kSlots, rows, 1), batch, 0});
  const DeviceArray<int32_t> held(rows), positions(rows + 1);
  const DeviceArray<BatchCursor> found(1);
  const DeviceArray<uint8_t> scratch(exclusive_sum_scratch_bytes(rows + 1));

  // A row's slots are read, and their anchors' positions, up to the first of the batch.
  const std::vector<int32_t> position = data.device_position.to_host(stream());
  int64_t walked = 0;
  for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
    const auto begin = data.occurrences.begin() + data.offsets[row];
    const auto end = data.occurrences.begin() + data.offsets[row + 1];
    const auto first = std::find_if(begin, end, [&](uint32_t slot) {
      return position[static_cast<size_t>(slot_code(kSlots).anchor(slot))] > 0;
    });
    walked += first - begin + (first == end ? 0 : 1);
  }
  measure(state, {.bytes = static_cast<double>(8 * walked + 20 * rows)}, [&] {
    find_slot_rows({held.view(), found.data(), positions.view(), scratch.view()},
                   data.batch().anchors, data.index(), kSlots, stream());
  });
}
BENCHMARK(slot_rows)
    ->Name("find_slot_rows")
    ->Apply(wall_clock)
    ->ArgNames({"A", "R", "B"})
    ->Args({5'219, 25'181, 850});

[[maybe_unused]] const bool large =
    add_large({"A", "R", "B"}, {{1'000'000, 1'000'000, 65'536}},
              [](const Arguments& shape) { return 16 * shape[0] * kSlots + 20 * shape[1]; },
              {{"find_slot_rows", slot_rows}});

}  // namespace
}  // namespace derrd::bench::slot_rows_bench
