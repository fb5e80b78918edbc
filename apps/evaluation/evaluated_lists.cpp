#include "apps/evaluation/evaluated_lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "apps/cli/message.h"
#include "apps/training/load_model.h"
#include "data/error.h"
#include "data/ranking_lists.h"
#include "data/row_alignment.h"
#include "engine/models/model_source.h"
#include "engine/teacher/teacher_files.h"

namespace derrd {

namespace {

RankingLists read_lists(const std::string& path, const Dataset& dataset) {
  if (is_ranking_text(path)) return read_ranking_lists(path, dataset);
  ModelFiles files;
  files.file = path;
  const ModelSource source(std::move(files));
  const SafetensorsFile& file = *source.file();
  if (!file.contains("items")) {
    throw Error(fmt::format(
        "{}: has no tensor items, so it holds no rankings; give a model's file by --model", path));
  }
  if (const std::string items = selected_items_of(file.metadata()); !items.empty()) {
    say("derrd: warning: {}: ranks {} items alone, so its metrics are not those of a ranking "
        "of all items",
        path, items);
  }
  warn_of_other_dataset(path, file.metadata(), dataset,
                        has_ids(file, "user") && has_ids(file, "item"));
  return ranking_lists(file, source.align(RowKind::kUser, dataset.user_ids),
                       source.align(RowKind::kItem, dataset.item_ids), dataset);
}

/// Number of kFullCutoffs that a list reaches.
/// @param ranked number of items that there are to rank
size_t cutoffs_of(int64_t length, int64_t ranked) {
  return static_cast<size_t>(std::ranges::count_if(
      kFullCutoffs, [&](int k) { return std::min<int64_t>(k, ranked) <= length; }));
}

}  // namespace

EvaluationRow evaluate_lists(const std::string& path, const Dataset& dataset,
                             const InteractionRows& left_out_too) {
  const RankingLists lists = read_lists(path, dataset);
  const bool more_left_out = left_out_too.num_rows() > 0;
  std::vector<int32_t> rank(dataset.test.items.size());  // 0: not listed
  ListCounter counter(dataset.train, dataset.num_items());
  int64_t longest = 0, most = 0, left_out = 0, test_users = 0, without_list = 0;
  std::array<int64_t, kFullCutoffs.size()> shorter{};  // lists that end before a cutoff
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
    const int64_t ranked = dataset.num_items() - std::ssize(dataset.train.row(u)) -
                           (more_left_out ? std::ssize(left_out_too.row(u)) : 0);
    most = std::max(most, ranked);
    if (!list.empty()) {
      for (size_t n = cutoffs_of(std::ssize(list), ranked); n < shorter.size(); ++n) ++shorter[n];
    }
    const int64_t first = dataset.test.offsets[u];
    for (size_t t = 0; t < relevant.size(); ++t) {
      const auto found = std::ranges::find(list, relevant[t]);
      if (found == list.end()) continue;
      rank[first + t] = static_cast<int32_t>(found - list.begin()) + 1;
    }
  }
  if (test_users > 0 && without_list == test_users) {
    throw Error(fmt::format(
        "{}: no user with a test item has a list{}", path,
        lists.unknown.empty()
            ? " of items that it did not train with"
            : fmt::format("; the data set does not have, for instance, {}: give the ids as they "
                          "stand in the file that the data set was prepared from",
                          printable_ids(lists.unknown))));
  }
  EvaluationRow row;
  row.file = path;
  row.full = {ranking_accuracy(dataset.test, rank), counter.figures()};
  row.cutoffs = cutoffs_of(longest, most);

  say("{}: lists of {} of {} users with test items; the other {} count as misses; left out "
      "{} users and {} items that the data set does not have, and {} items that their user "
      "trained with{}",
      path, test_users - without_list, test_users, without_list, lists.unknown_users,
      lists.unknown_items, lists.observed,
      more_left_out ? fmt::format(" and {} that are validation items", left_out) : "");
  if (row.cutoffs < kFullCutoffs.size()) {
    say("{}: metrics at {} and more are unknown: the longest list has {} items", path,
        kFullCutoffs[row.cutoffs], longest);
  }
  for (size_t n = 0; n < row.cutoffs; ++n) {
    if (shorter[n] == 0) continue;
    say("derrd: warning: {}: {} of {} lists have fewer than {} items{}; all test items "
        "behind their ends are misses: write longer lists",
        path, shorter[n], test_users - without_list, kFullCutoffs[n],
        lists.observed + lists.unknown_items + left_out > 0 ? " without those left out" : "");
  }
  return row;
}

}  // namespace derrd
