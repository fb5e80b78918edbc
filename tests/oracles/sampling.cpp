#include "tests/oracles/sampling.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace derrd::oracle {

InclusionProbabilities inclusion_probabilities(int64_t n, int64_t drawn, double t) {
  const auto size = static_cast<size_t>(n);
  InclusionProbabilities result = {std::vector<double>(size, 0.0), std::vector<double>(size, 0.0)};
  std::vector<size_t> taken;
  const std::function<void(double)> draw = [&](double probability) {
    if (static_cast<int64_t>(taken.size()) == drawn) {
      for (const size_t i : taken) result.included[i] += probability;
      result.first[taken.front()] += probability;
      return;
    }
    const auto is_free = [&](size_t i) {
      return std::find(taken.begin(), taken.end(), i) == taken.end();
    };
    const auto weight = [&](size_t i) { return std::exp(-static_cast<double>(i + 1) / t); };
    double left = 0;
    for (size_t i = 0; i < size; ++i) left += is_free(i) ? weight(i) : 0.0;
    for (size_t i = 0; i < size; ++i) {
      if (!is_free(i)) continue;
      taken.push_back(i);
      draw(probability * weight(i) / left);
      taken.pop_back();
    }
  };
  draw(1.0);
  return result;
}

TakenItems take_items(const std::vector<int32_t>& list, const std::vector<uint32_t>& positions,
                      int64_t k) {
  std::vector<uint32_t> taken(positions.begin(),
                              positions.begin() + std::min(k, static_cast<int64_t>(list.size())));
  std::sort(taken.begin(), taken.end());
  TakenItems result;
  for (const uint32_t position : taken) {
    if (list[position] < 0) continue;
    result.items.push_back(list[position]);
    result.positions.push_back(static_cast<int32_t>(position));
    result.lowest = static_cast<int32_t>(position) + 1;
  }
  result.items.resize(static_cast<size_t>(k), -1);
  result.positions.resize(static_cast<size_t>(k), -1);
  return result;
}

std::vector<int32_t> items_without(const std::vector<int32_t>& row, int64_t items) {
  std::vector<int32_t> result;
  for (int32_t item = 0; item < items; ++item) {
    if (std::find(row.begin(), row.end(), item) == row.end()) result.push_back(item);
  }
  return result;
}

}  // namespace derrd::oracle
