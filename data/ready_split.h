#pragma once

#include <filesystem>
#include <optional>

#include "data/dataset.h"
#include "data/format.h"

namespace derrd {

/// Files of a data set that was split elsewhere, all in one format.
struct ReadySplit {
  std::filesystem::path train;
  std::optional<std::filesystem::path> valid;
  std::filesystem::path test;
  std::optional<std::filesystem::path> candidates;  ///< of users that occur in the other files
};

/// Reads a ready split. Ids are numbered by first appearance in train, valid, test, candidates, in
/// this order; ids that are exactly the numbers 0..n-1 keep their own. Candidates are sorted, and
/// padded with -1 to the length of the longest list; without a candidates file there are none.
/// @throws Error if a file can't be read, an interaction is in two parts, or a candidate is an item
/// that the user interacted with.
Dataset read_ready_split(const ReadySplit& files, const ReadOptions& options);

}  // namespace derrd
