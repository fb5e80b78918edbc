#pragma once

#include <cstdint>

namespace derrd {

/// Schedule of the temperature at which experts are selected (Section 4.1.3):
/// tau(p) = start (end / start)^(p / horizon).
struct TemperatureSchedule {
  double start = 1.0;
  double end = 1e-10;
  int64_t horizon = 1000;  ///< P, the largest number of epochs
  int64_t lag = 0;         ///< epochs that tau stays behind; 1 in the authors' program
  int64_t offset = 0;      ///< epochs that tau runs ahead, to time a late epoch first

  /// Returns the temperature of an epoch.
  float at(int epoch) const;
};

}  // namespace derrd
