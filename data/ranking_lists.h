#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "data/formats/safetensors.h"
#include "data/row_alignment.h"

namespace derrd {

/// Another model's ranking of items for each user, by the data set's numbers, of items that the
/// user has not trained with.
struct RankingLists {
  std::vector<int64_t> offsets{0};  ///< [U+1] user u's list is [offsets[u], offsets[u+1]) of:
  std::vector<int32_t> items;       ///< distinct within a list, the best first
  std::vector<float> scores;        ///< of the items, not rising in a list; empty: none known

  int64_t num_users() const { return static_cast<int64_t>(offsets.size()) - 1; }

  int64_t matched_users = 0;         ///< users with a list, or who have trained with every item
  int64_t unknown_users = 0;         ///< distinct users of the file that the data set does not have
  int64_t unknown_items = 0;         ///< likewise items; lines with either are dropped
  int64_t observed = 0;              ///< entries dropped because the user has trained with the item
  std::vector<std::string> absent;   ///< ids of some users without a list
  std::vector<std::string> unknown;  ///< some ids of the file that the data set does not have
};

/// Reads lines `user<tab>item[<tab>score]` with original ids. A user's lines stand in rank order,
/// not necessarily together. A first line with the names user and item is a header: it says which
/// columns these are, and `score` and `rank` if it has them; others are ignored. Ranks have to rise
/// along a user's lines, scores not to.
/// \throws Error `<file>:<line>: <what is wrong>; <cure>`, also for an item that is twice in a
/// user's list.
RankingLists read_ranking_lists(const std::filesystem::path& path, const Dataset& dataset);

/// The same from memory; `name` stands for the file in messages.
RankingLists parse_ranking_lists(std::string_view text, std::string_view name,
                                 const Dataset& dataset);

/// Reads `items` I32 [n, R], -1 behind the last, and if they are there `scores` F32, F16 or BF16
/// [n, R] and `users` I32 [n], all with the numbers that `users` and `items` align with the data
/// set's. Without the tensor `users`, row r is the list of user r.
/// \throws Error that names file, tensor and row.
RankingLists ranking_lists(const SafetensorsFile& file, const RowAlignment& users,
                           const RowAlignment& items, const Dataset& dataset);

}  // namespace derrd
