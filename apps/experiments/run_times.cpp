#include "apps/experiments/run_times.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace derrd {

void RunTimes::add(const Run& run, double seconds) {
  Sum& kind = kinds_[run.kind];
  kind.seconds += seconds;
  ++kind.count;
  if (run.cost == 0) return;
  seconds_ += seconds;
  cost_ += run.cost;
}

std::optional<double> RunTimes::expected(const Run& run) const {
  if (const auto kind = kinds_.find(run.kind); kind != kinds_.end()) {
    return kind->second.seconds / kind->second.count;
  }
  if (run.cost == 0) return 0;
  if (cost_ == 0) return std::nullopt;
  return run.cost * seconds_ / cost_;
}

std::vector<double> chains(const std::vector<Run>& runs, std::vector<double> seconds) {
  std::vector<double> behind(runs.size(), 0.0);
  for (size_t i = runs.size(); i-- > 0;) {
    seconds[i] += behind[i];
    for (const size_t needed : runs[i].needs) behind[needed] = std::max(behind[needed], seconds[i]);
  }
  return seconds;
}

std::vector<int> deal_threads(const std::vector<double>& behind, int threads) {
  double total = std::accumulate(behind.begin(), behind.end(), 0.0);
  std::vector<int> dealt;
  for (const double own : behind) {
    const long share = total > 0 ? std::lround(threads * own / total) : 1;
    dealt.push_back(static_cast<int>(std::min<long>(threads, std::max(1L, share))));
    threads -= dealt.back();
    total -= own;
  }
  return dealt;
}

}  // namespace derrd
