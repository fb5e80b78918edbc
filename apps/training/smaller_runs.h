#pragma once

#include <vector>

#include "apps/cli/memory_report.h"
#include "engine/training/training_memory.h"

namespace derrd {

/// Lists the options that make a training smaller, the best one to try first: the dimension, the
/// batch, whole numbers of the losses, the data set's candidates.
std::vector<Reduction> smaller_runs(const TrainingSizes& sizes);

}  // namespace derrd
