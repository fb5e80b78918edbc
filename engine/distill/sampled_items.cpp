#include "engine/distill/sampled_items.h"

#include <algorithm>

#include "kernels/distill/slot_rows.h"

namespace derrd {

SampledItems::SampledItems(const RrdOptions& rrd, const DeviceDataset& data,
                           Matrix<const int32_t> lists, int64_t user_capacity, const Stream& stream)
    : sampler_(sampler_options(rrd), lists, data.train(), data.items(), stream),
      slots_(data.users(), data.items(), sampler_.slots()),
      capacity_(std::min(data.items(), user_capacity * sampler_.slots())),
      rows_(data.items()),
      places_(data.items() + 1),
      sum_scratch_(exclusive_sum_scratch_bytes(data.items() + 1)),
      cursor_(1) {}

void SampledItems::begin_epoch(const EpochPlan& plan, const Stream& stream) {
  sampler_.draw(slots_.samples(), plan.seed(), plan.epoch(), stream);
  slots_.invert(sampler_.space(), stream);
}

RowSegments SampledItems::of_batch(const EpochPlan& plan, const Stream& stream) const {
  const RowSegments users = plan.distinct_users();
  find_slot_rows({rows_.view(), cursor_.data(), places_.view(), sum_scratch_.view()}, users,
                 slots_.index(users, stream), sampler_.slots(), stream);
  return {rows_.view(), {}, {}, cursor_.data(), capacity_};
}

}  // namespace derrd
