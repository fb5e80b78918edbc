#pragma once

#include <cstdint>
#include <string>

#include "data/dataset.h"
#include "engine/teacher/teacher_data.h"

namespace derrd {

/// Where a teacher lies. Its users and items may be known by ids: row r of a model's tables or of
/// the vectors, or number r of the lists, belongs to the id on line r of a text file, else to that
/// of the tensors user_ids or item_ids (data/README.md); without either it is the data set's own
/// number.
struct TeacherFiles {
  std::string file;  ///< safetensors, or lists as .tsv or .txt; empty if both vectors are .npy
  std::string user, item;  ///< a tensor of the file, or a path that ends in .npy; empty: as usual
  std::string user_ids, item_ids;  ///< text files; empty: none
  /// Users and items of the data set that the teacher has to know, as a part of all; of lists the
  /// users alone.
  double coverage = 0.9;
};

/// Whether `name` is that of a file of NumPy's.
bool is_npy(const std::string& name);
/// Whether --teacher names rankings as text.
bool is_ranking_text(const std::string& name);

struct LoadedTeacher {
  TeacherData data;
  std::string report;  ///< a line on how many users and items were matched; empty: all, by row
  Metadata metadata;   ///< of the file
};

/// Reads a model, vectors or lists: lists if the file ends in .tsv or .txt or has a tensor `items`.
/// @throws Error that names file, tensor and cure, if something does not fit, is not finite, or
/// fewer users or items are matched than `coverage` asks for.
LoadedTeacher load_teacher_files(const TeacherFiles& files, const Dataset& dataset);

}  // namespace derrd
