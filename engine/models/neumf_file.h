#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "engine/models/model_file.h"
#include "engine/models/scorer.h"
#include "engine/models/tensor_reader.h"

namespace derrd {

/// Number of hidden layers of a NeuMF's tensors.
int64_t neumf_layers(const SavedModel& model);

/// The tensors of a NeuMF in a file.
/// @throws Error unless all of them are there and fit.
std::map<std::string, HostMatrix, std::less<>> read_neumf(const TensorReader& reader, int64_t users,
                                                          int64_t items);

/// A finished NeuMF in device memory.
std::unique_ptr<Scorer> make_neumf_scorer(const SavedModel& model, const Stream& stream);

}  // namespace derrd
