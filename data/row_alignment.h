#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"

namespace derrd {

/// Largest number of unmatched ids that a report names.
inline constexpr size_t kExampleIds = 3;

/// Assignment of a foreign matrix's rows to the users, or to the items, of a data set.
struct RowAlignment {
  std::vector<int32_t> row;          ///< [n] row of each number of the data set, -1: none
  std::vector<int32_t> number;       ///< [rows] number of each row in the data set, -1: none
  int64_t matched = 0;               ///< count of numbers that have a row
  std::vector<std::string> absent;   ///< example ids of the data set that have no row
  std::vector<std::string> unknown;  ///< example ids of rows that the data set does not have

  int64_t numbers() const { return static_cast<int64_t>(row.size()); }
  int64_t rows() const { return static_cast<int64_t>(number.size()); }
};

/// Aligns by ids: row r belongs to id number r of `theirs`. Ids are compared as text.
RowAlignment align_by_ids(const IdTable& ours, const IdTable& theirs);

/// Aligns by number: row r belongs to the data set's number r.
RowAlignment align_in_order(int64_t numbers);

/// Reads a text file of ids: id r stands on line r, from 0; blanks at its ends are dropped.
/// @throws Error that names file and line if a line is empty or an id occurs twice; also if a list
/// of checksums has another one for the file (check_by_list).
IdTable read_id_file(const std::filesystem::path& path);

/// Reads ids from memory; `name` stands for the file in messages. @throws Error as read_id_file,
/// but for checksums.
IdTable parse_id_file(std::string_view text, std::string_view name);

}  // namespace derrd
