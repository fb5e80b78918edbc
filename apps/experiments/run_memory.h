#pragma once

#include <optional>

#include "apps/cli/memory_report.h"
#include "apps/experiments/experiment_run.h"

namespace derrd {

/// Asks a training for the memory that it takes, by its own --dry-run, and waits for the answer.
/// Nothing for other commands, and if it does not answer: its inputs are not there, say.
std::optional<ToldMemory> memory_of(const ExperimentRun& run);

}  // namespace derrd
