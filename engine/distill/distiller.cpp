#include "engine/distill/distiller.h"

#include <algorithm>
#include <cmath>

#include "data/error.h"

namespace derrd {

void Distiller::restore(const std::vector<double>& state) {
  if (!state.empty()) throw Error("the checkpoint holds a state for a loss that has none");
}

float TemperatureSchedule::at(int epoch) const {
  const double p = std::clamp(epoch + offset - lag, 0, horizon);
  return static_cast<float>(start * std::pow(end / start, p / std::max(horizon, 1)));
}

}  // namespace derrd
