#pragma once

#include <CLI/CLI.hpp>
#include <vector>

#include "data/dataset.h"
#include "engine/distill/loss_factory.h"
#include "engine/teacher/teacher_files.h"

namespace derrd {

/// Adds the options that name a teacher's files: --teacher, --teacher-user, ...
/// @param files as teacher_files(); outlives the command
void add_teacher_options(CLI::App& command, ModelFiles& files);

/// Checks the options together. @throws UsageError if they contradict each other.
void check_teacher_options(const ModelFiles& files);

/// Reads the teacher. Prints on stderr how many users and items of a foreign one were matched.
/// @throws Error if it can't be read or does not fit the data set.
LoadedTeacher load_teacher(const ModelFiles& files, const Dataset& dataset);

/// Checks that the teacher has what the losses need. @throws UsageError if it has not.
void check_requirements(const TeacherData& teacher, const std::vector<const LossFactory*>& losses);

}  // namespace derrd
