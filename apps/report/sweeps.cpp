#include "apps/report/sweeps.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace derrd {

TrainedMethod Sweep::at(const std::string& value) const {
  TrainedMethod trained{method};
  for (const std::string& option : options) trained.changes[option] = value;
  return trained;
}

std::vector<TrainedMethod> Sweep::among(const std::vector<std::string>& some) const {
  std::vector<TrainedMethod> trainings;
  for (const std::string& value : values) {
    if (std::ranges::find(some, value) != some.end()) trainings.push_back(at(value));
  }
  return trainings;
}

std::vector<TrainedMethod> Sweep::except(const std::vector<std::string>& some) const {
  std::vector<TrainedMethod> trainings;
  for (const std::string& value : values) {
    if (std::ranges::find(some, value) == some.end()) trainings.push_back(at(value));
  }
  return trainings;
}

std::string Sweep::name() const { return fmt::format("{}", fmt::join(options, "+")); }

const std::vector<Sweep>& sweeps() {
  static const std::vector<std::string> weights = {"1e-5", "1e-4", "1e-3", "1e-2", "1e-1", "1"};
  static const std::vector<Sweep> all = {
      {"de", {"lambda-de"}, weights, "λ_DE (0: Student)"},
      {"de", {"experts"}, {"5", "10", "20", "30"}, "number of experts (0: Student)"},
      {"rrd", {"lambda-rrd"}, weights, "λ_RRD (0: Student)"},
      {"rrd", {"k", "l"}, {"10", "20", "30", "40", "50"}, "K = L, items (0: Student)"}};
  return all;
}

const Sweep& de_weights() { return sweeps()[0]; }
const Sweep& de_experts() { return sweeps()[1]; }
const Sweep& rrd_weights() { return sweeps()[2]; }
const Sweep& rrd_items() { return sweeps()[3]; }

const std::vector<std::string>& pair_weights() {
  static const std::vector<std::string> weights = {"1e-4", "1e-3", "1e-2", "1e-1"};
  return weights;
}

TrainedMethod weighted(const std::string& de, const std::string& rrd) {
  return {"de-rrd", kPaperSize, {{"lambda-de", de}, {"lambda-rrd", rrd}}};
}

}  // namespace derrd
