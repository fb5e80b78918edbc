#include "engine/models/aligned_model.h"

#include <fmt/format.h>

#include <utility>

#include "data/error.h"
#include "data/printable.h"
#include "engine/models/biases.h"
#include "engine/models/catalogue.h"

namespace derrd {

FileAlignment align_rows(const SafetensorsFile& file, const std::string& kind,
                         const IdTable& ours) {
  if (has_ids(file, kind)) return {align_by_ids(ours, read_ids(file, kind)), true};
  return {align_in_order(ours.size()), false};
}

std::string describe_alignment(const std::string& name, const FileAlignment& user,
                               const FileAlignment& item) {
  const auto of = [](const FileAlignment& alignment, const char* plural) {
    return fmt::format("{} of {} {} {}", alignment.matched, alignment.numbers(), plural,
                       alignment.by_id ? fmt::format("by id, {} rows of others",
                                                     alignment.rows() - alignment.matched)
                                       : std::string("by row"));
  };
  return fmt::format("{}: matched {}; {}", name, of(user, "users"), of(item, "items"));
}

std::string printable_ids(const std::vector<std::string>& ids) {
  std::string list;
  for (const std::string& id : ids) list += (list.empty() ? "" : ", ") + printable(id);
  return list;
}

AlignedModel load_aligned_model(const SafetensorsFile& file, const RowAlignment& user,
                                const RowAlignment& item) {
  SavedModel model = load_model_file(file, user.rows(), item.rows());
  for (const auto& [alignment, plural] :
       {std::pair<const RowAlignment*, const char*>(&user, "users"), {&item, "items"}}) {
    if (alignment->matched == alignment->numbers()) continue;
    throw Error(fmt::format(
        "{}: knows only {} of {} {} of the data set, and a model has to know all; it does not "
        "have, for instance, {}: give the ids as they stand in the file that the data set was "
        "prepared from, or, as a teacher, the model's rankings (derrd export --format tsv, with "
        "its own data set)",
        file.name(), alignment->matched, alignment->numbers(), plural,
        printable_ids(alignment->absent)));
  }
  select_users(model, user.row);
  select_items(model, item.row);
  std::vector<std::string> used;
  if (model.kind == kInnerProductKind) used = {kUserBias, kItemBias};
  for (const auto& [name, matrix] : model.tensors) used.push_back(name);
  return {std::move(model), unused_tables(file, used, user.rows(), item.rows())};
}

}  // namespace derrd
