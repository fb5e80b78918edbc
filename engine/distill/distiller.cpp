#include "engine/distill/distiller.h"

#include <algorithm>
#include <cmath>

namespace derrd {

float TemperatureSchedule::at(int epoch) const {
  const double p = std::clamp(epoch + offset - lag, 0, horizon);
  return static_cast<float>(start * std::pow(end / start, p / std::max(horizon, 1)));
}

}  // namespace derrd
