#pragma once

#include <array>
#include <optional>

#include "engine/evaluation/evaluator.h"

namespace derrd {

/// Rule that says which epochs improve, and which ones are reported (Section 5.1).
enum class StoppingRule {
  kEachCutoff,   ///< an epoch improves if H@5, H@10 or H@20, rounded to 4 decimals, rises strictly;
                 ///< metrics at N are reported at the epoch that is best for that N
  kFirstCutoff,  ///< H@5 decides; everything is reported at its best epoch
};

/// Finds the best epoch, and when to stop, by validation items; without any, the last is best. A
/// watched metric takes the place of the rule: it alone decides, and everything is reported at its
/// best epoch.
class EarlyStopping {
 public:
  /// The epoch that is best by H\@N, for one N of kCutoffs.
  struct Best {
    int epoch = -1;
    double hit = -1.0;  ///< validation H\@N, or for the first N the watched metric, as compared
    Evaluation evaluation;
  };
  /// State between epochs, for checkpoints.
  struct State {
    std::array<Best, kCutoffs.size()> best;
    int last_improvement = -1;  ///< epoch
  };

  EarlyStopping(StoppingRule rule, int patience) : rule_(rule), patience_(patience) {}

  /// Takes an epoch's metrics. Returns true if its H@5, or the watched metric, is the best so far:
  /// its model is kept.
  /// @param watched value of the watched metric in all epochs, or in none
  bool update(int epoch, const Evaluation& evaluation, std::optional<double> watched = {});
  /// Returns true if `patience` epochs up to `epoch` brought no improvement.
  bool should_stop(int epoch) const { return epoch - state_.last_improvement >= patience_; }

  /// Returns the metrics to report: at each N from the epoch that counts for this N.
  Evaluation report() const;
  /// Returns the epoch whose model is kept; -1 before the first.
  int best_epoch() const { return state_.best[0].epoch; }
  /// Returns the validation metric of that epoch: H\@5, or the watched one.
  double best_value() const { return state_.best[0].hit; }

  const State& state() const { return state_; }
  void restore(const State& state) { state_ = state; }

 private:
  StoppingRule rule_;
  int patience_;
  State state_;
};

}  // namespace derrd
