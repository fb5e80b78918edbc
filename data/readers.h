#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "data/interactions.h"

namespace derrd {

/// Text formats of interaction data; data/README.md describes them.
enum class Format {
  kAuto,       ///< guessed from the file's name and contents
  kCiteulike,  ///< a line per user: the number of items, then the items
  kAdjacency,  ///< a line per user: the user, then the items
  kTsv,        ///< a line per interaction: user, item, rating, time; tabs between
  kCsv,        ///< the same with commas, and quotes where needed
  kInter,      ///< RecBole's atomic file: tabs, and a header of `name:type`
  kMovielens,  ///< user::item::rating::time
};

/// \throws Error that lists the names, unless `name` is one of auto, citeulike, adjacency, tsv,
/// csv, inter, movielens.
Format format_from_name(std::string_view name);
std::string_view format_name(Format format);

enum class Header { kAuto, kYes, kNo };

struct ReadOptions {
  Format format = Format::kAuto;
  /// Columns of the tabular formats: a number from 1, or a name in the header. Empty stands for the
  /// format's own: columns 1, 2, 3, or user_id, item_id, rating in a RecBole file.
  std::string user_column;
  std::string item_column;
  std::string rating_column;
  /// Rows with a lower rating are dropped; without it ratings are not looked at.
  std::optional<double> min_rating;
  /// Whether the first line of a tsv, csv or movielens file names the columns.
  Header header = Header::kAuto;
};

/// Reads a file of interactions. \throws Error `<file>:<line>: <what is wrong>; <cure>`.
Interactions read_interactions(const std::filesystem::path& path, const ReadOptions& options);

/// The same from memory; `name` stands for the file in messages and in the guess of the format.
Interactions parse_interactions(std::string_view text, std::string_view name,
                                const ReadOptions& options);

/// The format that a text most likely has. \throws Error if that can't be told.
Format guess_format(std::string_view text, std::string_view name);

}  // namespace derrd
