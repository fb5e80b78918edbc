#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "engine/teacher/teacher_data.h"

namespace derrd {

/// Files that hold a teacher. Row r of its tables or vectors, or number r of its lists, belongs to
/// the id on line r of a text file, else to element r of the tensors user_ids or item_ids
/// (data/README.md), else to the data set's own number r.
struct TeacherFiles {
  std::string file;  ///< safetensors, or lists as .tsv or .txt; empty if both vectors are .npy
  /// A tensor of the file, or a path that ends in .npy; empty: user_embedding, item_embedding.
  std::string user, item;
  std::string user_ids, item_ids;  ///< text files; empty: none
  /// Smallest part of the data set's users and items that the teacher must know; for lists, of its
  /// users alone.
  double coverage = 0.9;
};

/// Returns true if `name` ends in .npy.
bool is_npy(const std::string& name);
/// Returns true if `name` ends in .tsv or .txt, as rankings do.
bool is_ranking_text(const std::string& name);

/// A teacher with the data set's users and items.
struct LoadedTeacher {
  TeacherData data;
  std::string report;  ///< a line on how many users and items were matched; empty: all, by row
  Metadata metadata;   ///< of the file
  /// Tensors of the file with a row per user or item that are not used.
  std::vector<std::string> unused = {};
};

/// Reads a model, vectors or lists: lists if the file ends in .tsv or .txt or has a tensor `items`.
/// @throws Error that names file, tensor and cure, if something does not fit, is not finite, or
/// fewer users or items are matched than `coverage` asks for.
LoadedTeacher load_teacher_files(const TeacherFiles& files, const Dataset& dataset);

}  // namespace derrd
