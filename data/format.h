#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace derrd {

/// Text formats of interaction data; data/README.md describes them.
enum class Format {
  kAuto,       ///< guessed from the file's name and contents
  kCiteulike,  ///< a line per user: the number of items, then the items
  kAdjacency,  ///< a line per user: the user, then the items
  kTsv,        ///< a line per interaction: user, item, rating, time; tabs between
  kCsv,        ///< as kTsv with commas, and quotes where needed
  kInter,      ///< RecBole's atomic file: tabs, and a header of `name:type`
  kMovielens,  ///< user::item::rating::time
};

/// Returns the format with a name: auto, citeulike, adjacency, tsv, csv, inter or movielens.
/// @throws Error that lists the names, for any other name.
Format format_from_name(std::string_view name);
/// Returns a format's name, as format_from_name() takes it.
std::string_view format_name(Format format);

/// Choice whether the first line names the columns; kAuto: decided by its contents.
enum class Header { kAuto, kYes, kNo };

/// Options of a reader of text formats.
struct ReadOptions {
  Format format = Format::kAuto;
  /// Columns of the tabular formats: a number from 1, or a name in the header. Empty: the format's
  /// own, which are columns 1, 2, 3, or user_id, item_id, rating in a RecBole file.
  std::string user_column;
  std::string item_column;
  std::string rating_column;
  /// Smallest rating that is kept. Without a value ratings are not read.
  std::optional<double> min_rating;
  /// Choice for tsv, csv and movielens files.
  Header header = Header::kAuto;
};

}  // namespace derrd
