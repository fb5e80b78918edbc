#include "apps/training/load_teacher.h"

#include <fmt/format.h>

#include <variant>

#include "apps/cli/message.h"
#include "apps/cli/usage_error.h"
#include "apps/training/load_model.h"
#include "apps/training/metrics_json.h"

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

/// Warns of lists that derrd recommend made of some items: losses take all that is in no list for
/// uninteresting.
void warn_of_selected_items(const std::string& path, const Metadata& metadata) {
  const std::string items = selected_items_of(metadata);
  if (items.empty()) return;
  say("derrd: warning: {}: ranks {} items alone; the student learns that users prefer them "
      "to all others",
      path, items);
}

}  // namespace

void add_teacher_options(CLI::App& command, ModelFiles& files) {
  command
      .add_option(
          "--teacher", files.file,
          "Teacher: a model of derrd; a safetensors file with a matrix of vectors for users "
          "and one for items, as F32, F16 or BF16; or rankings alone, as .tsv or .txt "
          "(lines of user, item and optional score, separated by tabs, the best first) or "
          "as safetensors with a matrix items [users, ranks]")
      ->type_name("FILE")
      ->group("Teacher");
  add_vector_options(command, files, "Teacher",
                     "; for rankings only users count. The student learns nothing from the teacher "
                     "about the others");
}

LoadedTeacher load_teacher(const ModelFiles& files, const Dataset& dataset) {
  LoadedTeacher teacher = load_teacher_files(files, dataset);
  warn_of_other_dataset(files.name(), teacher.metadata, dataset);
  if (!teacher.report.empty()) say_line(teacher.report);
  warn_of_unused(files.name(), teacher.unused);
  if (std::holds_alternative<RankingLists>(teacher.data)) {
    warn_of_selected_items(files.file, teacher.metadata);
  }
  return teacher;
}

void check_teacher_options(const ModelFiles& files) {
  if (!has_model(files)) {
    if (files.user_ids.empty() && files.item_ids.empty()) return;
    throw UsageError("--teacher-user-ids and --teacher-item-ids need a teacher; give --teacher");
  }
  if (files.arrays() && is_ranking_text(files.file)) {
    throw UsageError(fmt::format(
        "--teacher {} would not be used beside the vectors of --teacher-user and --teacher-item; "
        "leave one or the other out",
        files.file));
  }
  check_model_options(files);
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
