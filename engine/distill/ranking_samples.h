#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "engine/distill/ranking_sampler.h"
#include "engine/distill/slot_losses.h"
#include "engine/epoch_plan.h"
#include "engine/models/scorer.h"
#include "kernels/platform/memory.h"

namespace derrd {

/// The samples of a relaxed ranking loss, drawn once an epoch, with an index by row. Losses may
/// share them.
class RankingSamples {
 public:
  /// Makes room for samples; the parameters are those of RankingSampler.
  RankingSamples(const RankingSamplerOptions& options, Matrix<const int32_t> lists,
                 SparseRows observed, int64_t rows, const Stream& stream);

  /// Returns the bytes of device memory that samples take.
  /// @param rows number of rows in the table from which samples are drawn
  /// @param observed numbers of items of all anchors
  static int64_t device_bytes(const RankingSamplerOptions& options, int64_t anchors, int64_t rows,
                              int64_t list_length, int64_t observed);

  /// Puts the samples of each anchor into the order of a teacher's scores, from the next draw on
  /// (ablation (d) of Table 4).
  /// @param teacher scores anchors as users; outlives this
  void order_by(Scorer& teacher);

  /// Draws the samples of the epoch that `plan` has just begun, unless that has been done.
  void begin_epoch(const EpochPlan& plan, const Stream& stream);

  /// The samples of the epoch [anchors, K + L], with their index by row.
  const SlotSamples& slots() const { return slots_; }

 private:
  void order(const Stream& stream);

  RankingSampler sampler_;
  SlotSamples slots_;
  std::optional<std::pair<uint64_t, int>> drawn_;  // seed and epoch of the samples
  Scorer* teacher_ = nullptr;                      // null: the order of the draw
  DeviceArray<float> teacher_score_;               // [anchors, K + L] with a teacher
};

}  // namespace derrd
