#pragma once

#include "apps/experiments/experiment_run.h"

namespace derrd {

/// Result of all attempts of a run.
struct RunState {
  bool begun = false;
  bool finished = false;  ///< with all epochs that the run asks for
  /// True if the run has to be done again: what it has left is not what its program wrote, or an
  /// unfinished training can't continue.
  bool damaged = false;
  double seconds = 0;  ///< sum over all attempts that have ended
  int exit_code = 0;   ///< of the last attempt; 128 + n after signal n
};

/// Reads a run's state from its folder. Files must have the hashes that the end of the last attempt
/// recorded. After a killed attempt, which recorded none, files must be whole and fit together.
RunState state_of(const ExperimentRun& run);

/// Notes in attempts.jsonl that an attempt begins to change the run's files.
/// @throws Error if it can't be written.
void record_start(const ExperimentRun& run);

/// End of one attempt to finish a run.
struct RunAttempt {
  double seconds = 0;
  int exit_code = 0;
};
/// Appends an attempt's end to attempts.jsonl, with hashes of the files that it has left.
/// @throws Error if it can't be written.
void record_end(const ExperimentRun& run, const RunAttempt& attempt);

/// Removes the files of a run. @throws Error if one can't be removed.
void delete_run(const ExperimentRun& run);
/// Removes files that a finished run no longer needs: its checkpoint, and the remains of killed
/// attempts.
void delete_leftovers(const ExperimentRun& run);

}  // namespace derrd
