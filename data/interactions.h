#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/dataset.h"

namespace derrd {

/// Content of a file before filtering and splitting: pairs of user and item in file order, each
/// pair once.
struct Interactions {
  std::vector<int32_t> users;   ///< [n] number of the interaction's user in user_ids
  std::vector<int32_t> items;   ///< [n] number of the interaction's item in item_ids
  std::vector<int64_t> lines;   ///< [n] line in the file; empty if synthetic or filtered
  IdTable user_ids;             ///< by first appearance; may have users without interactions
  IdTable item_ids;             ///< by first appearance
  int64_t duplicates = 0;       ///< repeated pairs that were dropped
  int64_t below_rating = 0;     ///< lines that were dropped for their rating
  bool skipped_header = false;  ///< whether the first line was taken for column names
  std::string format;           ///< name of the file's format

  int64_t size() const { return static_cast<int64_t>(users.size()); }
};

/// Numbers ids by first appearance.
class IdNumbering {
 public:
  /// Returns the number of an id, a new one for a new id. The text must outlive this object.
  /// @throws Error if there are more ids than int32_t can number.
  int32_t number(std::string_view text);
  /// Returns the number of an id whose text is copied. @throws Error as number() does.
  int32_t number_copy(std::string text);

  int64_t size() const { return static_cast<int64_t>(texts_.size()); }
  IdTable table() const { return IdTable::from_texts(texts_); }

 private:
  std::unordered_map<std::string_view, int32_t> numbers_;
  std::vector<std::string_view> texts_;
  std::deque<std::string> copies_;  // a deque does not move its elements as it grows
};

/// Collects the interactions that a reader finds.
class InteractionsBuilder {
 public:
  IdNumbering users;
  IdNumbering items;

  /// Adds the interaction of a line.
  void add(int32_t user, int32_t item, int64_t line);
  /// Returns all interactions, each pair once.
  Interactions finish();

 private:
  std::vector<int32_t> pair_users_;
  std::vector<int32_t> pair_items_;
  std::vector<int64_t> pair_lines_;
};

}  // namespace derrd
