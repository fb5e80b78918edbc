#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "data/formats/safetensors.h"
#include "engine/models/model.h"
#include "kernels/platform/device.h"

namespace derrd {

/// A matrix in host memory; a vector has one row.
struct HostMatrix {
  std::vector<float> values;  ///< [rows, cols]
  int64_t rows = 0, cols = 0;
};

/// A finished model in host memory: a teacher, or a model to evaluate or recommend with.
struct SavedModel {
  std::string kind;  ///< as Model::kind(); "bpr" for any model that scores by inner products
  std::map<std::string, HostMatrix, std::less<>> tensors;
  Metadata metadata;  ///< of the file; empty if another program wrote it

  /// Returns the tensor of this name, which must exist.
  const HostMatrix& tensor(std::string_view name) const { return tensors.find(name)->second; }
  /// Returns the number of elements in all tensors.
  int64_t parameters() const;
};

/// Returns the kind of a file's model: what derrd's metadata name, "bpr" for other files.
std::string kind_of_model_file(const SafetensorsFile& file);

/// Refuses a checkpoint, which is no model itself. @throws Error with the cure.
void refuse_checkpoint(const SafetensorsFile& file);

/// Reads a model from a safetensors file of F32, F16 or BF16 tensors, whatever program wrote it.
/// The file has the tensors of the kind that its metadata name, else user_embedding [U, D] and
/// item_embedding [I, D].
/// @param users, items numbers of the data set's users and items
/// @throws Error that names file, tensor and cure, if a shape does not fit or a number is not
/// finite.
SavedModel load_model_file(const std::filesystem::path& path, int64_t users, int64_t items);
/// Reads a model from a file in memory. @throws Error as above.
SavedModel load_model_file(const SafetensorsFile& file, int64_t users, int64_t items);

/// Origin of a model, from which it can be made again. Nothing here depends on paths, threads or
/// time, so a repeated run writes the same bytes.
struct ModelFacts {
  std::string options;  ///< JSON: everything that determines the result beside seed and data
  uint64_t seed = 0;
  std::string metrics;       ///< JSON: metrics on validation and test items
  std::string dataset_hash;  ///< of the data set that it was trained on
  std::string teacher_hash;  ///< hash_teacher of its teacher; empty: none
  /// describe_program() of the program that trained it; empty: unknown
  std::string made_by = {};
};

/// Makes the metadata of a model file.
Metadata model_metadata(std::string_view kind, const ModelFacts& facts);

/// Writes a model's tensors and their origin atomically (see AtomicFile). Waits for the stream.
/// @throws Error if it can't be written.
void save_model(const std::filesystem::path& path, const Model& model, const ModelFacts& facts,
                const Stream& stream);

/// Writes a model with its own metadata.
/// @param more further tensors of the file
/// @throws Error if it can't be written.
void save_model(const std::filesystem::path& path, const SavedModel& model,
                const TensorMap& more = {});

/// Returns the hash of the tensors that hash_tensors() gives for an F32 model file.
std::string hash_model(const SavedModel& model);

}  // namespace derrd
