#include "apps/analysis/group_means.h"

#include <stdexcept>

#include "apps/analysis/statistics.h"

namespace derrd {

std::vector<GroupMean> group_means(std::span<const double> values, std::span<const int32_t> labels,
                                   int32_t groups) {
  if (values.size() != labels.size()) {
    throw std::invalid_argument("there are not as many labels as values");
  }
  for (const int32_t label : labels) {
    if (label < 0 || label >= groups) throw std::invalid_argument("a label is not a group's");
  }
  std::vector<std::vector<double>> members(static_cast<size_t>(groups));
  for (size_t i = 0; i < values.size(); ++i) {
    members[static_cast<size_t>(labels[i])].push_back(values[i]);
  }
  std::vector<GroupMean> means;
  for (const std::vector<double>& group : members) {
    means.push_back({std::ssize(group), group.empty() ? 0 : mean(group), standard_error(group)});
  }
  return means;
}

double share_in_losing_groups(std::span<const GroupMean> groups) {
  int64_t losing = 0, all = 0;
  for (const GroupMean& group : groups) {
    all += group.count;
    if (group.mean < 0) losing += group.count;
  }
  return all == 0 ? 0 : static_cast<double>(losing) / static_cast<double>(all);
}

}  // namespace derrd
