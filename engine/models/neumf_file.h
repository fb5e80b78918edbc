#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "engine/models/model_file.h"
#include "engine/models/scorer.h"
#include "engine/models/tensor_reader.h"

namespace derrd {

/// Returns the number of hidden layers of a NeuMF.
int64_t neumf_layers(const SavedModel& model);

/// Reads the tensors of a NeuMF from a file.
/// @throws Error if one of them is missing or does not fit.
std::map<std::string, HostMatrix, std::less<>> read_neumf(const TensorReader& reader, int64_t users,
                                                          int64_t items);

/// Makes a scorer of a copy of a finished NeuMF in device memory.
std::unique_ptr<Scorer> make_neumf_scorer(const SavedModel& model, const Stream& stream);

}  // namespace derrd
