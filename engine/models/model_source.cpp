#include "engine/models/model_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "data/error.h"
#include "data/formats/npy.h"
#include "data/joined.h"
#include "data/printable.h"
#include "engine/models/biases.h"
#include "engine/models/catalogue.h"

namespace derrd {

namespace {

constexpr const char* kUserTensor = "user_embedding";
constexpr const char* kItemTensor = "item_embedding";

/// Score of an item that a model lacks: a power of two, which no format of floats rounds.
constexpr float kMissingScore = -0x1p126f;

/// The rows in the data set's order.
HostMatrix in_order(HostMatrix rows, const RowAlignment& alignment) {
  const bool are_in_order = alignment.numbers() == rows.rows && alignment.matched == rows.rows &&
                            std::ranges::is_sorted(alignment.row);
  if (are_in_order) return rows;
  const int64_t cols = rows.cols;
  HostMatrix result = {{}, alignment.numbers(), cols};
  result.values.resize(static_cast<size_t>(result.rows * cols));
  for (int64_t n = 0; n < result.rows; ++n) {
    const int64_t row = alignment.row[n];
    if (row < 0) continue;
    std::copy_n(rows.values.begin() + row * cols, cols, result.values.begin() + n * cols);
  }
  return result;
}

/// Length of the longest row.
double longest(const HostMatrix& matrix) {
  double most = 0;
  for (int64_t r = 0; r < matrix.rows; ++r) {
    double sum = 0;
    for (int64_t c = 0; c < matrix.cols; ++c) {
      const double value = matrix.values[r * matrix.cols + c];
      sum += value * value;
    }
    most = std::max(most, sum);
  }
  return std::sqrt(most);
}

FileAlignment aligned(const IdTable& ours, const std::optional<IdTable>& theirs) {
  if (theirs) return {align_by_ids(ours, *theirs), true};
  return {align_in_order(ours.size()), false};
}

std::vector<float> column_of(const RowAlignment& alignment, float present, float missing) {
  std::vector<float> column;
  for (const int32_t row : alignment.row) column.push_back(row >= 0 ? present : missing);
  return column;
}

}  // namespace

bool is_npy(const std::string& name) { return name.ends_with(".npy"); }

bool ModelFiles::arrays() const { return is_npy(user) && is_npy(item); }

std::string ModelFiles::name() const { return arrays() ? fmt::format("{}, {}", user, item) : file; }

std::string describe_alignment(const std::string& name, const FileAlignment& user,
                               const FileAlignment& item) {
  const auto of = [](const FileAlignment& alignment, const char* plural) {
    return fmt::format("{} of {} {} {}", alignment.matched, alignment.numbers(), plural,
                       alignment.by_id ? fmt::format("by id, {} rows of others",
                                                     alignment.rows() - alignment.matched)
                                       : std::string("by row"));
  };
  return fmt::format("{}: matched {}; {}", name, of(user, "users"), of(item, "items"));
}

std::string printable_ids(const std::vector<std::string>& ids) {
  std::string list;
  for (const std::string& id : ids) list += (list.empty() ? "" : ", ") + printable(id);
  return list;
}

void rank_missing_last(AlignedModel& aligned) {
  if (aligned.whole()) return;
  HostMatrix& user = aligned.model.tensors.at(kUserTensor);
  HostMatrix& item = aligned.model.tensors.at(kItemTensor);
  if (longest(user) * longest(item) >= -double{kMissingScore}) {
    throw Error(
        "the model's vectors are too long for a score below all others, which users and items that "
        "it lacks need; give a model that has all of them");
  }
  append_column(user, column_of(aligned.user, 1, 0));
  append_column(item, column_of(aligned.item, 0, kMissingScore));
}

void require_coverage(const ModelFiles& files, RowKind kind, int64_t matched, int64_t all,
                      const std::vector<std::string>& absent,
                      const std::vector<std::string>& unknown) {
  constexpr double kRounding = 1e-12;  // .55 of 100 is 55
  const double needed = files.coverage * static_cast<double>(all) * (1 - kRounding);
  if (static_cast<double>(matched) >= needed && (matched > 0 || all == 0)) return;
  const std::string theirs =
      unknown.empty() ? "" : fmt::format("; it has, for instance, {}", printable_ids(unknown));
  throw Error(fmt::format(
      "{0}: only {1} of {2} {3} of the data set are known to the {4}, and --{4}-coverage {5} asks "
      "for more; it does not have, for instance, {6}{7}: give the ids as they stand in the file "
      "that the data set was prepared from, or lower --{4}-coverage",
      files.name(), matched, all, kind == RowKind::kUser ? "users" : "items", files.option,
      files.coverage, printable_ids(absent), theirs));
}

/// Users or items, and what is said of them.
struct ModelSource::Side {
  const char* kind;    // "user"
  const char* plural;  // "users"
  const char* usual;   // name of the tensor if none is given
  const std::string& vectors;
  const std::string& id_file;

