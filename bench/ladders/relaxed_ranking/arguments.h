#pragma once

// What the levels share besides their contract: the arguments as one value, which goes to the
// kernel as it is, and a user's rows in them. For .cu files.

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

#include "kernels/common/shapes.h"
#include "kernels/distill/relaxed_ranking.h"
#include "kernels/platform/execution.h"

namespace derrd::ladder {

constexpr float kAbsent = std::numeric_limits<float>::lowest();  // score of an empty slot

/// The rows of a user of the batch, [K + L] each.
struct UserRows {
  const int32_t* __restrict__ samples;  ///< negative: the slot is empty
  const float* __restrict__ score;
  float* __restrict__ grad;

  __device__ float score_or_absent(int64_t slot) const {
    return samples[slot] >= 0 ? score[slot] : kAbsent;
  }
};

struct Arguments {
  Vector<float> loss;
  Matrix<float> grad_score;
  Matrix<const float> score;
  SlotBatch batch;
  int64_t interesting;
  float scale;
  AnchorReduction reduction;

  __device__ int64_t slots() const { return score.cols; }
  __device__ int64_t users() const { return batch.anchors.batch->count; }
  /// Weight of a user's loss in the batch's.
  __device__ float share() const {
    return reduction == AnchorReduction::kMean && users() > 0 ? 1.0f / static_cast<float>(users())
                                                              : 1.0f;
  }
  __device__ UserRows rows_of(int64_t user) const {
    const int32_t anchor = batch.anchors.rows[batch.anchors.batch->begin + user];
    return {batch.samples.row(anchor), score.row(user), grad_score.row(user)};
  }
};

/// @throws std::invalid_argument as the contract says.
inline void require_valid(const char* name, const Arguments& a) {
  const int64_t slots = a.batch.samples.cols;
  if (a.interesting < 0 || a.interesting > slots || slots > kMaxRankingSamples) {
    throw std::invalid_argument(std::string(name) + ": " + std::to_string(a.interesting) +
                                " interesting slots of " + std::to_string(slots) + "; at most " +
                                std::to_string(kMaxRankingSamples) + " are possible");
  }
  require_size(name, "loss", a.loss, a.batch.anchors.capacity);
  require_shape(name, "score", a.score, a.batch.anchors.capacity, slots);
  require_shape(name, "grad_score", a.grad_score, a.batch.anchors.capacity, slots);
}

}  // namespace derrd::ladder
