#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"
#include "engine/models/model_source.h"
#include "engine/teacher/teacher_data.h"

namespace derrd {

/// Files of a teacher: a model's, or rankings. `file` may also be lists as .tsv or .txt, and of
/// lists only users count for `coverage`.
ModelFiles teacher_files();

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
LoadedTeacher load_teacher_files(const ModelFiles& files, const Dataset& dataset);

}  // namespace derrd
