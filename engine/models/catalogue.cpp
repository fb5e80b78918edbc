#include "engine/models/catalogue.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "data/error.h"
#include "engine/models/biases.h"
#include "engine/models/bpr.h"
#include "engine/models/neumf.h"
#include "engine/models/neumf_file.h"
#include "engine/models/tensor_reader.h"

namespace derrd {

namespace {

using Tensors = std::map<std::string, HostMatrix, std::less<>>;

/// Properties and functions of a kind of model that the rest of the program needs.
struct Kind {
  std::string_view name;
  std::unique_ptr<Model> (*make)(int64_t users, int64_t items, const ModelOptions&, Parameters&);
  std::unique_ptr<Scorer> (*scorer)(const SavedModel&, const Stream&);
  ModelMemory (*memory)(const ModelSizes&, const ModelUse&);
  int64_t (*dim)(const SavedModel&);
  int64_t (*layers)(const SavedModel&);  ///< null: it has none
  Tensors (*read)(const TensorReader&, int64_t users, int64_t items);
  /// The tensors with a row per user, or item: side by side, its vector.
  std::vector<std::string_view> user_tables, item_tables;
};

void select_rows(SavedModel& model, const std::vector<std::string_view>& names,
                 std::span<const int32_t> rows) {
  for (const std::string_view name : names) {
    HostMatrix& table = model.tensors.find(name)->second;
    HostMatrix selected = {{}, static_cast<int64_t>(rows.size()), table.cols};
    selected.values.reserve(rows.size() * static_cast<size_t>(table.cols));
    for (const int32_t r : rows) {
      const auto row = std::span(table.values)
                           .subspan(static_cast<size_t>(r) * static_cast<size_t>(table.cols),
                                    static_cast<size_t>(table.cols));
      selected.values.insert(selected.values.end(), row.begin(), row.end());
    }
    table = std::move(selected);
  }
}

std::unique_ptr<Model> make_bpr(int64_t users, int64_t items, const ModelOptions& options,
                                Parameters& parameters) {
  return std::make_unique<BprModel>(users, items, options.dim, options.batch_size, parameters);
}

std::unique_ptr<Scorer> bpr_scorer(const SavedModel& model, const Stream& stream) {
  const HostMatrix& user = model.tensor("user_embedding");
  const HostMatrix& item = model.tensor("item_embedding");
  return std::make_unique<InnerProductScorer>(user.values, item.values, user.cols, stream);
}

int64_t bpr_dim(const SavedModel& model) { return model.tensor("user_embedding").cols; }

Tensors read_bpr(const TensorReader& reader, int64_t users, int64_t items) {
  HostMatrix user = reader.table("user_embedding", users, "users");
  HostMatrix item = reader.table("item_embedding", items, "items");
  if (item.cols != user.cols) {
    throw Error(fmt::format("{}: users have {} dimensions, items {}; give a model where they agree",
                            reader.file().name(), user.cols, item.cols));
  }
  append_biases(user, item, reader.file());
  Tensors tensors;
  tensors.emplace("user_embedding", std::move(user));
  tensors.emplace("item_embedding", std::move(item));
  return tensors;
}

std::unique_ptr<Model> make_neumf(int64_t users, int64_t items, const ModelOptions& options,
                                  Parameters& parameters) {
  return std::make_unique<NeumfModel>(NeumfShape{users, items, options.dim, options.layers},
                                      options.batch_size, parameters);
}

int64_t neumf_dim(const SavedModel& model) { return model.tensor("user_gmf").cols; }

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      {kInnerProductKind,
       make_bpr,
       bpr_scorer,
       BprModel::memory,
       bpr_dim,
       nullptr,
       read_bpr,
       {"user_embedding"},
       {"item_embedding"}},
      {"neumf",
       make_neumf,
       make_neumf_scorer,
       NeumfModel::memory,
       neumf_dim,
       neumf_layers,
       read_neumf,
       {"user_gmf", "user_mlp"},
       {"item_gmf", "item_mlp"}},
  };
  return all;
}

const Kind& kind_of(std::string_view name) {
  const auto found = std::ranges::find(kinds(), name, &Kind::name);
  if (found == kinds().end()) {
    throw Error(fmt::format("there is no kind of model '{}'; there are {}", name,
                            fmt::join(model_kinds(), ", ")));
  }
  return *found;
}

}  // namespace

std::vector<std::string_view> model_kinds() {
  std::vector<std::string_view> names;
  for (const Kind& kind : kinds()) names.push_back(kind.name);
  return names;
}

std::unique_ptr<Model> make_model(std::string_view kind, int64_t users, int64_t items,
                                  const ModelOptions& options, Parameters& parameters) {
  return kind_of(kind).make(users, items, options, parameters);
}

std::unique_ptr<Scorer> make_scorer(const SavedModel& model, const Stream& stream) {
  return kind_of(model.kind).scorer(model, stream);
}

void select_users(SavedModel& model, std::span<const int32_t> users) {
  select_rows(model, kind_of(model.kind).user_tables, users);
}
void select_items(SavedModel& model, std::span<const int32_t> items) {
  select_rows(model, kind_of(model.kind).item_tables, items);
}

void SlotRoom::reserve(int64_t more_anchors, int64_t slots_of_each) {
  anchors = std::max(anchors, more_anchors);
  slots = std::max(slots, more_anchors * slots_of_each);
}

int64_t ModelMemory::elements() const {
  return std::accumulate(matrices.begin(), matrices.end(), int64_t{0});
}

int64_t ModelMemory::arena() const {
  int64_t elements = 0;
  for (const int64_t matrix : matrices) elements += Parameters::padded(matrix);
  return elements;
}

ModelMemory model_memory(const ModelSizes& sizes, const ModelUse& use) {
  return kind_of(sizes.kind).memory(sizes, use);
}

ModelSizes sizes_of(const SavedModel& model, int64_t users, int64_t items) {
  return {.kind = model.kind,
          .users = users,
          .items = items,
          .dim = model_dim(model),
          .layers = std::max<int64_t>(1, model_layers(model))};
}

int64_t model_dim(const SavedModel& model) { return kind_of(model.kind).dim(model); }

int64_t model_layers(const SavedModel& model) {
  return has_layers(model.kind) ? kind_of(model.kind).layers(model) : 0;
}

bool has_layers(std::string_view kind) { return kind_of(kind).layers != nullptr; }

Tensors read_model_tensors(std::string_view kind, const SafetensorsFile& file, int64_t users,
                           int64_t items) {
  return kind_of(kind).read(TensorReader(file), users, items);
}

}  // namespace derrd
