#include "apps/training/load_model.h"

#include <fmt/format.h>

#include <cstdio>

namespace derrd {

void warn_of_other_dataset(const std::string& path, const Metadata& metadata,
                           const Dataset& dataset) {
  const auto hash = metadata.find("dataset_hash");
  if (hash == metadata.end() || hash->second == dataset.hash) return;
  fmt::print(
      stderr,
      "derrd: warning: {} was trained on another data set ({}, not {}); its rows may be "
      "other users and items, and it may have been trained on items that are held out here\n",
      path, hash->second, dataset.hash);
}

SavedModel load_model(const std::filesystem::path& path, const Dataset& dataset) {
  SavedModel model = load_model_file(path, dataset.num_users(), dataset.num_items());
  warn_of_other_dataset(path.string(), model.metadata, dataset);
  return model;
}

}  // namespace derrd
