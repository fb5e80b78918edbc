#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "data/formats/safetensors.h"
#include "engine/distill/gate_record.h"
#include "engine/evaluation/early_stopping.h"
#include "engine/models/model.h"
#include "engine/models/model_file.h"
#include "engine/parameters.h"

namespace derrd {

/// State of a loss between epochs, besides its parameters.
struct LossState {
  double weight = 0;           ///< DistillationLoss::weight()
  std::vector<double> values;  ///< DistillationLoss::state()
  bool operator==(const LossState&) const = default;
};

/// Describes this program by its version and arithmetic (see DeviceInfo). Programs with equal
/// descriptions continue a training to the same bits. @throws DeviceError if there is no device.
std::string describe_program();

/// State of a run between epochs, from which it continues to the same bits. Random numbers need no
/// state.
struct Checkpoint {
  int next_epoch = 0;
  int64_t optimizer_steps = 0;
  EarlyStopping::State early_stopping;
  std::map<std::string, LossState> losses;                   ///< by name
  std::vector<float> values, first_moments, second_moments;  ///< the arena, padding included
  std::vector<float> best_values;  ///< the arena at the epoch whose model is kept
  std::string log_hash;            ///< of the log up to here, set by who writes one; empty: none
  /// Experts that the users' gate has preferred so far, set by who records them; null: nobody does.
  std::shared_ptr<GateRows> gate_rows;
  std::string made_by;  ///< describe_program() of the program that trained so far
};

/// Positions of a model's tensors in the arena, and the metadata of its file.
struct ModelInArena {
  struct Part {
    std::string name;
    int64_t offset = 0;  ///< elements of the arena before the matrix
    int64_t rows = 0, cols = 0;
  };
  std::vector<Part> tensors;
  Metadata metadata;
};

/// Finds the positions of a model's tensors in the arena.
/// @throws std::logic_error if a tensor lies elsewhere.
ModelInArena model_in_arena(const Model& model, const Parameters& parameters,
                            const ModelFacts& facts);

/// Writes a checkpoint atomically (see AtomicFile).
/// @param fingerprint options, seed and data of the run
/// @param model positions in best_values of the model to keep
/// @throws Error if it can't be written.
void save_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint,
                     const std::string& fingerprint, const ModelInArena& model);

/// Reads a checkpoint.
/// @throws Error if the file can't be read, is damaged, or belongs to a run with another
/// fingerprint.
Checkpoint load_checkpoint(const std::filesystem::path& path, const std::string& fingerprint);

/// Returns true if a file's metadata say that it is a checkpoint.
bool is_checkpoint(const Metadata& metadata);

/// Reads the model of a checkpoint's best epoch, with the metadata of the run's model file.
/// @throws Error if the file is damaged, or has no such model.
SavedModel load_best_model(const SafetensorsFile& file);

}  // namespace derrd
