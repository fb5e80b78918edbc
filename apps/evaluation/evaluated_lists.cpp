#include "apps/evaluation/evaluated_lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <span>

#include "apps/training/load_model.h"
#include "data/error.h"
#include "data/ranking_lists.h"
#include "data/row_alignment.h"
#include "engine/models/model_source.h"
#include "engine/teacher/teacher_files.h"

namespace derrd {

namespace {

RowAlignment rows_by_ids(const SafetensorsFile& file, const char* kind, const IdTable& ours) {
  return has_ids(file, kind) ? align_by_ids(ours, read_ids(file, kind))
                             : align_in_order(ours.size());
}

RankingLists read_lists(const std::string& path, const Dataset& dataset) {
  if (is_ranking_text(path)) return read_ranking_lists(path, dataset);
  const SafetensorsFile file = SafetensorsFile::read(path);
  if (!file.contains("items")) {
    throw Error(fmt::format(
        "{}: has no tensor items, so it holds no rankings; give a model's file by --model", path));
  }
  warn_of_other_dataset(path, file.metadata(), dataset,
                        has_ids(file, "user") && has_ids(file, "item"));
  return ranking_lists(file, rows_by_ids(file, "user", dataset.user_ids),
                       rows_by_ids(file, "item", dataset.item_ids), dataset);
}

/// Cutoffs at which a list of this length is whole.
/// @param most largest number of items that any user has to be ranked
size_t known_cutoffs(int64_t longest, int64_t most) {
  return static_cast<size_t>(std::ranges::count_if(
      kFullCutoffs, [&](int k) { return std::min<int64_t>(k, most) <= longest; }));
}

}  // namespace

EvaluationRow evaluate_lists(const std::string& path, const Dataset& dataset,
                             const InteractionRows& left_out_too) {
  const RankingLists lists = read_lists(path, dataset);
  const bool more_left_out = left_out_too.num_rows() > 0;
  std::vector<int32_t> rank(dataset.test.items.size());  // 0: not listed
  ListCounter counter(dataset.train, dataset.num_items());
  int64_t longest = 0, most = 0, left_out = 0, test_users = 0, without_list = 0;
  std::vector<int32_t> list;
  for (int64_t u = 0; u < dataset.num_users(); ++u) {
    const auto relevant = dataset.test.row(u);
    if (relevant.empty()) continue;
    ++test_users;
    list.clear();
    for (int64_t e = lists.offsets[u]; e < lists.offsets[u + 1]; ++e) {
      if (more_left_out && left_out_too.contains(u, lists.items[e])) {
        ++left_out;
      } else {
        list.push_back(lists.items[e]);
      }
    }
    if (list.empty()) ++without_list;
    counter.add(list);
    longest = std::max(longest, std::ssize(list));
    most = std::max(most, dataset.num_items() - std::ssize(dataset.train.row(u)) -
                              (more_left_out ? std::ssize(left_out_too.row(u)) : 0));
    const int64_t first = dataset.test.offsets[u];
    for (size_t t = 0; t < relevant.size(); ++t) {
      const auto found = std::ranges::find(list, relevant[t]);
      if (found == list.end()) continue;
      rank[first + t] = static_cast<int32_t>(found - list.begin()) + 1;
    }
  }
  if (test_users > 0 && without_list == test_users) {
    throw Error(fmt::format(
        "{}: no user with a test item has a list{}: give the ids as they stand in the file that "
        "the data set was prepared from",
        path,
        lists.unknown.empty() ? ""
                              : fmt::format("; the data set does not have, for instance, {}",
                                            printable_ids(lists.unknown))));
  }
  EvaluationRow row;
  row.file = path;
  row.full = {ranking_accuracy(dataset.test, rank), counter.figures()};
  row.cutoffs = known_cutoffs(longest, most);

  fmt::print(stderr,
             "{}: lists of {} of {} users with test items; the other {} count as misses; left out "
             "{} users and {} items that the data set does not have, and {} items that their user "
             "trained with{}\n",
             path, test_users - without_list, test_users, without_list, lists.unknown_users,
             lists.unknown_items, lists.observed,
             more_left_out ? fmt::format(" and {} that are validation items", left_out) : "");
  if (row.cutoffs < kFullCutoffs.size()) {
    fmt::print(stderr, "{}: the longest list has {} items: metrics from {} on are unknown\n", path,
               longest, kFullCutoffs[row.cutoffs]);
  }
  return row;
}

}  // namespace derrd
