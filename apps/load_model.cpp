#include "apps/load_model.h"

#include <fmt/format.h>

#include <cstdio>

namespace derrd {

SavedModel load_model(const std::filesystem::path& path, const Dataset& dataset) {
  SavedModel model = load_model_file(path, dataset.num_users(), dataset.num_items());
  const auto hash = model.metadata.find("dataset_hash");
  if (hash != model.metadata.end() && hash->second != dataset.hash) {
    fmt::print(stderr,
               "derrd: warning: {} was trained on another data set ({}, not {}); it may have been "
               "trained on items that are held out here\n",
               path.string(), hash->second, dataset.hash);
  }
  return model;
}

}  // namespace derrd
