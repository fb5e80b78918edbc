#pragma once

#include <cstdint>

#include "kernels/platform/call_list.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Active pairs (entity, expert): the pairs with a weight other than 0, by expert, entities
/// ascending within an expert. Memory for all N * E pairs, so that any weights fit. A view.
struct ExpertPairs {
  static constexpr int64_t kParts = 16;  ///< parts of the entities that are listed side by side

  Vector<int32_t> offsets;  ///< [E + 1] expert m owns pairs offsets[m] .. offsets[m + 1]
  Vector<int32_t> counts;   ///< [E * kParts] number of pairs of each expert in each part of them
  Vector<int32_t> entity;   ///< [N * E] the first offsets[E] are set
  Vector<int32_t> expert;   ///< [N * E] likewise
  Vector<float> weight;     ///< [N * E] likewise: s
  Matrix<int32_t> of;       ///< [N, E] index of the pair of an active entity and an expert, or -1
};

/// One list of active pairs, with the entities' rows in the order of the pairs. A view.
struct PairListing {
  ExpertPairs pairs;              ///< overwritten
  Matrix<float> gathered;         ///< [N * E, D] overwritten: row p is that of pair p's entity
  Matrix<const float> rows;       ///< [N, D]
  Matrix<const float> selection;  ///< s [N, E]
  ActiveRows active = {};
};

/// Lists the active pairs of the active entities, and gathers their rows.
/// @throws std::invalid_argument if the shapes do not fit.
void list_pairs(const CallList<PairListing>& calls, const Stream& stream);

}  // namespace derrd
