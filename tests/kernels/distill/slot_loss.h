#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tests/cases/slots.h"
#include "tests/kernels/support.h"

namespace derrd::test {

/// A batch's scores with the outputs of a loss, for the test of any loss on scores.
struct SlotLoss : cases::ScoredSlots<Guarded> {
  /// @param values [capacity, slots]
  SlotLoss(cases::SlotsCase slots_case, DeviceArray<float> values)
      : ScoredSlots(std::move(slots_case), std::move(values)),
        host_score(score.to_host(stream())) {}
  SlotLoss(cases::SlotsCase slots_case, const std::vector<float>& values)
      : SlotLoss(std::move(slots_case), cases::to_device(values)) {}

  /// Normal scores; `empty_percent` in a hundred slots are empty.
  static SlotLoss random(int64_t anchors, int64_t slots, int empty_percent,
                         const std::vector<int32_t>& batch, float deviation = 1.0f) {
    cases::SlotsCase all(anchors, slots,
                         cases::random_samples(anchors * slots, 1000, empty_percent), batch);
    const int64_t scores = all.capacity * slots;
    return {std::move(all), cases::normal_array(scores, 3, deviation)};
  }
  /// One anchor with these scores, no slot empty.
  static SlotLoss of(const std::vector<float>& scores) {
    return of(scores, std::vector<int32_t>(scores.size(), 7));
  }
  static SlotLoss of(const std::vector<float>& scores, const std::vector<int32_t>& samples) {
    return {{1, std::ssize(scores), samples, {0}, 0}, scores};
  }

  /// Makes the anchors from the `begin`-th on the batch, with their scores.
  void begin_at(int64_t begin) {
    const auto first = static_cast<int32_t>(begin);
    cursor = cases::to_device<BatchCursor>(
        {{1, first, static_cast<int32_t>(batch_rows.capacity) - first}});
    std::rotate(host_score.begin(), host_score.begin() + begin * slots, host_score.end());
    score = cases::to_device(host_score);
  }

  std::vector<double> scores_of(size_t n) const {
    const auto begin = host_score.begin() + static_cast<int64_t>(n) * slots;
    return {begin, begin + slots};
  }
  std::vector<bool> present(size_t n) const {
    std::vector<bool> result;
    for (int64_t slot = 0; slot < slots; ++slot) result.push_back(sample(anchor(n), slot) >= 0);
    return result;
  }
  /// Gradients of the batch's rows; rows beyond must still be as they were.
  std::vector<float> batch_gradient() const {
    std::vector<float> all = grad_score.host();
    const std::vector<float> untouched = Guarded<float>(1).host();
    const int64_t size = batch_rows.capacity * slots;
    for (auto g = all.begin() + size; g != all.end(); ++g) EXPECT_EQ(*g, untouched[0]);
    all.resize(static_cast<size_t>(size));
    return all;
  }
  /// Loss and gradient, for a comparison of bits.
  std::vector<std::vector<float>> bits() const { return {loss.host(), batch_gradient()}; }
  void expect_all_intact() const {
    expect_intact(loss, "loss");
    expect_intact(grad_score, "grad_score");
  }

  std::vector<float> host_score;
};

}  // namespace derrd::test
