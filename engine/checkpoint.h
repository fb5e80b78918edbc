#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "engine/early_stopping.h"

namespace derrd {

/// What a distiller carries from epoch to epoch besides its parameters.
struct DistillerState {
  double weight = 0;           ///< Distiller::weight()
  std::vector<double> values;  ///< Distiller::state()
  bool operator==(const DistillerState&) const = default;
};

/// Everything that a run needs to go on as if it had not been interrupted; random numbers need no
/// state.
struct Checkpoint {
  int next_epoch = 0;
  int64_t optimizer_steps = 0;
  EarlyStopping::State early_stopping;
  std::map<std::string, DistillerState> distillers;          ///< by name
  std::vector<float> values, first_moments, second_moments;  ///< the arena, padding included
  std::vector<float> best_values;  ///< the arena at the epoch whose model is kept
};

/// Writes aside and renames: the old file or the whole new one. `fingerprint` says what the run is
/// (options, seed, data).
/// @throws Error if it can't be written.
void save_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint,
                     const std::string& fingerprint);

/// @throws Error if the file is damaged (its checksum says so), or belongs to a run with another
/// fingerprint.
Checkpoint load_checkpoint(const std::filesystem::path& path, const std::string& fingerprint);

}  // namespace derrd
