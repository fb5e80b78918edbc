#include "engine/distill/slot_losses.h"

#include "kernels/epoch/segments.h"
#include "kernels/epoch/slot_index.h"

namespace derrd {

SlotSamples::SlotSamples(int64_t anchor_rows, int64_t other_rows, int64_t slots)
    : anchor_rows_(anchor_rows),
      slots_(slots),
      samples_(anchor_rows * slots),
      offsets_(other_rows + 1),
      occurrences_(samples_.size()),
      position_(anchor_rows) {}

void SlotSamples::invert(const SortSpace& space, const Stream& stream) const {
  constexpr int kRowBits = 32;
  const int64_t n = samples_.size();
  ranking_occurrence_keys(space.unsorted(n), samples(), stream);
  sort_pairs({space.sorted(n).keys, occurrences_.view()}, space.unsorted(n), kRowBits,
             space.scratch(), stream);
  row_offsets(offsets_.view(), space.sorted(n).keys, stream);
  forget_positions(stream);
}

SlotLosses::SlotLosses(Entity anchor, const SlotSamples& samples, int64_t capacity, Model& student)
    : anchor_(anchor),
      samples_(samples),
      loss_terms_(capacity),
      score_(capacity * samples.samples().cols),
      grad_score_(score_.size()) {
  student.reserve_slots(capacity, samples.samples().cols);
}

SlotLosses::Scored SlotLosses::forward(RowSegments anchors, Model& student,
                                       const Stream& stream) const {
  const SlotBatch batch = {samples_.samples(), anchors, samples_.position()};
  const Matrix<float> score = {score_.data(), anchors.capacity, batch.samples.cols};
  student.score_slots(score, batch, anchor_, stream);
  return {loss_terms_.view().slice(0, anchors.capacity),
          {grad_score_.data(), score.rows, score.cols},
          score,
          batch};
}

void SlotLosses::backward(const Scored& scored, Model& student, LossSum loss,
                          const Stream& stream) const {
  loss.add(scored.loss);
  student.add_slot_gradients(scored.grad_score, scored.batch, samples_.index(), anchor_, stream);
}

}  // namespace derrd
