#include "engine/teacher/teacher_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "data/error.h"
#include "data/formats/npy.h"
#include "data/formats/safetensors.h"
#include "data/joined.h"
#include "data/printable.h"
#include "data/ranking_lists.h"
#include "data/row_alignment.h"
#include "engine/models/aligned_model.h"
#include "engine/models/biases.h"
#include "engine/models/catalogue.h"

namespace derrd {

namespace {

constexpr const char* kUserTensor = "user_embedding";
constexpr const char* kItemTensor = "item_embedding";

/// Users or items, and what is said of them.
struct Side {
  const char* kind;            // "user"
  const char* plural;          // "users"
  const char* option;          // of the ids
  const std::string& vectors;  // tensor or .npy file
  const std::string& id_file;
  const IdTable& ours;
};

/// Vectors of either kind before they are brought in order.
struct Foreign {
  std::string where;  // for messages
  HostMatrix rows;
  FileAlignment alignment;
};

class Loader {
 public:
  Loader(const TeacherFiles& files, const Dataset& dataset)
      : files_(files),
        dataset_(dataset),
        user_{"user", "users", "--teacher-user-ids", files.user, files.user_ids, dataset.user_ids},
        item_{"item", "items", "--teacher-item-ids", files.item, files.item_ids, dataset.item_ids} {
    if (!files.file.empty() && !is_ranking_text(files.file)) {
      file_ = SafetensorsFile::read(files.file);
    }
  }

  LoadedTeacher load() {
    LoadedTeacher teacher = load_data();
    if (file_) teacher.metadata = file_->metadata();
    return teacher;
  }

 private:
  LoadedTeacher load_data() const {
    if (!files_.user.empty() || !files_.item.empty()) return load_vectors();
    if (is_ranking_text(files_.file)) {
      if (has_own_ids(user_) || has_own_ids(item_)) {
        throw Error(
            fmt::format("{}: rankings as text hold ids themselves; leave --teacher-user-ids and "
                        "--teacher-item-ids out",
                        files_.file));
      }
      return finish(read_ranking_lists(files_.file, dataset_));
    }
    if (file_->contains("items")) {
      return finish(ranking_lists(*file_, alignment(user_), alignment(item_), dataset_));
    }
    const bool has_ids = has_own_ids(user_) || has_own_ids(item_);
    if (has_ids && kind_of_model_file(*file_) == kInnerProductKind) return load_vectors();
    if (file_->metadata_or("format", "").empty()) require_usual(kUserTensor);
    return load_model();
  }

  /// @throws Error if the file has no tensor of this name, which nobody gave.
  void require_usual(const char* tensor) const {
    if (file_->contains(tensor)) return;
    std::vector<std::string> names;
    for (const auto& [name, view] : file_->tensors()) names.push_back(name);
    throw Error(
        fmt::format("{}: has no tensor {}; say by --teacher-user and --teacher-item which of its "
                    "tensors hold the vectors: {}",
                    file_->name(), tensor, printable_ids(names)));
  }

  LoadedTeacher load_model() const {
    const FileAlignment user = alignment(user_), item = alignment(item_);
    AlignedModel aligned = load_aligned_model(*file_, user, item);
    LoadedTeacher result;
    result.data = std::move(aligned.model);
    result.unused = std::move(aligned.unused);
    if (user.by_id || item.by_id) result.report = describe_alignment(name(), user, item);
    return result;
  }

  LoadedTeacher load_vectors() const {
    Foreign user = read_vectors(user_, kUserTensor), item = read_vectors(item_, kItemTensor);
    std::vector<std::string> unused;
    if (file_) {
      append_biases(user.rows, item.rows, *file_);
      unused = unused_tables(
          *file_,
          {tensor_of(user_, kUserTensor), tensor_of(item_, kItemTensor), kUserBias, kItemBias},
          user.rows.rows, item.rows.rows);
    }
    LoadedTeacher result = finish(user, item);
    result.unused = std::move(unused);
    return result;
  }

  /// Name of the tensor with the vectors.
  static std::string tensor_of(const Side& side, const char* usual) {
    return side.vectors.empty() ? usual : side.vectors;
  }

  Foreign read_vectors(const Side& side, const char* usual) const {
    Foreign foreign;
    NpyArray array;
    if (is_npy(side.vectors)) {
      foreign.where = side.vectors;
      array = read_npy(side.vectors);
    } else {
      const std::string name = tensor_of(side, usual);
      if (!file_) {
        throw Error(
            fmt::format("--teacher-{} {}: tensors are looked for in a safetensors file; "
                        "give it by --teacher",
                        side.kind, name));
      }
      if (side.vectors.empty()) require_usual(usual);
      foreign.where = fmt::format("{}: tensor '{}'", file_->name(), name);
      array = {file_->tensor(name).shape, file_->floats(name)};
    }
    if (array.shape.size() != 2 || array.shape[1] == 0) {
      throw Error(
          fmt::format("{}: is [{}]; it must be a matrix [{}, dimension] with a dimension of at "
                      "least 1",
                      foreign.where, joined(array.shape), side.plural));
    }
    foreign.rows = {std::move(array.values), array.shape[0], array.shape[1]};
    check_finite(foreign);
    foreign.alignment = alignment(side);
    if (foreign.alignment.rows() != foreign.rows.rows) {
      const bool by_ids = has_own_ids(side);
      throw Error(fmt::format(
          "{}: has {} rows for {} {}; {}", foreign.where, foreign.rows.rows,
          foreign.alignment.rows(), by_ids ? "ids" : side.plural,
          by_ids ? "give every row its id" : fmt::format("give the rows' ids by {}", side.option)));
    }
    return foreign;
  }

