#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "kernels/distill/slot_scores.h"
#include "kernels/epoch/ranking_slots.h"
#include "tests/cases/batch_rows.h"
#include "tests/kernels/support.h"

namespace derrd::test {

/// Tables, samples and a batch of anchors, with arbitrary gradients of the scores.
struct SlotCase {
  SlotCase(int64_t anchor_rows, int64_t other_rows, int64_t dims, int64_t slots_each,
           std::vector<int32_t> batch_anchors, int empty_percent = 0)
      : anchors(anchor_rows),
        others(other_rows),
        cols(dims),
        slots(slots_each),
        batch(std::move(batch_anchors)),
        capacity(static_cast<int64_t>(batch.size()) + 2),
        anchor(random_normal(anchors * cols, 1)),
        other(random_normal(others * cols, 2)),
        weight(random_normal(capacity * slots, 3)),
        samples(random_below(anchors * slots, static_cast<int32_t>(others), 4)),
        segments(batch),
        cursor({BatchCursor{0, 0, static_cast<int32_t>(batch.size())}}) {
    const std::vector<int32_t> percent = random_below(anchors * slots, 100, 5);
    for (size_t i = 0; i < samples.size(); ++i) {
      if (percent[i] < empty_percent) samples[i] = -1;
    }
    device_samples = DeviceArray<int32_t>(samples, stream());
    const SlotCode code = slot_code(slots);
    std::vector<int32_t> offsets = {0};
    std::vector<uint32_t> occurrences;
    for (int32_t row = 0; row <= others; ++row) {
      for (size_t i = 0; i < samples.size(); ++i) {
        if (samples[i] != (row < others ? row : -1)) continue;
        const auto flat = static_cast<int64_t>(i);
        occurrences.push_back(code.pack(flat / slots, flat % slots));
      }
      if (row < others) offsets.push_back(static_cast<int32_t>(occurrences.size()));
    }
    std::vector<int32_t> position(static_cast<size_t>(anchors), -1);
    for (size_t i = 0; i < segments.rows.size(); ++i) {
      position[static_cast<size_t>(segments.rows[i])] = static_cast<int32_t>(i);
    }
    device_offsets = DeviceArray<int32_t>(offsets, stream());
    device_occurrences = DeviceArray<uint32_t>(occurrences, stream());
    device_position = DeviceArray<int32_t>(position, stream());
  }

  SlotBatch view() const {
    RowSegments rows = segments.view(0);
    rows.batch = cursor.data();
    rows.capacity = capacity;
    return {{device_samples.data(), anchors, slots}, rows};
  }
  SlotIndex index() const {
    return {device_offsets.view(), device_occurrences.view(), device_position.view()};
  }
  int32_t sample(int32_t row, int64_t slot) const {
    return samples[static_cast<size_t>(row * slots + slot)];
  }

  int64_t anchors, others, cols, slots;
  std::vector<int32_t> batch;
  int64_t capacity;
  std::vector<float> anchor, other, weight;
  std::vector<int32_t> samples;
  cases::BatchRows segments;
  Guarded<BatchCursor> cursor;
  DeviceArray<int32_t> device_samples, device_offsets, device_position;
  DeviceArray<uint32_t> device_occurrences;
};

}  // namespace derrd::test
