#pragma once

#include "engine/device_dataset.h"
#include "engine/evaluation/evaluator.h"
#include "engine/evaluation/metrics.h"
#include "engine/models/scorer.h"
#include "kernels/platform/device.h"

namespace derrd {

/// Quality and speed of a finished model.
struct ModelEvaluation {
  Evaluation leave_one_out;  ///< each held-out item among the user's candidates
  FullRankingMetrics full;   ///< the test item among all items but the user's training ones
  double top10_seconds = 0;  ///< to make the top-10 list of every user, the best of a few times
};

/// Measures a model's quality and speed. Waits for the stream.
/// @throws Error if a score is not finite.
ModelEvaluation evaluate_model(Scorer& scorer, const Dataset& dataset, const DeviceDataset& data,
                               const Stream& stream);

}  // namespace derrd
