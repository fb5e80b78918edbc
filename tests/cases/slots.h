#pragma once

#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "kernels/distill/slot_scores.h"
#include "kernels/epoch/ranking_slots.h"
#include "tests/cases/batch_rows.h"
#include "tests/cases/support.h"

namespace derrd::cases {

/// The numbers first, first + 1, ..., first + n - 1.
inline std::vector<int32_t> ascending(int64_t n, int32_t first = 0) {
  std::vector<int32_t> values(static_cast<size_t>(n));
  std::iota(values.begin(), values.end(), first);
  return values;
}

/// n samples below `others`, uniform; `empty_percent` in a hundred are empty.
inline std::vector<int32_t> random_samples(int64_t n, int64_t others, int empty_percent,
                                           uint64_t seed = 1) {
  std::vector<int32_t> samples = index_array(n, others, seed).to_host(stream());
  const std::vector<int32_t> percent = index_array(n, 100, seed + 1).to_host(stream());
  for (size_t i = 0; i < samples.size(); ++i) {
    if (percent[i] < empty_percent) samples[i] = -1;
  }
  return samples;
}

/// Slots of all anchors, and a batch of some anchors: what every ranking loss takes.
struct SlotsCase {
  /// @param host_samples [anchor_rows, slots_each]; -1: empty
  /// @param batch_anchors distinct
  /// @param spare number of anchors that a batch may have beyond this one
  SlotsCase(int64_t anchor_rows, int64_t slots_each, std::vector<int32_t> host_samples,
            const std::vector<int32_t>& batch_anchors, int64_t spare = 2)
      : anchors(anchor_rows),
        slots(slots_each),
        samples(std::move(host_samples)),
        batch_rows(batch_anchors),
        capacity(batch_rows.capacity + spare),
        device_samples(to_device(samples)),
        cursor(one_batch(batch_rows.capacity)) {}

  SlotBatch batch() const {
    RowSegments rows = batch_rows.view();
    rows.batch = cursor.data();
    rows.capacity = capacity;
    return {device_samples.matrix(anchors, slots), rows};
  }
  /// Row of the batch's n-th anchor.
  int32_t anchor(size_t n) const { return batch_rows.rows[n]; }
  int32_t sample(int32_t row, int64_t slot) const {
    return samples[static_cast<size_t>(row * slots + slot)];
  }
  double batch_slots() const { return static_cast<double>(batch_rows.capacity * slots); }

  int64_t anchors, slots;
  std::vector<int32_t> samples;
  BatchRows batch_rows;
  int64_t capacity;
  DeviceArray<int32_t> device_samples;
  DeviceArray<BatchCursor> cursor;
};

/// Slots with the inverse of their samples.
struct IndexedSlots : SlotsCase {
  IndexedSlots(int64_t other_rows, SlotsCase slots_case)
      : SlotsCase(std::move(slots_case)), others(other_rows), occurrences(samples.size()) {
    // A counting sort, empty slots last.
    const auto row_of = [&](int32_t sample) {
      return static_cast<size_t>(sample < 0 ? others : sample);
    };
    std::vector<int32_t> next(static_cast<size_t>(others + 2));
    for (const int32_t sample : samples) ++next[row_of(sample) + 1];
    std::partial_sum(next.begin(), next.end(), next.begin());
    offsets.assign(next.begin(), next.end() - 1);
    const SlotCode code = slot_code(slots);
    for (int64_t i = 0; i < std::ssize(samples); ++i) {
      const auto at = static_cast<size_t>(next[row_of(samples[static_cast<size_t>(i)])]++);
      occurrences[at] = code.pack(i / slots, i % slots);
    }
    std::vector<int32_t> position(static_cast<size_t>(anchors));
    for (size_t n = 0; n < batch_rows.rows.size(); ++n) {
      position[static_cast<size_t>(anchor(n))] = static_cast<int32_t>(n + 1);
    }
    device_offsets = to_device(offsets);
    device_occurrences = to_device(occurrences);
    device_position = to_device(position);
  }

  SlotIndex index() const {
    return {device_offsets.view(), device_occurrences.view(), device_position.view()};
  }
  /// Bytes of a walk over all anchors' slots by row, and of each anchor's position.
  double walk_bytes() const { return static_cast<double>(8 * anchors * slots + 4 * others); }

  int64_t others;
  std::vector<int32_t> offsets;
  std::vector<uint32_t> occurrences;
  DeviceArray<int32_t> device_offsets, device_position;
  DeviceArray<uint32_t> device_occurrences;
};

/// Scores of a batch's slots, and what a loss makes of them.
/// @tparam Array owns the outputs: DeviceArray, or Guarded in tests
template <template <class> class Array>
struct ScoredSlots : SlotsCase {
  /// @param values [capacity, slots]
  ScoredSlots(SlotsCase slots_case, DeviceArray<float> values)
      : SlotsCase(std::move(slots_case)),
        score(std::move(values)),
        loss(capacity),
        grad_score(capacity * slots) {}

  Matrix<const float> scores() const { return score.matrix(capacity, slots); }
  Matrix<float> gradient() const { return grad_score.matrix(capacity, slots); }

  DeviceArray<float> score;
  Array<float> loss, grad_score;
};

}  // namespace derrd::cases
