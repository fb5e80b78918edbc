#include "apps/training/load_teacher.h"

#include <fmt/format.h>

#include <cstdio>

#include "apps/cli/option_checks.h"
#include "apps/cli/usage_error.h"
#include "apps/training/load_model.h"

namespace derrd {

namespace {

const char* described(TeacherPart part) {
  switch (part) {
    case TeacherPart::kVectors:
      return "vectors of users and items";
    case TeacherPart::kLists:
      return "rankings of items";
    case TeacherPart::kScores:
      return "scores of the items in its rankings";
    case TeacherPart::kScorer:
      break;
  }
  return "scores of all items";
}

}  // namespace

void add_teacher_options(CLI::App& command, TeacherFiles& files) {
  const auto add = [&](const char* name, std::string& value, const char* description) {
    return command.add_option(name, value, description)->group("Teacher");
  };
  add("--teacher", files.file,
      "Teacher: a model of derrd; a safetensors file with a matrix of vectors for users and one "
      "for "
      "items, as F32, F16 or BF16; or rankings alone, as .tsv or .txt (lines of user, item and "
      "optional score, separated by tabs, the best first) or as safetensors with a matrix items "
      "[users, ranks]")
      ->type_name("FILE");
  add("--teacher-user", files.user,
      "Users' vectors: name of a tensor in the --teacher file, or a NumPy file that ends in .npy "
      "[user_embedding]")
      ->type_name("NAME");
  add("--teacher-item", files.item,
      "Items' vectors: name of a tensor in the --teacher file, or a NumPy file that ends in .npy "
      "[item_embedding]")
      ->type_name("NAME");
  add("--teacher-user-ids", files.user_ids,
      "Text file with one original user id per teacher row [tensor user_ids of the --teacher file; "
      "without it the data set's numbers]")
      ->type_name("FILE");
  add("--teacher-item-ids", files.item_ids,
      "Text file with one original item id per teacher row [tensor item_ids of the --teacher file; "
      "without it the data set's numbers]")
      ->type_name("FILE");
  command
      .add_option("--teacher-coverage", files.coverage,
                  "Smallest fraction of the data set's users, and of its items, that the teacher "
                  "must know; for rankings only users count. The student learns nothing from the "
                  "teacher about the others")
      ->check(within(0, 1))
      ->group("Teacher")
      ->capture_default_str();
}

bool has_teacher(const TeacherFiles& files) {
  return !files.file.empty() || !files.user.empty() || !files.item.empty();
}

std::vector<NamedFile> teacher_inputs(const TeacherFiles& files) {
  return {{"--teacher", files.file},
          {"--teacher-user", is_npy(files.user) ? files.user : ""},
          {"--teacher-item", is_npy(files.item) ? files.item : ""},
          {"--teacher-user-ids", files.user_ids},
          {"--teacher-item-ids", files.item_ids}};
}

LoadedTeacher load_teacher(const TeacherFiles& files, const Dataset& dataset) {
  LoadedTeacher teacher = load_teacher_files(files, dataset);
  warn_of_other_dataset(files.file, teacher.metadata, dataset);
  if (!teacher.report.empty()) fmt::print(stderr, "{}\n", teacher.report);
  warn_of_unused(files.file, teacher.unused);
  return teacher;
}

void check_teacher_options(const TeacherFiles& files) {
  if (!has_teacher(files)) {
    if (files.user_ids.empty() && files.item_ids.empty()) return;
    throw UsageError("--teacher-user-ids and --teacher-item-ids need a teacher; give --teacher");
  }
  const bool both_arrays = is_npy(files.user) && is_npy(files.item);
  if (both_arrays && is_ranking_text(files.file)) {
    throw UsageError(fmt::format(
        "--teacher {} would not be used beside the vectors of --teacher-user and --teacher-item; "
        "leave one or the other out",
        files.file));
  }
  if (files.file.empty() && !both_arrays) {
    throw UsageError("without --teacher give both --teacher-user and --teacher-item as .npy files");
  }
}

void check_requirements(const TeacherData& teacher, const std::vector<const LossFactory*>& losses) {
  for (const LossFactory* loss : losses) {
    const std::optional<std::string> reason = missing_part(teacher, loss->needs());
    if (!reason) continue;
    throw UsageError(
        fmt::format("the loss {} needs a teacher's {}, but of this one {}; choose another "
                    "--method or --teacher",
                    loss->name(), described(loss->needs()), *reason));
  }
}

}  // namespace derrd
