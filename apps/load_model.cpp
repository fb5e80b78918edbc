#include "apps/load_model.h"

#include <fmt/format.h>

#include <cstdio>

namespace derrd {

Embeddings load_model(const std::filesystem::path& path, const Dataset& dataset) {
  Embeddings embeddings = load_embeddings(path, dataset.num_users(), dataset.num_items());
  const auto hash = embeddings.metadata.find("dataset_hash");
  if (hash != embeddings.metadata.end() && hash->second != dataset.hash) {
    fmt::print(stderr,
               "derrd: warning: {} was trained on another data set ({}, not {}); it may have been "
               "trained on items that are held out here\n",
               path.string(), hash->second, dataset.hash);
  }
  return embeddings;
}

}  // namespace derrd
