#pragma once

#include <cstdint>

#include "data/dataset.h"
#include "engine/device_rows.h"
#include "engine/evaluation/ranking_metrics.h"
#include "engine/evaluation/top_lists.h"
#include "engine/models/scorer.h"
#include "kernels/platform/device.h"
#include "kernels/platform/memory.h"

namespace derrd {

/// Metrics of a ranking of all items that a user has not observed.
struct FullRanking {
  RankingAccuracy accuracy;
  ListFigures lists;
};

/// Ranks the held-out items of all users among all unobserved items. The ranks and lists are found
/// on the device; only they are copied to the host.
class FullRankingEvaluator {
 public:
  /// @param relevant [U] rows of the items to find; outlives the evaluator
  /// @param train [U] training items; outlives the evaluator
  /// @param left_out_too [U] further items that are not ranked, or no rows
  /// @param items I
  /// @throws std::invalid_argument if a user's relevant item is not ranked.
  FullRankingEvaluator(const InteractionRows& relevant, const InteractionRows& train,
                       const InteractionRows& left_out_too, int64_t items, const Stream& stream);

  /// Returns the bytes of device memory that an evaluator takes.
  /// @param relevant, observed numbers of items of all users together
  static int64_t device_bytes(int64_t users, int64_t items, int64_t relevant, int64_t observed);

  /// Measures accuracy alone, which takes no lists. Waits for the stream.
  /// @throws Error naming the first user with a score that is not finite.
  RankingAccuracy accuracy(Scorer& scorer, const Stream& stream);
  /// Measures accuracy and lists. Waits for the stream.
  /// @throws Error as accuracy() does.
  FullRanking evaluate(Scorer& scorer, const Stream& stream);

 private:
  RankingAccuracy accuracy_of_ranks(const Stream& stream) const;

  const InteractionRows& relevant_rows_;
  const InteractionRows& train_;
  int64_t items_;
  DeviceRows relevant_, observed_;
  TopLists ranker_;                 // makes no lists
  DeviceArray<int32_t> not_lower_;  // [relevant items]
};

}  // namespace derrd
