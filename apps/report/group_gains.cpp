#include "apps/report/group_gains.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace derrd {

std::vector<GroupGains> gains_by_group(const Setting& setting,
                                       const std::vector<std::string>& methods) {
  const auto metric = [&](const std::string& method) {
    return setting.results.user_metric(setting.name({method}, setting.scope.splits.front()),
                                       kGainMetric);
  };
  const std::vector<double> student = metric("student");
  std::vector<GroupGains> all;
  for (const std::string& method : methods) {
    const std::vector<double> values = metric(method);
    if (values.empty() || values.size() != student.size()) continue;
    const UserGroups* users = setting.user_groups();
    if (users == nullptr || users->clusters.labels.size() != values.size()) continue;
    GroupGains gains{method, {}, {}};
    for (size_t u = 0; u < values.size(); ++u) {
      if (std::isnan(values[u]) || std::isnan(student[u])) continue;
      gains.gains.push_back(values[u] - student[u]);
      gains.groups.push_back(users->clusters.labels[u]);
    }
    all.push_back(std::move(gains));
  }
  return all;
}

int groups_that_gain(const GroupGains& gains, std::span<const uint32_t> times) {
  std::array<double, kUserGroups> sums = {};
  for (size_t u = 0; u < gains.gains.size(); ++u) {
    sums.at(static_cast<size_t>(gains.groups[u])) += times[u] * gains.gains[u];
  }
  return static_cast<int>(std::ranges::count_if(sums, [](double sum) { return sum > 0; }));
}

}  // namespace derrd
