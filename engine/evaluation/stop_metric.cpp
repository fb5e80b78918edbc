#include "engine/evaluation/stop_metric.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <stdexcept>
#include <utility>

#include "data/error.h"
#include "data/printable.h"

namespace derrd {

namespace {

std::string lower(std::string_view text) {
  std::string lowered(text);
  std::ranges::transform(lowered, lowered.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lowered;
}

/// Returns whether two rankings of items can differ in a metric at K.
/// @param relevant number of the items to find among the `ranked` ones
bool lists_differ(RankingMetric metric, int64_t k, int64_t ranked, int64_t relevant) {
  switch (metric) {
    case RankingMetric::kHitRatio:
      return ranked - relevant >= k;  // there is a list without a hit
    case RankingMetric::kRecall:
    case RankingMetric::kPrecision:
      return ranked > std::max(k, relevant);  // there is a list without an item to find
    default:
      return ranked > relevant;
  }
}

}  // namespace

std::vector<StopMetric> StopMetric::all() {
  std::vector<StopMetric> metrics;
  constexpr std::string_view kKinds = "HNM";
  const std::vector<std::string> candidate_names = candidate_metric_names();
  for (size_t k = 0; k < candidate_names.size(); ++k) {
    StopMetric& metric = metrics.emplace_back();
    metric.name_ = candidate_names[k];
    metric.candidate_metric_ = kKinds[k % kKinds.size()];
    metric.cutoff_ = k / kKinds.size();
  }
  const std::vector<std::string> accuracy_names = accuracy_metric_names();
  for (size_t k = 0; k < accuracy_names.size(); ++k) {
    StopMetric& metric = metrics.emplace_back();
    metric.name_ = accuracy_names[k];
    metric.ranking_metric_ = static_cast<RankingMetric>(k % kRankingMetricNames.size());
    metric.cutoff_ = k / kRankingMetricNames.size();
  }
  return metrics;
}

std::string StopMetric::names() {
  std::vector<std::string> names;
  for (const StopMetric& metric : all()) names.push_back(metric.name());
  return fmt::format("{}", fmt::join(names, ", "));
}

StopMetric StopMetric::named(std::string_view name) {
  for (StopMetric& metric : all()) {
    if (lower(metric.name()) == lower(name)) return std::move(metric);
  }
  throw Error(fmt::format("there is no metric {}; choose among {}", printable(name), names()));
}

std::string StopMetric::blindness(const Dataset& dataset) const {
  bool has_items = false, has_candidates = false;
  for (int64_t u = 0; u < dataset.num_users(); ++u) {
    const auto valid = static_cast<int64_t>(dataset.valid.row(u).size());
    if (valid == 0) continue;
    has_items = true;
    if (ranking_metric_) {
      const int64_t ranked =
          dataset.num_items() - static_cast<int64_t>(dataset.train.row(u).size());
      if (lists_differ(*ranking_metric_, kFullCutoffs[cutoff_], ranked, valid)) return "";
    } else {
      if (!dataset.has_candidates(u)) continue;
      has_candidates = true;
      const auto candidates = dataset.candidates_of(u);
      const auto count = std::ranges::find(candidates, -1) - candidates.begin();
      if (candidate_metric_ != 'H' || count >= kCutoffs[cutoff_]) return "";
    }
  }
  if (!has_items) return "no user has a validation item";
  if (ranking_metric_) return "every ranking gives each user the same value";
  return has_candidates
             ? fmt::format("no user has {} candidates, so every item is a hit", kCutoffs[cutoff_])
             : "no user with a validation item has candidates";
}

double StopMetric::value(const Metrics& valid) const {
  switch (candidate_metric_) {
    case 'H':
      return valid.hit[cutoff_];
    case 'N':
      return valid.ndcg[cutoff_];
    case 'M':
      return valid.mrr[cutoff_];
    default:
      throw std::logic_error("StopMetric: " + name_ + " is not a metric among candidates");
  }
}

double StopMetric::value(const RankingValues& valid) const {
  if (!ranking_metric_) throw std::logic_error("StopMetric: " + name_ + " needs candidates");
  return valid.at(*ranking_metric_, cutoff_);
}

WatchedMetric::WatchedMetric(StopMetric metric, const Dataset& dataset, const Stream& stream)
    : metric_(std::move(metric)) {
  if (!metric_.full_ranking()) return;
  full_ranking_.emplace(dataset.valid, dataset.train, InteractionRows(), dataset.num_items(),
                        stream);
}

double WatchedMetric::measure(Scorer& scorer, const Evaluation& evaluation, const Stream& stream) {
  if (!full_ranking_) return metric_.value(evaluation.valid);
  return metric_.value(full_ranking_->accuracy(scorer, stream).mean);
}

}  // namespace derrd
