#include "engine/models/tensor_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "data/error.h"
#include "data/joined.h"

namespace derrd {

HostMatrix TensorReader::finite(const std::string& name, int64_t rows, int64_t cols) const {
  HostMatrix matrix = {file_.floats(name), rows, cols};
  const auto bad = std::find_if(matrix.values.begin(), matrix.values.end(),
                                [](float v) { return !std::isfinite(v); });
  if (bad != matrix.values.end()) {
    const int64_t index = bad - matrix.values.begin();
    throw Error(fmt::format(
        "{}: tensor '{}' has {} at row {}, column {}; a model must hold finite numbers only: "
        "train it again, with a lower learning rate if it diverged, or export it again",
        file_.name(), name, *bad, index / matrix.cols, index % matrix.cols));
  }
  return matrix;
}

HostMatrix TensorReader::table(const std::string& name, int64_t rows, const char* what) const {
  const TensorView& view = file_.tensor(name);
  if (view.shape.size() != 2) {
    throw Error(fmt::format("{}: tensor '{}' has rank {}; it must be a matrix [{}, dimension]",
                            file_.name(), name, view.shape.size(), what));
  }
  if (view.shape[0] != rows) {
    throw Error(
        fmt::format("{}: tensor '{}' has {} rows for {} {}; give the data set that the model was "
                    "trained on, or give each row its id by user_ids and item_ids",
                    file_.name(), name, view.shape[0], rows, what));
  }
  if (view.shape[1] == 0) {
    throw Error(fmt::format(
        "{}: tensor '{}' is empty; give a model whose vectors have a dimension of at least 1",
        file_.name(), name));
  }
  return finite(name, rows, view.shape[1]);
}

HostMatrix TensorReader::matrix(const std::string& name, int64_t rows, int64_t cols) const {
  const TensorView& view = file_.tensor(name);
  if (view.shape != std::vector<int64_t>{rows, cols}) {
    throw Error(fmt::format(
        "{}: tensor '{}' is [{}], expected [{}, {}] beside the file's other tensors; export the "
        "model again",
        file_.name(), name, joined(view.shape), rows, cols));
  }
  return finite(name, rows, cols);
}

std::vector<float> TensorReader::column(const std::string& name, int64_t rows) const {
  const std::vector<int64_t>& shape = file_.tensor(name).shape;
  if (shape != std::vector<int64_t>{rows} && shape != std::vector<int64_t>{rows, 1}) {
    throw Error(fmt::format(
        "{}: tensor '{}' is [{}], expected [{}] beside the file's other tensors; export the model "
        "again",
        file_.name(), name, joined(shape), rows));
  }
  return finite(name, rows, 1).values;
}

}  // namespace derrd
