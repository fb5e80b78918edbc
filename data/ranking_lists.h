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

/// Another program's ranking of items for each user, without those that the user has trained with.
/// Users and items have the data set's numbers.
struct RankingLists {
  std::vector<int64_t> offsets{0};  ///< [U+1] user u's list is items[offsets[u]:offsets[u+1]]
  std::vector<int32_t> items;       ///< distinct within a list, the best first
  std::vector<float> scores;        ///< scores of `items`, not rising in a list; or empty

  int64_t num_users() const { return static_cast<int64_t>(offsets.size()) - 1; }

  int64_t matched_users = 0;         ///< users with a list, or who have trained with every item
  int64_t unknown_users = 0;         ///< distinct users of the file that the data set does not have
  int64_t unknown_items = 0;         ///< distinct items of the file that the data set does not have
  int64_t observed = 0;              ///< entries dropped because the user has trained with the item
  std::vector<std::string> absent;   ///< ids of some users without a list
  std::vector<std::string> unknown;  ///< some ids of the file that the data set does not have
};

/// Host memory in bytes that reading lists takes, besides the file and the lists.
/// @param entries in all lists together
int64_t ranking_lists_bytes(int64_t entries);

/// Reads lines `user<tab>item[<tab>score]` with original ids. A user's lines stand in rank order,
/// but not necessarily together. A first line with the names user and item is a header: it names
/// the columns user, item, score and rank; other columns are ignored. Along a user's lines ranks
/// must rise and scores must not. Lines with an unknown user or item are dropped.
/// @throws Error `<file>:<line>: <what is wrong>; <cure>`, also for an item that is twice in a
/// user's list.
RankingLists read_ranking_lists(const std::filesystem::path& path, const Dataset& dataset);

/// Reads lists from memory. `name` stands for the file in messages.
/// @throws Error as read_ranking_lists() does.
RankingLists parse_ranking_lists(std::string_view text, std::string_view name,
                                 const Dataset& dataset);

/// Reads lists from tensors: `items` I32 [n, R], padded with -1; optionally `scores` F32, F16 or
/// BF16 [n, R] and `users` I32 [n]. Without the tensor `users`, row r is the list of user r.
/// @param users, items align the file's numbers with the data set's
/// @throws Error that names file, tensor and row.
RankingLists ranking_lists(const SafetensorsFile& file, const RowAlignment& users,
                           const RowAlignment& items, const Dataset& dataset);

}  // namespace derrd
