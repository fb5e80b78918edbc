#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/safetensors.h"

namespace derrd {

/// Vectors of all users and items, on the host: a teacher, or a model to evaluate. Score: inner
/// product.
struct Embeddings {
  std::vector<float> user, item;  ///< [U, D], [I, D]
  int64_t users = 0, items = 0, dim = 0;
  Metadata metadata;  ///< of the file; empty if another program wrote it
};

/// Reads user_embedding [U, D] and item_embedding [I, D] (F32, F16 or BF16) from a safetensors
/// file, whoever trained them.
/// @param users,items of the data set that it goes with.
/// @throws Error that names file, tensor and cure, if a shape does not fit or a number is not
/// finite.
Embeddings load_embeddings(const std::filesystem::path& path, int64_t users, int64_t items);

}  // namespace derrd
