#include "engine/distill/temperature.h"

#include <algorithm>
#include <cmath>

namespace derrd {

float TemperatureSchedule::at(int epoch) const {
  const double p = static_cast<double>(std::clamp<int64_t>(epoch + offset - lag, 0, horizon));
  return static_cast<float>(
      start * std::pow(end / start, p / static_cast<double>(std::max<int64_t>(horizon, 1))));
}

}  // namespace derrd
