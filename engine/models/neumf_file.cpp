#include "engine/models/neumf_file.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "data/error.h"
#include "engine/models/neumf_scorer.h"
#include "engine/models/perceptron.h"

namespace derrd {

namespace {

std::string layer_name(int64_t layer, const char* part) {
  return fmt::format("hidden.{}.{}", layer, part);
}

}  // namespace

int64_t neumf_layers(const SavedModel& model) {
  int64_t layers = 1;
  while (model.tensors.contains(layer_name(layers + 1, "weight"))) ++layers;
  return layers;
}

std::map<std::string, HostMatrix, std::less<>> read_neumf(const TensorReader& reader, int64_t users,
                                                          int64_t items) {
  std::map<std::string, HostMatrix, std::less<>> tensors;
  HostMatrix& user = tensors["user_gmf"] = reader.table("user_gmf", users, "users");
  const int64_t dim = user.cols;
  const auto matrix = [&](const std::string& name, int64_t rows, int64_t cols) {
    tensors[name] = reader.matrix(name, rows, cols);
  };
  matrix("user_mlp", users, dim);
  for (const char* name : {"item_gmf", "item_mlp"}) {
    HostMatrix table = reader.table(name, items, "items");
    if (table.cols != dim) {
      throw Error(
          fmt::format("{}: users have {} dimensions, '{}' has {}; give a model where they agree",
                      reader.file().name(), dim, name, table.cols));
    }
    tensors[name] = std::move(table);
  }
  int64_t layers = 1;
  while (reader.file().contains(layer_name(layers + 1, "weight"))) ++layers;
  std::vector<int64_t> widths;
  try {
    widths = hidden_widths(dim, layers);
  } catch (const Error& e) {
    throw Error(fmt::format("{}: {}", reader.file().name(), e.what()));
  }
  matrix(layer_name(1, "user_weight"), widths.front(), dim);
  matrix(layer_name(1, "item_weight"), widths.front(), dim);
  matrix(layer_name(1, "bias"), 1, widths.front());
  for (size_t l = 1; l < widths.size(); ++l) {
    const auto layer = static_cast<int64_t>(l) + 1;
    matrix(layer_name(layer, "weight"), widths[l], widths[l - 1]);
    matrix(layer_name(layer, "bias"), 1, widths[l]);
  }
  matrix("output.weight", 1, dim + widths.back());
  matrix("output.bias", 1, 1);
  return tensors;
}

std::unique_ptr<Scorer> make_neumf_scorer(const SavedModel& model, const Stream& stream) {
  std::vector<DeviceArray<float>> memory;
  const auto upload = [&](const std::string& name) -> Matrix<const float> {
    const HostMatrix& host = model.tensor(name);
    memory.emplace_back(host.values, stream);
    return memory.back().matrix(host.rows, host.cols);
  };
  NeumfTensors tensors;
  tensors.user = {upload("user_gmf"), upload("user_mlp"), upload(layer_name(1, "user_weight"))};
  tensors.item = {upload("item_gmf"), upload("item_mlp"), upload(layer_name(1, "item_weight"))};
  tensors.first_bias = upload(layer_name(1, "bias")).flat();
  for (int64_t l = 2; l <= neumf_layers(model); ++l) {
    const Matrix<const float> weight = upload(layer_name(l, "weight"));
    tensors.layers.push_back({weight, upload(layer_name(l, "bias")).flat(), {}, {}});
  }
  tensors.output_weight = upload("output.weight").flat();
  tensors.output_bias = upload("output.bias").flat();
  auto scorer = std::make_unique<NeumfScorer>(std::move(tensors), std::move(memory));
  scorer->update(stream);
  return scorer;
}

}  // namespace derrd
