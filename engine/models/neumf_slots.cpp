#include "engine/models/neumf_slots.h"

#include "kernels/models/embedding.h"
#include "kernels/models/linear.h"
#include "kernels/models/neumf_first_layer.h"
#include "kernels/models/scale_columns.h"
#include "kernels/platform/gemm.h"

namespace derrd {

namespace {

Vector<const float> first_columns(const TrainedMatrix& row, int64_t count) {
  return row.value.flat().slice(0, count);
}

}  // namespace

void NeumfSlots::reserve(int64_t anchors, int64_t slots) {
  if (scaled_.size() == 0) {
    scaled_ = DeviceArray<float>(rows_ * dim_);
    grad_scaled_ = DeviceArray<float>(rows_ * dim_);
    other_part_ = DeviceArray<float>(rows_ * widths_.front());
    grad_other_part_ = DeviceArray<float>(rows_ * widths_.front());
    live_ = DeviceArray<int32_t>(1);
  }
  if (anchors > anchors_) {
    anchors_ = anchors;
    anchor_ = DeviceArray<float>(anchors * dim_);
    grad_anchor_ = DeviceArray<float>(anchors * dim_);
    anchor_part_ = DeviceArray<float>(anchors * widths_.front());
    grad_anchor_part_ = DeviceArray<float>(anchors * widths_.front());
    output_sums_ = DeviceArray<float>(anchors * (widths_.back() + 1));
    scale_sums_ = DeviceArray<float>(scale_columns_parts(anchors) * dim_);
  }
  if (anchors * slots > hidden_.capacity()) {
    anchor_positions_ = DeviceArray<int32_t>(anchors * slots);
    other_rows_ = DeviceArray<int32_t>(anchors * slots);
    hidden_ = HiddenRows(anchors * slots, widths_, HiddenRows::Purpose::kTrain);
  }
}

int64_t NeumfSlots::device_bytes(int64_t rows, const std::vector<int64_t>& widths, SlotRoom room) {
  if (room.anchors == 0) return 0;
  const int64_t dim = widths.front();  // the first layer's width, too
  const int64_t of_rows = 4 * rows * dim + 1;
  const int64_t of_anchors =
      room.anchors * (4 * dim + widths.back() + 1) + scale_columns_parts(room.anchors) * dim;
  return (of_rows + of_anchors + 2 * room.slots) * static_cast<int64_t>(sizeof(float)) +
         HiddenRows::device_bytes(room.slots, widths, HiddenRows::Purpose::kTrain);
}

SlotPairs NeumfSlots::pairs(const SlotBatch& batch) {
  const int64_t count = batch.anchors.capacity * batch.samples.cols;
  return {anchor_positions_.view().slice(0, count), other_rows_.view().slice(0, count),
          live_.data()};
}

SlotOutputCall NeumfSlots::output_call(const TrainedNeumf& model, const SlotBatch& batch) const {
  return {.hidden = hidden_.last(batch.anchors.capacity * batch.samples.cols),
          .weight = model.output_weight.value.flat().slice(dim_, widths_.back()),
          .bias = model.output_bias.value.flat(),
          .batch = batch};
}

void NeumfSlots::forward(Matrix<float> score, const TrainedNeumf& model, const TrainedSide& anchor,
                         const TrainedSide& other, const SlotBatch& batch, const Stream& stream) {
  const Matrix<float> scaled = scaled_.matrix(anchor.gmf.value.rows, dim_);
  scale_columns_forward(scaled, {anchor.gmf.value, first_columns(model.output_weight, dim_)},
                        stream);
  slot_scores_forward(
      score, {.anchor_embedding = scaled, .other_embedding = other.gmf.value, .batch = batch},
      stream);

  const int64_t anchors = batch.anchors.capacity;
  const Matrix<float> vectors = anchor_.matrix(anchors, dim_);
  const Matrix<float> anchor_part = anchor_part_.matrix(anchors, widths_.front());
  const Matrix<float> other_part = other_part_.matrix(other.mlp.value.rows, widths_.front());
  gather_rows(vectors, 0, anchor.mlp.value, batch.anchors, stream);
  gemm(anchor_part, vectors, transpose(anchor.weight.value), {.active = batch.anchors.active()},
       stream);
  gemm(other_part, other.mlp.value, transpose(other.weight.value), {}, stream);

  const SlotPairs slots = pairs(batch);
  const int64_t rows = slots.anchor_positions.size;
  locate_slots(slots, batch, stream);
  neumf_first_layer_forward(hidden_.first(rows),
                            {.user_part = anchor_part,
                             .item_part = other_part,
                             .bias = model.first_bias.value.flat(),
                             .pairs = slots.rows()},
                            stream);
  hidden_.forward(model.layers, rows, slots.active, stream);
  slot_output_forward(score, output_call(model, batch), stream);
}

void NeumfSlots::backward(Matrix<const float> grad_score, const TrainedNeumf& model,
                          const TrainedSide& anchor, const TrainedSide& other,
                          const SlotBatch& batch, const SlotIndex& index, const Stream& stream) {
  const int64_t rows_of_table = anchor.gmf.value.rows;
  const Matrix<float> scaled = scaled_.matrix(rows_of_table, dim_);
  const Matrix<float> grad_scaled = grad_scaled_.matrix(rows_of_table, dim_);
  fill_zero(grad_scaled.data, grad_scaled.size() * static_cast<int64_t>(sizeof(float)), stream);
  slot_scores_backward(grad_scaled, other.gmf.grad, grad_score,
                       {.anchor_embedding = scaled,
                        .other_embedding = other.gmf.value,
                        .batch = batch,
                        .index = index},
                       stream);
  const int64_t anchors = batch.anchors.capacity;
  scale_columns_backward({.in = anchor.gmf.grad,
                          .scale = model.output_weight.grad.flat().slice(0, dim_),
                          .partials = scale_sums_.matrix(scale_columns_parts(anchors), dim_)},
                         grad_scaled, {anchor.gmf.value, first_columns(model.output_weight, dim_)},
                         batch.anchors, stream);

  const SlotPairs slots = pairs(batch);
  const int64_t rows = slots.anchor_positions.size;
  const int64_t last = widths_.back();
  slot_output_backward({.hidden = hidden_.grad_last(rows),
                        .weight = model.output_weight.grad.flat().slice(dim_, last),
                        .bias = model.output_bias.grad.flat(),
                        .sums = output_sums_.matrix(anchors, last + 1)},
                       grad_score, output_call(model, batch), stream);
  hidden_.backward(model.layers, rows, slots.active, stream);
  const int64_t first = widths_.front();
  const Matrix<float> grad_anchor_part = grad_anchor_part_.matrix(anchors, first);
  const Matrix<float> grad_other_part = grad_other_part_.matrix(other.mlp.value.rows, first);
  slot_hidden_backward(grad_anchor_part, grad_other_part, hidden_.grad_first(rows),
                       {.hidden = hidden_.first(rows), .batch = batch, .index = index}, stream);

  const Matrix<float> grad_vectors = grad_anchor_.matrix(anchors, dim_);
  linear_backward(
      {.in = grad_vectors, .weight = anchor.weight.grad, .bias = model.first_bias.grad.flat()},
      grad_anchor_part, {},
      {.in = anchor_.matrix(anchors, dim_),
       .weight = anchor.weight.value,
       .bias = model.first_bias.value.flat(),
       .active = batch.anchors.active()},
      stream);
  add_rows(anchor.mlp.grad, grad_vectors, 0, batch.anchors, stream);
  // Rows that no slot holds may be out of date. Their gradient is 0, so neither sum changes.
  gemm(other.weight.grad, transpose(grad_other_part), other.mlp.value, {.beta = 1.0f}, stream);
  gemm(other.mlp.grad, grad_other_part, other.weight.value, {.beta = 1.0f}, stream);
}

}  // namespace derrd
