#include "kernels/distill/slot_rows.h"

#include "bench/kernels/distill/slot_batch.h"
#include "bench/kernels/epoch/ranking_lists.h"
#include "bench/kernels/large.h"
#include "kernels/epoch/slot_index.h"
#include "kernels/platform/sort.h"

namespace derrd::bench::slot_rows_bench {
namespace {

constexpr int64_t kSlots = 40;

/// range(0) anchors of kSlots slots that hold popular rows of range(1), range(2) anchors in the
/// batch.
void slot_rows(benchmark::State& state) {
  const int64_t anchors = state.range(0), rows = state.range(1), batch = state.range(2);
  const int64_t n = anchors * kSlots;
  const DeviceArray<int32_t> samples = to_device(popular_rows(anchors, kSlots, rows, 1));
  const DeviceArray<int32_t> offsets(rows + 1), held(rows), places(rows + 1);
  const DeviceArray<uint32_t> occurrences(n), values(n);
  const DeviceArray<uint64_t> keys(n), sorted_keys(n);
  const DeviceArray<uint8_t> sort_scratch(sort_pairs_scratch_bytes(n));
  const DeviceArray<uint8_t> scratch(exclusive_sum_scratch_bytes(rows + 1));
  ranking_occurrence_keys({keys.view(), values.view()}, samples.matrix(anchors, kSlots), stream());
  sort_pairs({sorted_keys.view(), occurrences.view()}, {keys.view(), values.view()}, 32,
             sort_scratch.view(), stream());
  row_offsets(offsets.view(), sorted_keys.view(), stream());

  // Every stride-th anchor.
  const int64_t stride = anchors / batch;
  std::vector<int32_t> of_batch, where(static_cast<size_t>(anchors), -1);
  for (int64_t i = 0; i < batch; ++i) {
    of_batch.push_back(static_cast<int32_t>(i * stride));
    where[static_cast<size_t>(i * stride)] = static_cast<int32_t>(i);
  }
  const DeviceArray<int32_t> batch_rows = to_device(of_batch), position = to_device(where);
  const DeviceArray<BatchCursor> cursors =
      to_device(std::vector<BatchCursor>{{0, 0, static_cast<int32_t>(batch)}, {}});
  // A row's slots are read, and their anchors' positions, up to the first of the batch.
  const std::vector<int32_t> first_slot = offsets.to_host(stream());
  const std::vector<uint32_t> slots = occurrences.to_host(stream());
  int64_t walked = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const auto begin = slots.begin() + first_slot[static_cast<size_t>(row)];
    const auto end = slots.begin() + first_slot[static_cast<size_t>(row + 1)];
    const auto found = std::find_if(begin, end, [&](uint32_t slot) {
      return where[static_cast<size_t>(slot_code(kSlots).anchor(slot))] >= 0;
    });
    walked += found - begin + (found == end ? 0 : 1);
  }
  measure(state, {.bytes = static_cast<double>(8 * walked + 20 * rows)}, [&] {
    find_slot_rows({held.view(), cursors.data() + 1, places.view(), scratch.view()},
                   {batch_rows.view(), {}, {}, cursors.data(), batch},
                   {offsets.view(), occurrences.view(), position.view()}, kSlots, stream());
  });
}
BENCHMARK(slot_rows)
    ->Name("find_slot_rows")
    ->Apply(wall_clock)
    ->ArgNames({"A", "R", "B"})
    ->Args({5'219, 25'181, 850});

[[maybe_unused]] const bool large =
    add_large({"A", "R", "B"}, {{1'000'000, 1'000'000, 65'536}},
              [](const Arguments& shape) { return 64 * shape[0] * kSlots + 20 * shape[1]; },
              {{"find_slot_rows", slot_rows}});

}  // namespace
}  // namespace derrd::bench::slot_rows_bench
