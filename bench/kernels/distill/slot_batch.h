#pragma once

#include <cstdint>
#include <numeric>
#include <vector>

#include "bench/kernels/support.h"
#include "kernels/distill/slot_scores.h"

namespace derrd::bench {

/// Scores of the slots of `anchors` anchors, all of them in the batch, and what a loss writes.
struct ScoredBatch {
  ScoredBatch(int64_t batch_anchors, int64_t batch_slots)
      : anchors(batch_anchors),
        slots(batch_slots),
        samples(index_array(anchors * slots, 25'000, 1)),
        rows(to_device(ascending(anchors))),
        cursor(one_batch(anchors)),
        score(random_array(anchors * slots, 2)),
        grad_score(zero_array<float>(anchors * slots)),
        loss(zero_array<float>(anchors)) {}

  SlotBatch view() const {
    return {samples.matrix(anchors, slots), {rows.view(), {}, {}, cursor.data(), anchors}};
  }
  double pairs() const { return static_cast<double>(anchors * slots); }

  static std::vector<int32_t> ascending(int64_t n) {
    std::vector<int32_t> values(static_cast<size_t>(n));
    std::iota(values.begin(), values.end(), 0);
    return values;
  }

  int64_t anchors, slots;
  DeviceArray<int32_t> samples, rows;
  DeviceArray<BatchCursor> cursor;
  DeviceArray<float> score, grad_score, loss;
};

}  // namespace derrd::bench
