#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/formats/safetensors.h"
#include "engine/models/model.h"
#include "engine/models/model_file.h"
#include "engine/models/model_memory.h"
#include "engine/models/scorer.h"
#include "engine/parameters.h"

namespace derrd {

/// Kind of models that score by inner products, and of files without derrd's metadata.
inline constexpr std::string_view kInnerProductKind = "bpr";

/// Sizes of a model to train.
struct ModelOptions {
  int64_t dim = 0;
  int64_t layers = 1;  ///< hidden layers, where the kind has any
  int64_t batch_size = 1024;
};

/// Names of the kinds of models: "bpr", "neumf".
std::vector<std::string_view> model_kinds();

/// Makes a model to train, which declares its parameters. Call it before Parameters::allocate().
/// @throws Error if there is no such kind, or a hidden layer would have no unit.
std::unique_ptr<Model> make_model(std::string_view kind, int64_t users, int64_t items,
                                  const ModelOptions& options, Parameters& parameters);

/// Makes a scorer of a copy of a finished model in device memory.
/// @throws Error if there is no such kind.
std::unique_ptr<Scorer> make_scorer(const SavedModel& model, const Stream& stream);

/// Reduces a model to some of its users, or items, and numbers them in the order given.
/// @throws Error if there is no such kind.
void select_users(SavedModel& model, std::span<const int32_t> users);
void select_items(SavedModel& model, std::span<const int32_t> items);

/// Returns the sizes of a model of these users and items.
ModelSizes sizes_of(const SavedModel& model, int64_t users, int64_t items);

/// Returns the length of a user's vector, to which `--size` is relative.
int64_t model_dim(const SavedModel& model);
/// Returns the number of hidden layers; 0 for a kind without any.
int64_t model_layers(const SavedModel& model);
/// Returns true if models of this kind have hidden layers.
bool has_layers(std::string_view kind);

/// Reads the tensors of a model of this kind, for load_model_file().
/// @throws Error if the file does not hold them, or there is no such kind.
std::map<std::string, HostMatrix, std::less<>> read_model_tensors(std::string_view kind,
                                                                  const SafetensorsFile& file,
                                                                  int64_t users, int64_t items);

}  // namespace derrd
