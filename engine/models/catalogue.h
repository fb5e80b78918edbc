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
#include "engine/models/scorer.h"
#include "engine/parameters.h"

namespace derrd {

/// The kind of a model that scores by inner products: what a file without derrd's metadata holds.
inline constexpr std::string_view kInnerProductKind = "bpr";

struct ModelOptions {
  int64_t dim = 0;
  int64_t layers = 1;  ///< hidden layers, of a kind that has some
  int64_t batch_size = 1024;
};

/// The kinds of models by name: "bpr", "neumf".
std::vector<std::string_view> model_kinds();

/// A model to train. To be called before Parameters::allocate(): it declares its parameters.
/// @throws Error if there is no such kind.
std::unique_ptr<Model> make_model(std::string_view kind, int64_t users, int64_t items,
                                  const ModelOptions& options, Parameters& parameters,
                                  const Stream& stream);

/// A finished model in device memory, ready to score.
std::unique_ptr<Scorer> make_scorer(const SavedModel& model, const Stream& stream);

/// Makes it a model of some of its users, or items, only, numbered in the order in which they are
/// given.
void select_users(SavedModel& model, std::span<const int32_t> users);
void select_items(SavedModel& model, std::span<const int32_t> items);

/// Length of a user's vector, which `--size` takes a part of.
int64_t model_dim(const SavedModel& model);
/// Number of its hidden layers; 0 for a kind that has none.
int64_t model_layers(const SavedModel& model);
/// Whether models of this kind have hidden layers.
bool has_layers(std::string_view kind);

/// The tensors of a model of this kind, for load_model_file.
/// @throws Error if the file does not hold them, or there is no such kind.
std::map<std::string, HostMatrix, std::less<>> read_model_tensors(std::string_view kind,
                                                                  const SafetensorsFile& file,
                                                                  int64_t users, int64_t items);

}  // namespace derrd
