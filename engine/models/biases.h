#pragma once

#include <string>
#include <vector>

#include "data/formats/safetensors.h"
#include "engine/models/model_file.h"

namespace derrd {

/// Tensors with a number per user, or item, that is added to its scores.
inline constexpr const char* kUserBias = "user_bias";
inline constexpr const char* kItemBias = "item_bias";

/// Appends a column to a matrix.
/// @param column [rows]
void append_column(HostMatrix& matrix, const std::vector<float>& column);

/// Appends the biases in the tensors kUserBias and kItemBias of a file, so that an inner product
/// is u.i + b_u + b_i: a bias is one more column of its own side, and a column of ones on the
/// other. Appends nothing if the file has no such tensor.
/// @param user [U, D], item [I, D'], widened by up to two columns
/// @throws Error unless the tensors are [U] or [U, 1], [I] or [I, 1], with finite numbers.
void append_biases(HostMatrix& user, HostMatrix& item, const SafetensorsFile& file);

/// Names the tensors of a file that have a row per user or item and are neither ids nor `used`.
/// @param users, items numbers of the rows of the model's tables
std::vector<std::string> unused_tables(const SafetensorsFile& file,
                                       const std::vector<std::string>& used, int64_t users,
                                       int64_t items);

}  // namespace derrd
