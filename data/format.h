#pragma once

#include <functional>
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
  kTable,      ///< as kTsv with any separator
};

/// Returns the format with a name: auto, citeulike, adjacency, tsv, csv, inter, movielens or table.
/// @throws Error that lists the names, for any other name.
Format format_from_name(std::string_view name);
/// Returns a format's name, as format_from_name() takes it.
std::string_view format_name(Format format);

/// Choice whether the first line names the columns; kAuto: decided by its contents.
enum class Header { kAuto, kYes, kNo };

/// Choice what an unreadable line does.
enum class OnBadLine { kStop, kSkip };

/// Separator of a table's columns by its name: "tab", "comma", "semicolon", "blanks" (runs of
/// spaces and tabs, which is ""), "::", or one character. @throws Error for anything else.
std::string separator_from_name(std::string_view name);
/// Name of a separator, as separator_from_name() takes it.
std::string separator_name(std::string_view separator);

/// Options of a reader of text formats.
struct ReadOptions {
  Format format = Format::kAuto;
  /// Separator of tsv, csv and table. Without a value the format's own, or what most lines agree
  /// on.
  std::optional<std::string> separator;
  /// Columns of a table: a number from 1, or a name in the header. Empty: the columns whose names
  /// in the header say so, or without a header columns 1, 2, 3, 4.
  std::string user_column;
  std::string item_column;
  std::string rating_column;
  std::string time_column;
  /// Smallest rating that is kept. Without a value ratings are not read.
  std::optional<double> min_rating;
  bool times = false;             ///< whether times are read; only tables have them
  Header header = Header::kAuto;  ///< for tables
  OnBadLine on_bad_line = OnBadLine::kStop;
  /// Receiver of remarks, each a line without its end: how a table is taken or a guessed format
  /// means the lines, before they are read, and at the end the skipped lines.
  std::function<void(std::string_view)> remark;
};

}  // namespace derrd
