#include "apps/report/user_groups.h"

#include <algorithm>

#include "apps/analysis/layout.h"
#include "data/formats/safetensors.h"

namespace derrd {

namespace {

constexpr size_t kMostShown = 3000;  // t-SNE's time grows with the square

}  // namespace

UserGroups user_groups(const Setting& setting) {
  UserGroups groups;
  const ExperimentRun* teacher =
      setting.results.run(setting.name({"teacher"}, setting.scope.splits.front()));
  if (teacher == nullptr) return groups;
  const SafetensorsFile model = SafetensorsFile::read(teacher->file(kModelFile));
  groups.vectors = model.floats("user_embedding");
  groups.dim = model.tensor("user_embedding").shape.at(1);
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
