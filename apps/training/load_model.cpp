#include "apps/training/load_model.h"

#include <fmt/format.h>

#include <cstdio>

#include "engine/models/aligned_model.h"

namespace derrd {

void warn_of_other_dataset(const std::string& path, const Metadata& metadata,
                           const Dataset& dataset, bool by_id) {
  const auto hash = metadata.find("dataset_hash");
  if (hash == metadata.end() || hash->second == dataset.hash) return;
  fmt::print(stderr,
             "derrd: warning: {} was trained on another data set ({}, not {}); {}it may have been "
             "trained on items that are held out here\n",
             path, hash->second, dataset.hash,
             by_id ? "" : "its rows may be other users and items, and ");
}

void warn_of_unused(const std::string& path, const std::vector<std::string>& tensors) {
  if (tensors.empty()) return;
  fmt::print(stderr,
             "derrd: warning: {}: has a row per user or item, but is not used: {}; a score is made "
             "of the vectors, user_bias and item_bias alone\n",
             path, printable_ids(tensors));
}

SavedModel load_model(const SafetensorsFile& file, const Dataset& dataset) {
  const FileAlignment user = align_rows(file, "user", dataset.user_ids);
  const FileAlignment item = align_rows(file, "item", dataset.item_ids);
  AlignedModel aligned = load_aligned_model(file, user, item);
  warn_of_other_dataset(file.name(), aligned.model.metadata, dataset, user.by_id && item.by_id);
  if (user.by_id || item.by_id) {
    fmt::print(stderr, "{}\n", describe_alignment(file.name(), user, item));
  }
  warn_of_unused(file.name(), aligned.unused);
  return std::move(aligned.model);
}

SavedModel load_model(const std::filesystem::path& path, const Dataset& dataset) {
  return load_model(SafetensorsFile::read(path), dataset);
}

}  // namespace derrd
