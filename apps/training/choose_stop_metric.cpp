#include "apps/training/choose_stop_metric.h"

#include <fmt/format.h>

#include "apps/cli/message.h"
#include "data/error.h"

namespace derrd {

std::optional<StopMetric> choose_stop_metric(std::vector<std::string> names, const Dataset& dataset,
                                             const std::string& path) {
  if (dataset.valid.num_interactions() == 0) return std::nullopt;
  const bool by_rule = names.empty();
  if (by_rule) names = {"H@5", "N@5", "NDCG@10"};
  for (const std::string& name : names) {
    StopMetric metric = StopMetric::named(name);
    const std::string why = metric.blindness(dataset);
    if (!why.empty()) {
      say("{}: {} can't tell epochs apart: {}", path, metric.name(), why);
      continue;
    }
    if (by_rule && &name == &names.front()) return std::nullopt;
    if (&name != &names.front()) {
      say("{}: {} says which epoch is best", path, metric.name());
    }
    return metric;
  }
  throw Error(
      fmt::format("{}: none of these metrics can tell epochs apart; name another one with "
                  "--stop-on, or prepare the data set with more candidates",
                  path));
}

}  // namespace derrd
