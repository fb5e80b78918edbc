#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/distill/slot_scores.h"
#include "tests/cases/batch_rows.h"
#include "tests/kernels/support.h"

namespace derrd::test {

/// Scores of a batch's slots and what a loss makes of them, in device memory: what every loss on
/// scores takes. Scores are by table row, so that a test can tell which row a kernel took.
struct SlotFixture {
  /// @param samples [rows, slots], @param table_scores [rows, slots]
  /// @param batch_rows ascending
  SlotFixture(const std::vector<int32_t>& host_samples, const std::vector<float>& table_scores,
              int64_t slots_of_row, const std::vector<int32_t>& batch_rows,
              int64_t extra_capacity = 2)
      : slots(slots_of_row),
        rows(slots_of_row == 0 ? 5 : static_cast<int64_t>(host_samples.size()) / slots_of_row),
        batch(batch_rows),
        capacity(static_cast<int64_t>(batch_rows.size()) + extra_capacity),
        segments(batch_rows),
        cursor({BatchCursor{0, 0, static_cast<int32_t>(batch_rows.size())}}),
        samples(host_samples),
        score(capacity * slots_of_row),
        loss(capacity),
        grad_score(capacity * slots_of_row),
        host_samples_(host_samples),
        host_scores_(table_scores) {
    std::vector<float> of_batch(static_cast<size_t>(capacity * slots), 1e30f);
    for (size_t n = 0; n < batch.size(); ++n) {
      const auto from = static_cast<int64_t>(batch[n]) * slots;
      std::copy_n(table_scores.begin() + from, slots,
                  of_batch.begin() + static_cast<int64_t>(n) * slots);
    }
    score.set(of_batch);
  }

  SlotBatch view() const {
    RowSegments anchors = segments.view(0);
    anchors.batch = cursor.data();
    anchors.capacity = capacity;
    return {samples.matrix(rows, slots), anchors};
  }
  Matrix<float> scores() const { return score.matrix(capacity, slots); }
  Matrix<float> gradient() const { return grad_score.matrix(capacity, slots); }

  std::vector<double> scores_of(int32_t row) const {
    const auto begin = host_scores_.begin() + row * slots;
    return {begin, begin + slots};
  }
  std::vector<bool> present(int32_t row) const {
    std::vector<bool> result;
    for (int64_t slot = 0; slot < slots; ++slot) {
      result.push_back(host_samples_[static_cast<size_t>(row * slots + slot)] >= 0);
    }
    return result;
  }
  /// The gradients of the batch's rows; those beyond must still be as they were.
  std::vector<float> live_gradient() const {
    std::vector<float> all = grad_score.host();
    const std::vector<float> untouched = Guarded<float>(1).host();
    const auto live = static_cast<int64_t>(batch.size()) * slots;
    for (auto g = all.begin() + live; g != all.end(); ++g) EXPECT_EQ(*g, untouched[0]);
    all.resize(static_cast<size_t>(live));
    return all;
  }
  void expect_all_intact() const {
    expect_intact(loss, "loss");
    expect_intact(grad_score, "grad_score");
    expect_intact(score, "score");
  }

  int64_t slots, rows;
  std::vector<int32_t> batch;
  int64_t capacity;
  cases::BatchRows segments;
  Guarded<BatchCursor> cursor;
  Guarded<int32_t> samples;
  Guarded<float> score, loss, grad_score;

 private:
  std::vector<int32_t> host_samples_;
  std::vector<float> host_scores_;
};

/// [rows, slots] of which `empty` in a hundred are empty.
inline std::vector<int32_t> slot_samples(int64_t rows, int64_t slots, int empty, uint64_t seed) {
  std::vector<int32_t> samples = random_below(rows * slots, 1000, seed);
  const std::vector<int32_t> percent = random_below(rows * slots, 100, seed + 1);
  for (size_t i = 0; i < samples.size(); ++i) {
    if (percent[i] < empty) samples[i] = -1;
  }
  return samples;
}

}  // namespace derrd::test
