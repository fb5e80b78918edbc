#include "engine/distill/sampled_rows.h"

#include <algorithm>
#include <utility>

#include "kernels/distill/slot_rows.h"
#include "kernels/platform/sort.h"

namespace derrd {

SampledRows::SampledRows(std::shared_ptr<RankingSamples> samples, int64_t rows,
                         int64_t anchor_capacity)
    : samples_(std::move(samples)),
      capacity_(std::min(rows, anchor_capacity * samples_->slots().samples().cols)),
      rows_(rows),
      positions_(rows + 1),
      sum_scratch_(exclusive_sum_scratch_bytes(rows + 1)),
      cursor_(1) {}

int64_t SampledRows::device_bytes(int64_t rows) {
  return (2 * rows + 1) * static_cast<int64_t>(sizeof(int32_t)) +
         exclusive_sum_scratch_bytes(rows + 1) + static_cast<int64_t>(sizeof(BatchCursor));
}

RowSegments SampledRows::of_batch(RowSegments anchors, const Stream& stream) const {
  const SlotSamples& slots = samples_->slots();
  locate_rows(slots.position(), anchors, stream);
  find_slot_rows({rows_.view(), cursor_.data(), positions_.view(), sum_scratch_.view()}, anchors,
                 slots.index(), slots.samples().cols, stream);
  return {rows_.view(), {}, {}, cursor_.data(), capacity_};
}

}  // namespace derrd