  /// Name of the tensor with the vectors.
  std::string tensor() const { return vectors.empty() ? usual : vectors; }
};

/// Vectors before they are brought in order.
struct ModelSource::Rows {
  std::string where;  // for messages
  HostMatrix matrix;
};

ModelSource::ModelSource(ModelFiles files) : files_(std::move(files)) {
  if (!files_.file.empty()) file_ = SafetensorsFile::read(files_.file);
}

ModelSource::Side ModelSource::side(RowKind kind) const {
  if (kind == RowKind::kUser) return {"user", "users", kUserTensor, files_.user, files_.user_ids};
  return {"item", "items", kItemTensor, files_.item, files_.item_ids};
}

bool ModelSource::has_vectors() const {
  return files_.named() || kind_of_model_file(*file_) == kInnerProductKind;
}

std::optional<IdTable> ModelSource::ids(RowKind kind) const {
  const Side of = side(kind);
  if (!of.id_file.empty()) return read_id_file(of.id_file);
  if (file_ && has_ids(*file_, of.kind)) return read_ids(*file_, of.kind);
  return {};
}

FileAlignment ModelSource::align(RowKind kind, const IdTable& ours) const {
  return aligned(ours, ids(kind));
}

void ModelSource::require_usual(const char* tensor) const {
  const std::string format = file_->metadata_or("format", "");
  if (file_->contains(tensor) || !(format.empty() || format == "derrd-vectors")) return;
  std::vector<std::string> names;
  for (const auto& [name, view] : file_->tensors()) names.push_back(name);
  throw Error(
      fmt::format("{}: has no tensor {}; say by --{}-user and --{}-item which of its tensors hold "
                  "the vectors: {}",
                  file_->name(), tensor, files_.option, files_.option, printable_ids(names)));
}

ModelSource::Rows ModelSource::read_rows(RowKind kind) const {
  const Side of = side(kind);
  Rows rows;
  NpyArray array;
  if (is_npy(of.vectors)) {
    rows.where = of.vectors;
    array = read_npy(of.vectors);
  } else {
    const std::string name = of.tensor();
    if (!file_) {
      throw Error(
          fmt::format("--{0}-{1} {2}: tensors are looked for in a safetensors file; give it by "
                      "--{0}",
                      files_.option, of.kind, name));
    }
    if (of.vectors.empty()) require_usual(of.usual);
    rows.where = fmt::format("{}: tensor '{}'", file_->name(), name);
    array = {file_->tensor(name).shape, file_->floats(name)};
  }
  if (array.shape.size() != 2) {
    throw Error(fmt::format("{}: is [{}]; it must be a matrix [{}, dimension]", rows.where,
                            joined(array.shape), of.plural));
  }
  if (array.shape[1] == 0) {
    throw Error(fmt::format(
        "{}: is empty; give a model whose vectors have a dimension of at least 1", rows.where));
  }
  rows.matrix = {std::move(array.values), array.shape[0], array.shape[1]};
  const std::vector<float>& values = rows.matrix.values;
  const auto bad = std::ranges::find_if(values, [](float v) { return !std::isfinite(v); });
  if (bad == values.end()) return rows;
  const int64_t index = bad - values.begin();
  throw Error(
      fmt::format("{}: has {} at row {}, column {}; a model must hold finite numbers within "
                  "float32's range: train it again, with a lower learning rate if it diverged, or "
                  "export it again",
                  rows.where, *bad, index / rows.matrix.cols, index % rows.matrix.cols));
}

void ModelSource::align_rows(AlignedModel& result, const Rows& rows, RowKind kind,
                             const Dataset* dataset) const {
  const Side of = side(kind);
  const bool users = kind == RowKind::kUser;
  const std::optional<IdTable> theirs = ids(kind);
  IdTable& own = users ? result.user_ids : result.item_ids;
  own = dataset ? (users ? dataset->user_ids : dataset->item_ids) : theirs.value_or(IdTable());
  FileAlignment& alignment = users ? result.user : result.item;
  alignment = dataset || theirs ? aligned(own, theirs)
                                : FileAlignment{align_in_order(rows.matrix.rows), false};
  if (alignment.rows() == rows.matrix.rows) return;
  throw Error(fmt::format(
      "{}: has {} rows for {} {}; {}", rows.where, rows.matrix.rows, alignment.rows(),
      theirs ? "ids" : of.plural,
      theirs ? "give every row its id"
             : fmt::format("give the data set that the model was trained on, or the rows' ids by "
                           "--{}-{}-ids or a tensor {}_ids",
                           files_.option, of.kind, of.kind)));
}

Metadata ModelSource::metadata() const {
  // Of a file that only gives tensors, they would tell of another model.
  const bool own = file_ && kind_of_model_file(*file_) == kInnerProductKind &&
                   !is_npy(files_.user) && !is_npy(files_.item);
  return own ? file_->metadata() : Metadata();
}

AlignedModel ModelSource::load_vectors(const Dataset* dataset) const {
  if (!files_.named()) refuse_checkpoint(*file_);
  Rows user = read_rows(RowKind::kUser), item = read_rows(RowKind::kItem);
  AlignedModel result;
  align_rows(result, user, RowKind::kUser, dataset);
  align_rows(result, item, RowKind::kItem, dataset);
  if (file_) {
    append_biases(user.matrix, item.matrix, *file_);
    result.unused = unused_tables(
        *file_,
        {side(RowKind::kUser).tensor(), side(RowKind::kItem).tensor(), kUserBias, kItemBias},
        user.matrix.rows, item.matrix.rows);
  }
  for (const auto& [kind, of] :
       {std::pair<RowKind, const FileAlignment&>(RowKind::kUser, result.user),
        {RowKind::kItem, result.item}}) {
    require_coverage(files_, kind, of.matched, of.numbers(), of.absent, of.unknown);
  }
  if (files_.named() || result.user.by_id || result.item.by_id) {
    result.report = describe_alignment(files_.name(), result.user, result.item);
  }
  result.model.kind = kInnerProductKind;
  result.model.tensors.emplace(kUserTensor, in_order(std::move(user.matrix), result.user));
  result.model.tensors.emplace(kItemTensor, in_order(std::move(item.matrix), result.item));
  result.model.metadata = metadata();
  return result;
}

AlignedModel ModelSource::load() const {
  if (!has_vectors()) {
    throw Error(fmt::format("{}: models of its kind, {}, are read with their data set; give --data",
                            files_.name(), kind_of_model_file(*file_)));
  }
  return load_vectors(nullptr);
}

AlignedModel ModelSource::load(const Dataset& dataset) const {
  AlignedModel result;
  if (has_vectors()) {
    result = load_vectors(&dataset);
    const int64_t users_dim = result.model.tensor(kUserTensor).cols;
    const int64_t items_dim = result.model.tensor(kItemTensor).cols;
    if (users_dim != items_dim) {
      throw Error(
          fmt::format("{}: users have {} dimensions, items {}; give a model where they agree",
                      files_.name(), users_dim, items_dim));
    }
    return result;
  }
  result.user_ids = dataset.user_ids;
  result.item_ids = dataset.item_ids;
  result.user = align(RowKind::kUser, dataset.user_ids);
  result.item = align(RowKind::kItem, dataset.item_ids);
  SavedModel model = load_model_file(*file_, result.user.rows(), result.item.rows());
  for (const auto& [alignment, plural] :
       {std::pair<const FileAlignment&, const char*>(result.user, "users"),
        {result.item, "items"}}) {
    if (alignment.matched == alignment.numbers()) continue;
    throw Error(fmt::format(
        "{}: knows only {} of {} {} of the data set, and a {} has to know all; it does not have, "
        "for instance, {}: give the ids as they stand in the file that the data set was prepared "
        "from, or, as a teacher, the model's rankings (derrd export --format tsv, with its own "
        "data set)",
        files_.name(), alignment.matched, alignment.numbers(), plural, model.kind,
        printable_ids(alignment.absent)));
  }
  select_users(model, result.user.row);
  select_items(model, result.item.row);
  std::vector<std::string> used;
  for (const auto& [name, matrix] : model.tensors) used.push_back(name);
  result.unused = unused_tables(*file_, used, result.user.rows(), result.item.rows());
  if (result.user.by_id || result.item.by_id) {
    result.report = describe_alignment(files_.name(), result.user, result.item);
  }
  result.model = std::move(model);
  return result;
}

}  // namespace derrd
