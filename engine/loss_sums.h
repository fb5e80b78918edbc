#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "kernels/platform/memory.h"
#include "kernels/update/end_step.h"

namespace derrd {

/// Sum of one loss over an epoch, for the code that computes the loss.
class LossSum {
 public:
  LossSum(double* total, std::vector<LossTerms>& step) : total_(total), step_(&step) {}

  /// Adds a batch's terms when the step ends; until then they stay as they are. Launches nothing.
  void add(Vector<const float> terms) const { step_->push_back({total_, terms}); }

 private:
  double* total_;
  std::vector<LossTerms>* step_;
};

/// Sums of all losses over an epoch, on the device. The end of a step adds the terms that the
/// losses handed in, in one launch: end_step(sums.take_terms(), ...).
class LossSums {
 public:
  explicit LossSums(int64_t losses) : totals_(losses) {}

  LossSum operator[](int64_t loss) { return {totals_.data() + loss, terms_}; }
  /// Begins an epoch.
  void zero(const Stream& stream);
  /// Returns the terms of this step, and forgets them.
  std::vector<LossTerms> take_terms() { return std::exchange(terms_, {}); }
  /// Returns the sums of the steps that have ended. Waits for the stream.
  std::vector<double> to_host(const Stream& stream) const;

 private:
  DeviceArray<double> totals_;
  std::vector<LossTerms> terms_;
};

}  // namespace derrd
