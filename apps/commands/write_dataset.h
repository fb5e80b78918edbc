#pragma once

#include <cstdint>
#include <string>

#include "data/dataset.h"

namespace derrd {

/// Saves a data set and prints its statistics, as in the paper's Table 1, and its path.
/// @throws Error as save_dataset.
void write_dataset(const Dataset& dataset, const std::string& path);

/// Checks that there is memory for a data set with candidates.
/// @param candidates of each user
/// @throws Error that says the largest number that would fit.
void require_candidates(int64_t users, int64_t items, int64_t interactions, int64_t candidates);

}  // namespace derrd
