#pragma once

#include <string>

#include "data/dataset.h"

namespace derrd {

/// Saves a data set and prints its statistics, as in the paper's Table 1, and its path.
/// @throws Error as save_dataset.
void write_dataset(const Dataset& dataset, const std::string& path);

}  // namespace derrd