  static void check_finite(const Foreign& foreign) {
    const std::vector<float>& values = foreign.rows.values;
    const auto bad = std::ranges::find_if(values, [](float v) { return !std::isfinite(v); });
    if (bad == values.end()) return;
    const int64_t index = bad - values.begin();
    throw Error(
        fmt::format("{}: has {} at row {}, column {}; a teacher must hold finite numbers "
                    "within float32's range: train or export it again",
                    foreign.where, *bad, index / foreign.rows.cols, index % foreign.rows.cols));
  }

  bool has_own_ids(const Side& side) const {
    return !side.id_file.empty() || (file_ && has_ids(*file_, side.kind));
  }

  FileAlignment alignment(const Side& side) const {
    if (!side.id_file.empty()) return {align_by_ids(side.ours, read_id_file(side.id_file)), true};
    if (file_) return align_rows(*file_, side.kind, side.ours);
    return {align_in_order(side.ours.size()), false};
  }

  /// @throws Error if too few are matched.
  void require_coverage(const Side& side, int64_t matched, const std::vector<std::string>& absent,
                        const std::vector<std::string>& unknown) const {
    const auto all = static_cast<double>(side.ours.size());
    constexpr double kRounding = 1e-12;  // .55 of 100 is 55
    if (static_cast<double>(matched) >= files_.coverage * all * (1 - kRounding)) return;
    const std::string theirs =
        unknown.empty() ? "" : fmt::format("; it has, for instance, {}", printable_ids(unknown));
    throw Error(fmt::format(
        "{}: only {} of {} {} of the data set are known to the teacher, and --teacher-coverage {} "
        "asks for more; it does not have, for instance, {}{}: give the ids as they stand in the "
        "file that the data set was prepared from, or lower --teacher-coverage",
        name(), matched, side.ours.size(), side.plural, files_.coverage, printable_ids(absent),
        theirs));
  }

  LoadedTeacher finish(const Foreign& user, const Foreign& item) const {
    require_coverage(user_, user.alignment.matched, user.alignment.absent, user.alignment.unknown);
    require_coverage(item_, item.alignment.matched, item.alignment.absent, item.alignment.unknown);
    TeacherVectors vectors = {in_order(user), in_order(item), presence(user.alignment),
                              presence(item.alignment)};
    LoadedTeacher result;
    result.report = describe_alignment(name(), user.alignment, item.alignment);
    const bool whole = user.alignment.matched == user.alignment.numbers() &&
                       item.alignment.matched == item.alignment.numbers();
    if (whole && vectors.user.cols == vectors.item.cols) {
      SavedModel model;
      model.kind = kInnerProductKind;
      model.tensors.emplace(kUserTensor, std::move(vectors.user));
      model.tensors.emplace(kItemTensor, std::move(vectors.item));
      result.data = std::move(model);
    } else {
      result.data = std::move(vectors);
    }
    return result;
  }

  LoadedTeacher finish(RankingLists lists) const {
    require_coverage(user_, lists.matched_users, lists.absent, lists.unknown);
    LoadedTeacher result;
    result.report = fmt::format(
        "{}: lists of {} of {} users, {} items in them; left out {} users and {} items that the "
        "data set does not have, and {} items that their user trained with",
        name(), lists.matched_users, dataset_.num_users(), lists.items.size(), lists.unknown_users,
        lists.unknown_items, lists.observed);
    result.data = std::move(lists);
    return result;
  }

  /// The rows in the data set's order.
  static HostMatrix in_order(const Foreign& foreign) {
    const int64_t cols = foreign.rows.cols;
    HostMatrix result = {{}, foreign.alignment.numbers(), cols};
    result.values.resize(static_cast<size_t>(result.rows * cols));
    for (int64_t n = 0; n < result.rows; ++n) {
      const int64_t row = foreign.alignment.row[n];
      if (row < 0) continue;
      std::copy_n(foreign.rows.values.begin() + row * cols, cols, result.values.begin() + n * cols);
    }
    return result;
  }

  static std::vector<uint8_t> presence(const RowAlignment& alignment) {
    std::vector<uint8_t> present;
    for (const int32_t row : alignment.row) present.push_back(row >= 0);
    return present;
  }

  std::string name() const {
    const bool arrays = is_npy(files_.user) && is_npy(files_.item);
    return arrays ? fmt::format("{}, {}", files_.user, files_.item) : files_.file;
  }

  const TeacherFiles& files_;
  const Dataset& dataset_;
  const Side user_, item_;
  std::optional<SafetensorsFile> file_;
};

}  // namespace

bool is_ranking_text(const std::string& name) {
  return name.ends_with(".tsv") || name.ends_with(".txt");
}

bool is_npy(const std::string& name) { return name.ends_with(".npy"); }

LoadedTeacher load_teacher_files(const TeacherFiles& files, const Dataset& dataset) {
  return Loader(files, dataset).load();
}

}  // namespace derrd
