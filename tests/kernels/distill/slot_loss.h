#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tests/cases/slots.h"
#include "tests/finite_differences.h"
#include "tests/kernels/support.h"

namespace derrd::test {

/// Tolerances of a loss and a gradient, absolute and relative.
struct SlotLossTolerance {
  double loss_absolute = 0, loss_relative = 0, grad_absolute = 0, grad_relative = 0;
};

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

  /// Shortens the batch to its anchors from the `begin`-th on, with their scores.
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
  /// Compares with an oracle's loss_of(n) and scale * grad_of(n) of the batch's n-th anchor.
  template <class LossOf, class GradOf>
  void expect_matches(LossOf&& loss_of, GradOf&& grad_of, double scale,
                      const SlotLossTolerance& tolerance) const {
    std::vector<double> losses, gradients;
    for (size_t n = 0; n < batch_rows.rows.size(); ++n) {
      losses.push_back(loss_of(n));
      for (const double g : grad_of(n)) gradients.push_back(scale * g);
    }
    losses.resize(static_cast<size_t>(capacity), 0.0);
    EXPECT_TRUE(close(loss.host(), losses, tolerance.loss_absolute, tolerance.loss_relative));
    EXPECT_TRUE(
        close(batch_gradient(), gradients, tolerance.grad_absolute, tolerance.grad_relative));
  }
  /// Compares the gradient with differences of loss_of(scores, n).
  template <class LossOf>
  void expect_finite_differences(LossOf&& loss_of, double absolute, double relative) const {
    std::vector<double> gradients;
    for (size_t n = 0; n < batch_rows.rows.size(); ++n) {
      std::vector<double> values = scores_of(n);
      for (const double d : finite_differences(values, [&] { return loss_of(values, n); })) {
        gradients.push_back(d);
      }
    }
    EXPECT_TRUE(close(batch_gradient(), gradients, absolute, relative));
  }
  /// Loss and gradient that `run()` computes with this number of threads.
  template <class Run>
  std::vector<std::vector<float>> bits(int threads, Run&& run) const {
    set_threads(threads);
    run();
    set_threads(0);
    return {loss.host(), batch_gradient()};
  }

  std::vector<float> host_score;
};

}  // namespace derrd::test
