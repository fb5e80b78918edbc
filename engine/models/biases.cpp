#include "engine/models/biases.h"

#include <algorithm>

#include "data/dataset.h"
#include "engine/models/tensor_reader.h"

namespace derrd {

void append_column(HostMatrix& matrix, const std::vector<float>& column) {
  HostMatrix wide = {{}, matrix.rows, matrix.cols + 1};
  wide.values.reserve(static_cast<size_t>(wide.rows * wide.cols));
  for (int64_t r = 0; r < matrix.rows; ++r) {
    const auto row = matrix.values.begin() + r * matrix.cols;
    wide.values.insert(wide.values.end(), row, row + matrix.cols);
    wide.values.push_back(column[static_cast<size_t>(r)]);
  }
  matrix = std::move(wide);
}

void append_biases(HostMatrix& user, HostMatrix& item, const SafetensorsFile& file) {
  const auto append = [&](const char* name, HostMatrix& own, HostMatrix& other) {
    if (!file.contains(name)) return;
    append_column(own, TensorReader(file).column(name, own.rows));
    append_column(other, std::vector<float>(static_cast<size_t>(other.rows), 1.0f));
  };
  append(kItemBias, item, user);
  append(kUserBias, user, item);
}

std::vector<std::string> unused_tables(const SafetensorsFile& file,
                                       const std::vector<std::string>& used, int64_t users,
                                       int64_t items) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : file.tensors()) {
    const bool has_rows =
        !tensor.shape.empty() && (tensor.shape[0] == users || tensor.shape[0] == items);
    const bool known = is_id_tensor(name) || std::ranges::find(used, name) != used.end();
    if (has_rows && !known) names.push_back(name);
  }
  return names;
}

}  // namespace derrd
