#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "apps/cli/output_checks.h"
#include "data/dataset.h"
#include "engine/distill/loss_factory.h"
#include "engine/teacher/teacher_files.h"

namespace derrd {

/// Adds --teacher, --teacher-user and what else says where a teacher lies.
/// @param files outlives the command.
void add_teacher_options(CLI::App& command, TeacherFiles& files);

/// Whether a teacher is given.
bool has_teacher(const TeacherFiles& files);

/// What is wrong with the options together; empty: nothing.
std::string teacher_complaint(const TeacherFiles& files);

/// The files that are read.
std::vector<NamedFile> teacher_inputs(const TeacherFiles& files);

/// Reads the teacher; says on stderr how many users and items of a foreign one were matched.
/// @throws Error.
LoadedTeacher load_teacher(const TeacherFiles& files, const Dataset& dataset);

/// Why the teacher does not do for some of the losses; empty: it does.
std::string unmet_need(const TeacherData& teacher, const std::vector<const LossFactory*>& losses);

}  // namespace derrd
