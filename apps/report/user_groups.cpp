#include "apps/report/user_groups.h"

#include "apps/analysis/layout.h"
#include "data/formats/safetensors.h"

namespace derrd {

namespace {

constexpr size_t kMostShown = 3000;  // t-SNE's time grows with the square

}  // namespace

UserGroups group_users(const std::filesystem::path& model) {
  UserGroups groups;
  const SafetensorsFile file = SafetensorsFile::read(model);
  groups.vectors = file.floats("user_embedding");
  groups.dim = file.tensor("user_embedding").shape.at(1);
  const Points points(groups.vectors, groups.dim);
  groups.clusters = kmeans(points, kUserGroups, /*seed=*/0);
  const size_t step = (points.size() + kMostShown - 1) / kMostShown;
  std::vector<float> shown;
  for (size_t user = 0; user < points.size(); user += step) {
    groups.shown.push_back(user);
    shown.insert(shown.end(), points[user].begin(), points[user].end());
  }
  groups.places = layout(Points(shown, groups.dim));
  return groups;
}

}  // namespace derrd
