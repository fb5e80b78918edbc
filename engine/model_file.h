#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "engine/models/model.h"
#include "engine/teacher.h"
#include "kernels/platform/device.h"

namespace derrd {

/// What a model file says about its origin, so that it can be made again. Nothing in it depends on
/// paths, threads or time: the same run gives the same bytes.
struct ModelFacts {
  std::string options;  ///< JSON: everything that determines the result beside seed and data
  uint64_t seed = 0;
  std::string metrics;       ///< JSON: what validation and test gave
  std::string dataset_hash;  ///< of the data set that it was trained on
  std::string teacher_hash;  ///< hash_embeddings of its teacher; empty: none
};

/// Writes user_embedding [U, D] and item_embedding [I, D] with their origin, aside and renamed:
/// never a part of it. Waits for the stream.
/// @throws Error if it can't be written.
void save_model(const std::filesystem::path& path, const Model& model, const ModelFacts& facts,
                const Stream& stream);

/// Hash of the two matrices, as hash_tensors gives it for an F32 model file.
std::string hash_embeddings(const Embeddings& embeddings);

}  // namespace derrd
