#pragma once

#include <cstdint>
#include <vector>

namespace derrd::oracle {

/// Probability of each of the weights exp(-k / t), k = 1..n, to be among `drawn` draws without
/// replacement, and of being the first: all sequences of draws, enumerated.
struct InclusionProbabilities {
  std::vector<double> included, first;
};
InclusionProbabilities inclusion_probabilities(int64_t n, int64_t drawn, double t);

/// Items at the first k of `positions` of a list padded with -1, in the order of the list, and
/// where they stand in it, both padded with -1 to k; `lowest` is 1 + the largest position taken, 0
/// if none.
struct TakenItems {
  std::vector<int32_t> items, positions;
  int32_t lowest = 0;
};
TakenItems take_items(const std::vector<int32_t>& list, const std::vector<uint32_t>& positions,
                      int64_t k);

/// Items below `items` that are not in `row`, ascending.
std::vector<int32_t> items_without(const std::vector<int32_t>& row, int64_t items);

}  // namespace derrd::oracle
