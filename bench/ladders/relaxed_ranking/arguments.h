#pragma once

// Code that the levels share besides their contract: the arguments as one value, which their
// kernels take, and a user's rows in them. Only .cu files include it.

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

#include "kernels/distill/relaxed_ranking.h"
#include "kernels/distill/slot_walk.h"
#include "kernels/platform/execution.h"

namespace derrd::ladder {

constexpr float kAbsent = std::numeric_limits<float>::lowest();  // score of an empty slot

/// A user's rows, [K + L] each.
struct UserRows {
  const int32_t* __restrict__ samples;  ///< negative: the slot is empty
  const float* __restrict__ score;
  float* __restrict__ grad;

  __device__ float score_or_absent(int64_t slot) const {
    return samples[slot] >= 0 ? score[slot] : kAbsent;
  }
};

/// Outputs and call of relaxed_ranking.
struct Arguments {
  Vector<float> loss;
  Matrix<float> grad_score;
  RelaxedRankingCall call;

  DERRD_HOST_DEVICE int64_t slots() const { return call.batch.samples.cols; }
  __device__ int64_t users() const { return call.batch.anchors.batch->count; }
  /// Weight of a user's loss in the batch's.
  __device__ float share() const { return anchor_share(call.reduction, users()); }
  /// Rows of the batch's `user`-th user.
  __device__ UserRows rows_of(int64_t user) const {
    const RowSegments& anchors = call.batch.anchors;
    const int32_t anchor = anchors.rows[anchors.batch->begin + user];
    return {call.batch.samples.row(anchor), call.score.row(user), grad_score.row(user)};
  }
};

/// @throws std::invalid_argument as relaxed_ranking does.
inline void require_valid(const char* name, const Arguments& a) {
  const int64_t slots = a.slots();
  const int64_t interesting = a.call.interesting;
  if (interesting < 0 || interesting > slots || slots > kMaxRankingSamples) {
    throw std::invalid_argument(std::string(name) + ": " + std::to_string(interesting) +
                                " interesting slots of " + std::to_string(slots) + "; at most " +
                                std::to_string(kMaxRankingSamples) + " are possible");
  }
  require_scores(name, a.loss, a.grad_score, a.call.score, a.call.batch);
}

}  // namespace derrd::ladder
