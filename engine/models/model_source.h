#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/formats/safetensors.h"
#include "data/row_alignment.h"
#include "engine/models/model_file.h"

namespace derrd {

/// Files that hold a model, whichever program made it, and names of what is in them. Row r of its
/// tables, or number r of its lists, belongs to the id on line r of a text file, else to element r
/// of the tensors user_ids or item_ids (data/README.md), else to the data set's own number r.
struct ModelFiles {
  std::string file;  ///< safetensors; empty if both vectors are .npy
  /// A tensor of the file, or a path that ends in .npy; empty: user_embedding, item_embedding.
  std::string user, item;
  std::string user_ids, item_ids;  ///< text files; empty: none
  /// Smallest part of the data set's users, and of its items, that the model must know.
  double coverage = 1;
  /// Beginning of the options that name these files, and word for the model in messages.
  std::string option = "model";

  /// Returns true if the vectors are two .npy files.
  bool arrays() const;
  /// Returns true if the vectors are named, so that their own names do not say what they are.
  bool named() const { return !user.empty() || !item.empty(); }
  /// Returns the names of the files with the vectors, for messages.
  std::string name() const;
};

/// Returns true if `name` ends in .npy.
bool is_npy(const std::string& name);

/// Assignment of a file's rows to the users, or items, of a data set.
struct FileAlignment : RowAlignment {
  bool by_id = false;  ///< whether ids decided, not the order
};

/// Says the number of users and items that were matched, after the name of the rows' file.
std::string describe_alignment(const std::string& name, const FileAlignment& user,
                               const FileAlignment& item);

/// Lists ids for a message, as printable() shows them.
std::string printable_ids(const std::vector<std::string>& ids);

/// A model with the users and items of a data set.
struct AlignedModel {
  /// Rows of 0 where the model has none. Vectors of users and items may differ in width if they
  /// were read by ModelSource::load_vectors().
  SavedModel model;
  FileAlignment user, item;
  IdTable user_ids, item_ids;       ///< original ids of the rows; empty: unknown
  std::vector<std::string> unused;  ///< unused_tables() of the file
  std::string report;  ///< a line on how many users and items were matched; empty: all, by row

  /// Returns true if the model has a row for every user and item.
  bool whole() const { return user.matched == user.numbers() && item.matched == item.numbers(); }
};

/// Makes held-out items that a model of vectors lacks rank last, as do all items for a user that it
/// lacks: appends a column by which such an item scores less than any other. Does nothing to a
/// whole model.
/// @throws Error if scores may be as low as that.
void rank_missing_last(AlignedModel& aligned);

/// Whether rows are users or items.
enum class RowKind { kUser, kItem };

/// Checks that a model knows enough users or items of a data set.
/// @param absent ids of the data set that have no row, @param unknown ids of rows without a number;
/// examples for the message
/// @throws Error if fewer than `files.coverage` of `all` users or items are matched, or none.
void require_coverage(const ModelFiles& files, RowKind kind, int64_t matched, int64_t all,
                      const std::vector<std::string>& absent,
                      const std::vector<std::string>& unknown);

/// Reader of a model of any program.
class ModelSource {
 public:
  /// Reads the safetensors file, if there is one. @throws Error if it can't be read.
  explicit ModelSource(ModelFiles files);

  const ModelFiles& files() const { return files_; }
  const std::optional<SafetensorsFile>& file() const { return file_; }

  /// Returns true if the model is, or is read as, vectors of users and items.
  bool has_vectors() const;
  /// Aligns the rows by their ids, else by number. @throws Error if the ids are damaged.
  FileAlignment align(RowKind kind, const IdTable& ours) const;

  /// Reads the model and brings its rows into a data set's order.
  /// @throws Error that names file, tensor and cure, if something does not fit, is not finite, or
  /// fewer users or items are matched than `files().coverage` asks for. Other kinds of models than
  /// vectors must have all of them.
  AlignedModel load(const Dataset& dataset) const;
  /// Reads vectors in their own order. @throws Error as above; or if the model is not of vectors.
  AlignedModel load() const;
  /// Reads vectors, whose width may differ between users and items.
  /// @param dataset null: the rows keep their own order
  /// @throws Error as above.
  AlignedModel load_vectors(const Dataset* dataset) const;

 private:
  struct Side;
  struct Rows;

  Side side(RowKind kind) const;
  std::optional<IdTable> ids(RowKind kind) const;
  Rows read_rows(RowKind kind) const;
  void align_rows(AlignedModel& result, const Rows& rows, RowKind kind,
                  const Dataset* dataset) const;
  void require_usual(const char* tensor) const;
  Metadata metadata() const;

  ModelFiles files_;
  std::optional<SafetensorsFile> file_;
};

}  // namespace derrd
