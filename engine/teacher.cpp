#include "engine/teacher.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "data/error.h"

namespace derrd {

namespace {

std::vector<float> matrix(const SafetensorsFile& file, const char* name, const char* what,
                          int64_t rows, int64_t& cols) {
  const TensorView& view = file.tensor(name);
  if (view.shape.size() != 2) {
    throw Error(fmt::format("{}: tensor '{}' has rank {}; it must be a matrix [{}, dimension]",
                            file.name(), name, view.shape.size(), what));
  }
  if (view.shape[0] != rows) {
    throw Error(fmt::format(
        "{}: tensor '{}' has {} rows, the data set has {} {}; give the data set that the model was "
        "trained on",
        file.name(), name, view.shape[0], rows, what));
  }
  if (view.shape[1] == 0) {
    throw Error(fmt::format(
        "{}: tensor '{}' is empty; give a model whose vectors have a dimension of at least 1",
        file.name(), name));
  }
  cols = view.shape[1];
  std::vector<float> values = file.floats(name);
  const auto bad =
      std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
  if (bad != values.end()) {
    const int64_t index = bad - values.begin();
    throw Error(fmt::format(
        "{}: tensor '{}' has {} at row {}, column {}; a model must hold finite numbers only: "
        "train it again, with a lower learning rate if it diverged, or export it again",
        file.name(), name, *bad, index / cols, index % cols));
  }
  return values;
}

}  // namespace

Embeddings load_embeddings(const std::filesystem::path& path, int64_t users, int64_t items) {
  const SafetensorsFile file = SafetensorsFile::read(path);
  Embeddings e;
  int64_t item_dim = 0;
  e.user = matrix(file, "user_embedding", "users", users, e.dim);
  e.item = matrix(file, "item_embedding", "items", items, item_dim);
  if (item_dim != e.dim) {
    throw Error(fmt::format("{}: users have {} dimensions, items {}; give a model where they agree",
                            file.name(), e.dim, item_dim));
  }
  e.users = users;
  e.items = items;
  e.metadata = file.metadata();
  return e;
}

}  // namespace derrd
