#pragma once

// The ladder's contract and its levels, for the test and the benchmark.

#include "kernels/update/adam_rows.h"

namespace derrd::ladder {

/// A piece of an epoch: a table, and the rows of it that the steps read. A view.
struct AdamEpoch {
  AdamRows table;                     ///< [R, D]; no row has missed updates, the gradients are zero
  Matrix<const int32_t> read;         ///< [steps, B] distinct rows a step
  Vector<const BatchCursor> batches;  ///< [steps] where a step's rows begin in `read`, and B
  AdamHistory history;                ///< has corrections of at least `steps` updates
};

/// Makes the steps: each reads B up-to-date rows, adds to their gradients (train_on_rows in
/// arguments.h), and is an update of ALL rows by adam_update of kernels/update/adam.h. At the end
/// no row has missed updates and the gradients are zero. All levels agree to the bit.
/// @param epoch table.applied is *history.steps everywhere, and is so again at the end; levels 1
/// and 2 do not touch it
/// @throws std::invalid_argument if the shapes do not fit.
using AdamSteps = void(const AdamEpoch& epoch, AdamOptions options, const Stream& stream);

AdamSteps pass_per_line;
AdamSteps fused;
AdamSteps lazy_rows;
AdamSteps registers;
AdamSteps lazy_gradient;

struct AdamRowsLevel {
  const char* name;  ///< of its file
  AdamSteps* run;
};
inline constexpr AdamRowsLevel kAdamRowsLevels[] = {
    {"level_1_pass_per_line", pass_per_line}, {"level_2_fused", fused},
    {"level_3_lazy_rows", lazy_rows},         {"level_4_registers", registers},
    {"level_5_lazy_gradient", lazy_gradient},
};

}  // namespace derrd::ladder
