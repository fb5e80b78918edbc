#pragma once

#include <string>
#include <vector>

#include "data/formats/safetensors.h"
#include "data/row_alignment.h"
#include "engine/models/model_file.h"

namespace derrd {

/// Assignment of a file's rows to the users, or items, of a data set.
struct FileAlignment : RowAlignment {
  bool by_id = false;  ///< whether ids decided, not the order
};

/// Aligns by the ids of a kind ("user" or "item") in a file if it has any, else by number.
/// @throws Error that names the file, if its ids are damaged.
FileAlignment align_rows(const SafetensorsFile& file, const std::string& kind, const IdTable& ours);

/// Says the number of users and items that were matched, after the name of the rows' file.
std::string describe_alignment(const std::string& name, const FileAlignment& user,
                               const FileAlignment& item);

/// Lists ids for a message, as printable() shows them.
std::string printable_ids(const std::vector<std::string>& ids);

/// A model with the users and items of a data set.
struct AlignedModel {
  SavedModel model;
  std::vector<std::string> unused;  ///< unused_tables() of its file
};

/// Reads a model and brings its rows into a data set's order.
/// @throws Error as load_model_file, or if the model lacks a user or an item of the data set.
AlignedModel load_aligned_model(const SafetensorsFile& file, const RowAlignment& user,
                                const RowAlignment& item);

}  // namespace derrd
