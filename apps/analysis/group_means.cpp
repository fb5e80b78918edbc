#include "apps/analysis/group_means.h"

#include <cmath>
#include <stdexcept>

namespace derrd {

std::vector<GroupMean> group_means(std::span<const double> values, std::span<const int32_t> labels,
                                   int32_t groups) {
  if (values.size() != labels.size()) {
    throw std::invalid_argument("there are not as many labels as values");
  }
  for (const int32_t label : labels) {
    if (label < 0 || label >= groups) throw std::invalid_argument("a label is not a group's");
  }
  std::vector<GroupMean> means(static_cast<size_t>(groups));
  for (size_t i = 0; i < values.size(); ++i) {
    GroupMean& group = means[static_cast<size_t>(labels[i])];
    ++group.count;
    group.mean += values[i];
  }
  for (GroupMean& group : means) {
    if (group.count > 0) group.mean /= static_cast<double>(group.count);
  }
  std::vector<double> squares(means.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const auto group = static_cast<size_t>(labels[i]);
    squares[group] += (values[i] - means[group].mean) * (values[i] - means[group].mean);
  }
  for (size_t g = 0; g < means.size(); ++g) {
    const auto count = static_cast<double>(means[g].count);
    if (count > 1) means[g].standard_error = std::sqrt(squares[g] / (count - 1) / count);
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
