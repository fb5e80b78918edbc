#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "data/formats/text_lines.h"
#include "data/parse_time.h"

namespace derrd {

/// Content of a file before filtering and splitting: pairs of user and item in file order, each
/// pair once. Of a repeated pair the first one counts, with times the first one of the earliest.
struct Interactions {
  std::vector<int32_t> users;  ///< [n] number of the interaction's user in user_ids
  std::vector<int32_t> items;  ///< [n] number of the interaction's item in item_ids
  std::vector<int64_t> lines;  ///< [n] line in the file; empty if synthetic or filtered
  std::vector<Time> times;     ///< [n], all of one kind; empty unless ReadOptions::times
  TimeKind time_kind = TimeKind::kNumber;
  IdTable user_ids;          ///< by first appearance; may have users without interactions
  IdTable item_ids;          ///< by first appearance
  int64_t duplicates = 0;    ///< repeated pairs that were dropped
  int64_t below_rating = 0;  ///< lines that were dropped for their rating
  std::string format;        ///< name of the file's format

  int64_t size() const { return static_cast<int64_t>(users.size()); }
};

/// Numbers ids by first appearance.
class IdNumbering {
 public:
  /// Returns the number of an id, a new one for a new id, whose text is copied.
  /// @throws Error if there are more ids than int32_t can number.
  int32_t number(std::string_view text);

  int64_t size() const { return static_cast<int64_t>(offsets_.size()) - 1; }
  IdTable table() const;

 private:
  std::string_view text(int32_t number) const;
  void grow();

  std::string bytes_;               // texts back to back
  std::vector<size_t> offsets_{0};  // [n+1] where they start
  std::vector<int32_t> slots_;      // hash table of numbers, -1: free; its size is a power of two
};

/// Collects the interactions that a reader finds.
class InteractionsBuilder {
 public:
  IdNumbering users;
  IdNumbering items;

  /// Adds the interaction of the current line; all have a time, or none.
  void add(int32_t user, int32_t item, const LineReader& lines,
           std::optional<Time> time = std::nullopt);
  /// Returns all interactions, each pair once. Ends the builder's use.
  Interactions finish();

 private:
  Interactions found_;
};

/// Number of an id in the current line. @throws LineError if a new id is not UTF-8.
/// @param what "user" or "item", @param column from 0
int32_t number_id(IdNumbering& ids, std::string_view text, const LineReader& lines,
                  std::string_view what, size_t column);

}  // namespace derrd
