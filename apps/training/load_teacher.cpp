#include "apps/training/load_teacher.h"

#include <fmt/format.h>

#include <cstdio>

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
      "What to learn from: a model of derrd; any safetensors file with a matrix of vectors for "
      "users and one for items, as F32, F16 or BF16; or rankings alone, as .tsv or .txt (lines of "
      "user, item and perhaps score with tabs between, the best first) or as safetensors with a "
      "matrix items [users, ranks]")
      ->type_name("FILE");
  add("--teacher-user", files.user,
      "The users' vectors: a tensor of the --teacher file, or a file of NumPy's that ends in .npy "
      "[user_embedding]")
      ->type_name("NAME");
  add("--teacher-item", files.item, "The items' vectors, likewise [item_embedding]")
      ->type_name("NAME");
  add("--teacher-user-ids", files.user_ids,
      "Whose the teacher's rows are: a text file with the original id of row r on line r [tensor "
      "user_ids of the --teacher file; without it the data set's own numbers]")
      ->type_name("FILE");
  add("--teacher-item-ids", files.item_ids, "The same for items [tensor item_ids]")
      ->type_name("FILE");
  command
      .add_option(
          "--teacher-coverage", files.coverage,
          "Part of the data set's users and items (of rankings: the users) that the teacher "
          "has to know, at least; of the others nothing is learned")
      ->check([](const std::string& text) {
        double value = 0;
        const bool fits = CLI::detail::lexical_cast(text, value) && value >= 0 && value <= 1;
        return fits ? std::string() : text + " is not a number from 0 to 1";
      })
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
  return teacher;
}

std::string teacher_complaint(const TeacherFiles& files) {
  if (!has_teacher(files)) {
    return files.user_ids.empty() && files.item_ids.empty()
               ? ""
               : "--teacher-user-ids and --teacher-item-ids say whose a teacher's rows are; give "
                 "it";
  }
  const bool both_arrays = is_npy(files.user) && is_npy(files.item);
  if (both_arrays && is_ranking_text(files.file)) {
    return fmt::format(
        "--teacher {} would not be used beside the vectors of --teacher-user and --teacher-item; "
        "leave one or the other out",
        files.file);
  }
  if (files.file.empty() && !both_arrays) {
    return "without --teacher give both --teacher-user and --teacher-item as .npy files";
  }
  return "";
}

std::string unmet_need(const TeacherData& teacher, const std::vector<const LossFactory*>& losses) {
  for (const LossFactory* loss : losses) {
    const std::string reason = teacher_lacks(teacher, loss->needs());
    if (reason.empty()) continue;
    return fmt::format(
        "the loss {} needs a teacher's {}, but of this one {}; choose another "
        "--method or --teacher",
        loss->name(), described(loss->needs()), reason);
  }
  return "";
}

}  // namespace derrd
