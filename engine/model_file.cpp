#include "engine/model_file.h"

#include <vector>

#include "data/safetensors.h"
#include "data/version.h"

namespace derrd {

namespace {

std::vector<float> to_host(Matrix<const float> matrix, const Stream& stream) {
  std::vector<float> host(static_cast<size_t>(matrix.size()));
  copy_to_host(host.data(), matrix.data, matrix.size() * static_cast<int64_t>(sizeof(float)),
               stream);
  return host;
}

TensorMap tensors_of(const std::vector<float>& user, const std::vector<float>& item, int64_t users,
                     int64_t items, int64_t dim) {
  return {{"user_embedding", tensor_view(std::span(user), {users, dim})},
          {"item_embedding", tensor_view(std::span(item), {items, dim})}};
}

}  // namespace

void save_model(const std::filesystem::path& path, const Model& model, const ModelFacts& facts,
                const Stream& stream) {
  const Representations r = model.representations();
  const std::vector<float> user = to_host(r.user, stream);
  const std::vector<float> item = to_host(r.item, stream);
  Metadata metadata = {{"format", "derrd-model"},
                       {"model", std::string(model.kind())},
                       {"options", facts.options},
                       {"seed", std::to_string(facts.seed)},
                       {"version", kVersion},
                       {"metrics", facts.metrics},
                       {"dataset_hash", facts.dataset_hash}};
  if (!facts.teacher_hash.empty()) metadata.emplace("teacher_hash", facts.teacher_hash);
  write_safetensors(path, tensors_of(user, item, r.user.rows, r.item.rows, r.user.cols), metadata);
}

std::string hash_embeddings(const Embeddings& e) {
  return hash_tensors(tensors_of(e.user, e.item, e.users, e.items, e.dim));
}

}  // namespace derrd
