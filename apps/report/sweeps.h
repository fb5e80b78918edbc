#pragma once

#include <string>
#include <vector>

#include "apps/report/setting.h"

namespace derrd {

/// Values of an option, or of two that are always equal, for a method.
struct Sweep {
  std::string method;
  std::vector<std::string> options;
  std::vector<std::string> values;
  std::string title;  ///< of an axis

  TrainedMethod at(const std::string& value) const;
  /// Returns the trainings with those of its values that are among some.
  std::vector<TrainedMethod> among(const std::vector<std::string>& some) const;
  /// Returns the other trainings.
  std::vector<TrainedMethod> except(const std::vector<std::string>& some) const;
  std::string name() const;  ///< its options: "k+l"
};

// What Figure 7 varies: Section 5.4, with the grids of Section 5.1. They live as long as the
// program.
const Sweep& de_weights();
const Sweep& de_experts();
const Sweep& rrd_weights();
const Sweep& rrd_items();
const std::vector<Sweep>& sweeps();  ///< these, in this order

/// Weights of Table 5, of DE as of RRD.
const std::vector<std::string>& pair_weights();
/// DE-RRD with two of them.
TrainedMethod weighted(const std::string& de, const std::string& rrd);

}  // namespace derrd
