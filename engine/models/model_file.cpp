#include "engine/models/model_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "data/error.h"
#include "data/printable.h"
#include "data/version.h"
#include "engine/models/catalogue.h"

namespace derrd {

namespace {

HostMatrix to_host(Matrix<const float> matrix, const Stream& stream) {
  HostMatrix host = {std::vector<float>(static_cast<size_t>(matrix.size())), matrix.rows,
                     matrix.cols};
  copy_to_host(host.values.data(), matrix.data, matrix.size() * static_cast<int64_t>(sizeof(float)),
               stream);
  return host;
}

TensorMap views(const std::map<std::string, HostMatrix, std::less<>>& tensors) {
  TensorMap map;
  for (const auto& [name, matrix] : tensors) {
    map.emplace(name, tensor_view(std::span(matrix.values), {matrix.rows, matrix.cols}));
  }
  return map;
}

}  // namespace

int64_t SavedModel::parameters() const {
  int64_t total = 0;
  for (const auto& [name, matrix] : tensors) total += matrix.rows * matrix.cols;
  return total;
}

std::string kind_of_model_file(const SafetensorsFile& file) {
  if (file.metadata_or("format", "") != "derrd-model") return std::string(kInnerProductKind);
  return file.metadata_or("model", "");
}

void refuse_checkpoint(const SafetensorsFile& file) {
  if (file.metadata_or("format", "") == "derrd-checkpoint") {
    throw Error(fmt::format("{}: a checkpoint; derrd export makes a model of it", file.name()));
  }
}

SavedModel load_model_file(const std::filesystem::path& path, int64_t users, int64_t items) {
  return load_model_file(SafetensorsFile::read(path), users, items);
}

SavedModel load_model_file(const SafetensorsFile& file, int64_t users, int64_t items) {
  SavedModel model;
  refuse_checkpoint(file);
  model.kind = kind_of_model_file(file);
  const std::vector<std::string_view> kinds = model_kinds();
  if (std::ranges::find(kinds, model.kind) == kinds.end()) {
    throw Error(fmt::format("{}: its metadata gives '{}' as its kind of model; there are {}",
                            file.name(), printable(model.kind), fmt::join(kinds, ", ")));
  }
  model.tensors = read_model_tensors(model.kind, file, users, items);
  model.metadata = file.metadata();
  return model;
}

Metadata model_metadata(std::string_view kind, const ModelFacts& facts) {
  Metadata metadata = {{"format", "derrd-model"},
                       {"model", std::string(kind)},
                       {"options", facts.options},
                       {"seed", std::to_string(facts.seed)},
                       {"version", kVersion},
                       {"metrics", facts.metrics},
                       {"dataset_hash", facts.dataset_hash}};
  if (!facts.made_by.empty()) metadata.emplace("made_by", facts.made_by);
  if (!facts.teacher_hash.empty()) metadata.emplace("teacher_hash", facts.teacher_hash);
  return metadata;
}

void save_model(const std::filesystem::path& path, const Model& model, const ModelFacts& facts,
                const Stream& stream) {
  std::map<std::string, HostMatrix, std::less<>> tensors;
  for (const NamedMatrix& tensor : model.tensors()) {
    tensors.emplace(tensor.name, to_host(tensor.value, stream));
  }
  write_safetensors(path, views(tensors), model_metadata(model.kind(), facts));
}

void save_model(const std::filesystem::path& path, const SavedModel& model, const TensorMap& more) {
  TensorMap tensors = views(model.tensors);
  tensors.insert(more.begin(), more.end());
  write_safetensors(path, tensors, model.metadata);
}

std::string hash_model(const SavedModel& model) { return hash_tensors(views(model.tensors)); }

}  // namespace derrd
