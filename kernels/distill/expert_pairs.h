#pragma once

#include <cstdint>

#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Active pairs (entity, expert): the pairs with a weight other than 0, by expert, entities
/// ascending within an expert. Memory for all N * E pairs, so that any weights fit. A view.
struct ExpertPairs {
  Vector<int32_t> offsets;  ///< [E + 1] expert m owns pairs offsets[m] .. offsets[m + 1]
  Vector<int32_t> counts;   ///< [E] number of pairs of each expert
  Vector<int32_t> entity;   ///< [N * E] the first offsets[E] are set
  Vector<int32_t> expert;   ///< [N * E] likewise
  Matrix<int32_t> of;       ///< [E, N] index of the pair of an expert and an active entity, or -1
};

/// Lists the active pairs of the active entities.
/// @param pairs overwritten
/// @param selection s [N, E]
/// @throws std::invalid_argument if the shapes do not fit.
void list_pairs(const ExpertPairs& pairs, Matrix<const float> selection, ActiveRows active,
                const Stream& stream);

/// Number of pairs (entity, expert), and number of active ones.
struct PairCount {
  int64_t active = 0;
  int64_t all = 0;

  double active_share() const { return all == 0 ? 1.0 : static_cast<double>(active) / all; }
};

/// Adds the pairs of the active entities to *count.
/// @param count device memory, accumulated
/// @param selection s [N, E]
void count_pairs(PairCount* count, Matrix<const float> selection, ActiveRows active,
                 const Stream& stream);

}  // namespace derrd
