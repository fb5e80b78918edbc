#include "engine/distill/conventions.h"

namespace derrd {

Conventions conventions_of(Preset preset) {
  if (preset == Preset::kPaper) {
    return {.ranking_reduction = AnchorReduction::kMean,
            .excluded = Excluded::kSelected,
            .reconstruction_norm = ReconstructionNorm::kEuclidean,
            .temperature_lag = 0,
            .stopping = StoppingRule::kFirstCutoff,
            .patience = 30};
  }
  return {.ranking_reduction = AnchorReduction::kSum,
          .excluded = Excluded::kList,
          .reconstruction_norm = ReconstructionNorm::kSquared,
          .temperature_lag = 1,
          .stopping = StoppingRule::kEachCutoff,
          .patience = 20};
}

}  // namespace derrd
