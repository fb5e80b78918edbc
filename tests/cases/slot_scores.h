#pragma once

#include "tests/cases/slots.h"

namespace derrd::cases {

/// Slots with embeddings of the anchors and of the sampled rows.
struct SlotScoresCase : IndexedSlots {
  /// Random embeddings of standard deviation `scale`.
  SlotScoresCase(int64_t other_rows, int64_t dims, SlotsCase slots_case, float scale = 1.0f)
      : IndexedSlots(other_rows, std::move(slots_case)),
        cols(dims),
        anchor_embedding(random_array(anchors * cols, 1, scale)),
        other_embedding(random_array(others * cols, 2, scale)) {}

  SlotScoresCall call() const {
    return {.anchor_embedding = anchor_embedding.matrix(anchors, cols),
            .other_embedding = other_embedding.matrix(others, cols),
            .batch = batch(),
            .index = index()};
  }

  double row_bytes() const { return 4.0 * static_cast<double>(cols); }
  Work forward_work() const {
    return {.bytes = batch_slots() * (row_bytes() + 8) +
                     static_cast<double>(batch_rows.capacity) * row_bytes(),
            .flops = batch_slots() * row_bytes() / 2};
  }
  /// @param held number of distinct rows in the batch's slots
  Work backward_work(int64_t held) const {
    const double rows = static_cast<double>(batch_rows.capacity + held);
    return {.bytes = 2 * batch_slots() * (row_bytes() + 4) + 2 * rows * row_bytes() +
                     4 * batch_slots() + walk_bytes(),
            .flops = batch_slots() * row_bytes()};
  }

  int64_t cols;
  DeviceArray<float> anchor_embedding, other_embedding;
};

}  // namespace derrd::cases
