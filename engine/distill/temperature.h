#pragma once

#include <cstdint>

namespace derrd {

/// tau(p) = start (end / start)^(p / horizon): the schedule of the experts' selection
/// (Section 4.1.3).
struct TemperatureSchedule {
  double start = 1.0;
  double end = 1e-10;
  int64_t horizon = 1000;  ///< P, the largest number of epochs
  int64_t lag = 0;         ///< epochs that tau stays behind; 1 in the authors' program
  int64_t offset = 0;      ///< epochs that tau runs ahead, to time a late epoch first

  float at(int epoch) const;
};

}  // namespace derrd
