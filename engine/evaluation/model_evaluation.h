#pragma once

#include "engine/device_dataset.h"
#include "engine/evaluation/evaluator.h"
#include "engine/evaluation/full_ranking.h"
#include "engine/models/scorer.h"
#include "kernels/platform/device.h"

namespace derrd {

/// Quality and speed of a finished model.
struct ModelEvaluation {
  UserEvaluation candidates;  ///< each held-out item among the user's candidates
  FullRanking full;           ///< the held-out items among all that the user has not observed
  double top10_seconds = 0;   ///< to make the top-10 list of every user, the best of a few times
};

/// Measures a model's quality and speed. Waits for the stream.
/// @throws Error if a score is not finite.
ModelEvaluation evaluate_model(Scorer& scorer, const DeviceDataset& data,
                               FullRankingEvaluator& full, const Stream& stream);

}  // namespace derrd
