#include "engine/distill/loss.h"

#include "data/error.h"

namespace derrd {

void DistillationLoss::restore(const std::vector<double>& state) {
  if (!state.empty()) throw Error("the checkpoint holds a state for a loss that has none");
}

}  // namespace derrd
