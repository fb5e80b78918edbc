#include "engine/evaluation/early_stopping.h"

#include <cmath>

namespace derrd {

namespace {
double rounded(double value) { return std::round(value * 1e4) / 1e4; }
}  // namespace

bool EarlyStopping::update(int epoch, const Evaluation& evaluation, std::optional<double> watched) {
  if (watched) {
    if (*watched <= best_value()) return false;
    state_.best.fill({epoch, *watched, evaluation});
    state_.last_improvement = epoch;
    return true;
  }
  bool keep = false;
  const bool measured = evaluation.valid.users > 0;
  for (size_t n = 0; n < kCutoffs.size(); ++n) {
    Best& best = state_.best[n];
    const double raw = evaluation.valid.hit[n];
    const double hit = rule_ == StoppingRule::kEachCutoff ? rounded(raw) : raw;
    if (measured && hit <= best.hit) continue;
    best = {epoch, hit, evaluation};
    const bool decides = rule_ == StoppingRule::kEachCutoff || n == 0;
    if (decides) state_.last_improvement = epoch;
    if (n == 0) keep = true;
  }
  return keep;
}

Evaluation EarlyStopping::report() const {
  Evaluation report = state_.best[0].evaluation;
  if (rule_ == StoppingRule::kFirstCutoff) return report;
  for (size_t n = 1; n < kCutoffs.size(); ++n) {
    const Evaluation& at_best = state_.best[n].evaluation;
    const auto take = [n](Metrics& to, const Metrics& from) {
      to.hit[n] = from.hit[n];
      to.ndcg[n] = from.ndcg[n];
      to.mrr[n] = from.mrr[n];
    };
    take(report.valid, at_best.valid);
    take(report.test, at_best.test);
  }
  return report;
}

}  // namespace derrd
