#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "data/formats/safetensors.h"

namespace derrd {

/// Experts that a gate prefers for each user in the course of a training: row e after e epochs,
/// row 0 before the first.
struct GateRows {
  int64_t users = 0;
  /// [rows, users] expert with the largest weight alpha, the lowest number among equals; -1 where
  /// the teacher has no vector of the user.
  std::vector<int32_t> user_expert;
  /// [rows] entropy of alpha in nats, the mean over the users that have an expert.
  std::vector<float> entropy;

  int64_t rows() const { return static_cast<int64_t>(entropy.size()); }
  /// Returns the bytes of host memory that rows take.
  static int64_t bytes(int64_t users, int64_t rows);
  bool operator==(const GateRows&) const = default;
};

/// Number that stands for no expert.
inline constexpr int32_t kNoExpert = -1;

/// Views of the rows as tensors of a file: user_expert, gate_entropy. They refer to `rows`.
TensorMap gate_tensors(const GateRows& rows);
/// Returns true if a file has these tensors.
bool has_gate_rows(const SafetensorsFile& file);
/// Reads the rows from a file that has them. @throws Error if their shapes do not fit.
GateRows gate_rows(const SafetensorsFile& file);

/// A gate record file.
struct GateRecord {
  int64_t experts = 0;
  int64_t best_row = 0;  ///< row of the epoch whose model was kept
  GateRows rows;
  Metadata metadata;  ///< of the file: origin of the model, as in the model's file
};

/// Writes a gate record atomically (see AtomicFile).
/// @param experts, best_row as in GateRecord
/// @param model metadata of the training's model file
/// @throws Error if it can't be written.
void save_gate_record(const std::filesystem::path& path, const GateRows& rows, int64_t experts,
                      int64_t best_row, Metadata model);

/// Reads a gate record.
/// @throws Error if the file can't be read, is damaged, or is no gate record.
GateRecord read_gate_record(const std::filesystem::path& path);

}  // namespace derrd
