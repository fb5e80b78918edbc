#pragma once

#include <cstdint>
#include <vector>

#include "engine/models/model_memory.h"
#include "engine/models/perceptron.h"
#include "kernels/distill/slot_hidden.h"
#include "kernels/distill/slot_scores.h"
#include "kernels/platform/memory.h"
#include "kernels/platform/views.h"

namespace derrd {

/// A parameter with its gradient. Views.
struct TrainedMatrix {
  Matrix<const float> value;
  Matrix<float> grad;  ///< accumulated
};

/// Parameters of a NeuMF for users, or for items: NeumfSide with its gradients. Views.
struct TrainedSide {
  TrainedMatrix gmf, mlp;  ///< [rows, D]
  TrainedMatrix weight;    ///< [H, D]
};

/// The parameters of a NeuMF with their gradients. Views.
struct TrainedNeumf {
  TrainedSide user, item;
  TrainedMatrix first_bias;  ///< [1, H]
  std::vector<HiddenLayer> layers;
  TrainedMatrix output_weight;  ///< [1, D + width of the last hidden layer]
  TrainedMatrix output_bias;    ///< [1, 1]
};

/// NeuMF's scores of the slots of ranking losses, and their gradients. The anchors are one side of
/// the model, the slots hold rows of the other one.
class NeumfSlots {
 public:
  /// @param rows the larger number of users and items.
  NeumfSlots(int64_t rows, int64_t dim, std::vector<int64_t> widths)
      : rows_(rows), dim_(dim), widths_(std::move(widths)) {}

  /// Allocates memory for batches of at most `anchors` anchors with `slots` slots each; the largest
  /// call counts.
  void reserve(int64_t anchors, int64_t slots);
  /// Returns the bytes of device memory of this room; `rows` and `widths` are the constructor's.
  static int64_t device_bytes(int64_t rows, const std::vector<int64_t>& widths, SlotRoom room);

  /// Scores the slots of a batch, as Model::score_slots() does.
  void forward(Matrix<float> score, const TrainedNeumf& model, const TrainedSide& anchor,
               const TrainedSide& other, const SlotBatch& batch, const Stream& stream);
  /// Accumulates gradients, as Model::add_slot_gradients() does. Call it right after forward() for
  /// the same batch.
  void backward(Matrix<const float> grad_score, const TrainedNeumf& model,
                const TrainedSide& anchor, const TrainedSide& other, const SlotBatch& batch,
                const SlotIndex& index, const Stream& stream);

 private:
  SlotPairs pairs(const SlotBatch& batch);
  SlotOutputCall output_call(const TrainedNeumf& model, const SlotBatch& batch) const;

  int64_t rows_, dim_;
  std::vector<int64_t> widths_;
  int64_t anchors_ = 0;  // capacity

  // Matrix factorisation: the anchors' table times the output layer's weights. [rows, D]
  DeviceArray<float> scaled_, grad_scaled_;
  // Perceptron: the anchors' vectors and their half of the first layer, [anchors, D or H]; that of
  // the whole other table, [rows, H]; the slots, [anchors * S, ...].
  DeviceArray<float> anchor_, grad_anchor_, anchor_part_, grad_anchor_part_;
  DeviceArray<float> other_part_, grad_other_part_;
  DeviceArray<int32_t> anchor_positions_, other_rows_, live_;
  DeviceArray<float> output_sums_;  // [anchors, width of the last layer + 1]
  DeviceArray<float> scale_sums_;   // of scale_columns_backward
  HiddenRows hidden_;
};

}  // namespace derrd
