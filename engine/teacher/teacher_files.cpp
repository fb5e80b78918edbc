#include "engine/teacher/teacher_files.h"

#include <fmt/format.h>

#include <utility>

#include "data/error.h"
#include "data/ranking_lists.h"

namespace derrd {

namespace {

std::vector<uint8_t> presence(const RowAlignment& alignment) {
  std::vector<uint8_t> present;
  for (const int32_t row : alignment.row) present.push_back(row >= 0);
  return present;
}

LoadedTeacher of_model(AlignedModel aligned) {
  LoadedTeacher result;
  result.report = std::move(aligned.report);
  result.unused = std::move(aligned.unused);
  result.data = std::move(aligned.model);
  return result;
}

LoadedTeacher of_vectors(AlignedModel aligned) {
  HostMatrix& user = aligned.model.tensors.at("user_embedding");
  HostMatrix& item = aligned.model.tensors.at("item_embedding");
  if (aligned.whole() && user.cols == item.cols) return of_model(std::move(aligned));
  TeacherVectors vectors = {std::move(user), std::move(item), presence(aligned.user),
                            presence(aligned.item)};
  LoadedTeacher result = of_model(std::move(aligned));
  result.data = std::move(vectors);
  return result;
}

LoadedTeacher of_lists(const ModelFiles& files, RankingLists lists, const Dataset& dataset) {
  require_coverage(files, RowKind::kUser, lists.matched_users, dataset.num_users(), lists.absent,
                   lists.unknown);
  LoadedTeacher result;
  result.report = fmt::format(
      "{}: lists of {} of {} users, {} items in them; left out {} users and {} items that the "
      "data set does not have, and {} items that their user trained with",
      files.file, lists.matched_users, dataset.num_users(), lists.items.size(), lists.unknown_users,
      lists.unknown_items, lists.observed);
  result.data = std::move(lists);
  return result;
}

LoadedTeacher of_text(const ModelFiles& files, const Dataset& dataset) {
  if (files.named() || !files.user_ids.empty() || !files.item_ids.empty()) {
    throw Error(fmt::format(
        "{}: rankings as text hold ids themselves, and no vectors; leave --teacher-user, "
        "--teacher-item, --teacher-user-ids and --teacher-item-ids out",
        files.file));
  }
  return of_lists(files, read_ranking_lists(files.file, dataset), dataset);
}

LoadedTeacher of_source(const ModelSource& source, const Dataset& dataset) {
  if (!source.files().named() && source.file()->contains("items")) {
    return of_lists(source.files(),
                    ranking_lists(*source.file(), source.align(RowKind::kUser, dataset.user_ids),
                                  source.align(RowKind::kItem, dataset.item_ids), dataset),
                    dataset);
  }
  return source.has_vectors() ? of_vectors(source.load_vectors(&dataset))
                              : of_model(source.load(dataset));
}

}  // namespace

ModelFiles teacher_files() {
  ModelFiles files;
  files.coverage = 0.9;
  files.option = "teacher";
  return files;
}

bool is_ranking_text(const std::string& name) {
  return name.ends_with(".tsv") || name.ends_with(".txt");
}

LoadedTeacher load_teacher_files(const ModelFiles& files, const Dataset& dataset) {
  if (is_ranking_text(files.file)) return of_text(files, dataset);
  const ModelSource source(files);
  LoadedTeacher teacher = of_source(source, dataset);
  if (source.file()) teacher.metadata = source.file()->metadata();
  return teacher;
}

}  // namespace derrd
