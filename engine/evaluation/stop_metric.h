#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "engine/evaluation/evaluator.h"
#include "engine/evaluation/full_ranking.h"
#include "engine/evaluation/ranking_metrics.h"
#include "engine/models/scorer.h"
#include "kernels/platform/device.h"

namespace derrd {

/// A metric of the validation items that says which epoch is the best.
class StopMetric {
 public:
  /// Metric of a name as `derrd evaluate` writes it, in any case: `H@5`, `N@10` among candidates,
  /// `Recall@20`, `NDCG@50` of the full ranking.
  /// @throws Error that lists the names.
  static StopMetric named(std::string_view name);
  /// Returns the names of all metrics, separated by commas.
  static std::string names();

  const std::string& name() const { return name_; }
  /// Returns whether it ranks all items rather than candidates.
  bool full_ranking() const { return ranking_metric_.has_value(); }

  /// Returns why no two models can differ in this metric on a data set; empty if they can.
  std::string blindness(const Dataset& dataset) const;

  /// Returns the metric among candidates. @throws std::logic_error for one of the full ranking.
  double value(const Metrics& valid) const;
  /// Returns the metric of the full ranking. @throws std::logic_error for one among candidates.
  double value(const RankingValues& valid) const;

 private:
  static std::vector<StopMetric> all();

  std::string name_;
  char candidate_metric_ = 0;                    // H, N or M; 0 for the full ranking
  std::optional<RankingMetric> ranking_metric_;  // none for candidates
  size_t cutoff_ = 0;                            // index of kCutoffs or kFullCutoffs
};

/// A metric that is measured after every epoch.
class WatchedMetric {
 public:
  /// @param dataset outlives the object
  WatchedMetric(StopMetric metric, const Dataset& dataset, const Stream& stream);

  const std::string& name() const { return metric_.name(); }
  /// Measures the metric. Waits for the stream.
  /// @param evaluation of the same model among candidates
  /// @throws Error if a score is not finite.
  double measure(Scorer& scorer, const Evaluation& evaluation, const Stream& stream);

 private:
  StopMetric metric_;
  std::optional<FullRankingEvaluator> full_ranking_;
};

}  // namespace derrd
