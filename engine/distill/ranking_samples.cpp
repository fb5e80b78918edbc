#include "engine/distill/ranking_samples.h"

#include "kernels/epoch/slot_index.h"

namespace derrd {

RankingSamples::RankingSamples(const RankingSamplerOptions& options, Matrix<const int32_t> lists,
                               SparseRows observed, int64_t rows, const Stream& stream)
    : sampler_(options, lists, observed, rows, stream),
      slots_(lists.rows, rows, sampler_.slots()) {}

int64_t RankingSamples::device_bytes(const RankingSamplerOptions& options, int64_t anchors,
                                     int64_t rows, int64_t list_length, int64_t observed) {
  return RankingSampler::device_bytes(options, anchors, list_length, observed) +
         SlotSamples::device_bytes(anchors, rows, options.slots());
}

void RankingSamples::order_by(Scorer& teacher) {
  const Matrix<int32_t> samples = slots_.samples();
  teacher_ = &teacher;
  teacher_score_ = DeviceArray<float>(samples.size());
  drawn_.reset();
}

void RankingSamples::begin_epoch(const EpochPlan& plan, const Stream& stream) {
  const std::pair epoch(plan.seed(), plan.epoch());
  if (drawn_ == epoch) return;
  sampler_.draw(slots_.samples(), plan.seed(), plan.epoch(), stream);
  if (teacher_ != nullptr) order(stream);
  slots_.invert(sampler_.space(), stream);
  drawn_ = epoch;
}

void RankingSamples::order(const Stream& stream) {
  const Matrix<int32_t> samples = slots_.samples();
  const Matrix<float> score = teacher_score_.matrix(samples.rows, samples.cols);
  teacher_->score_items(score, samples, 0, stream);
  const SortSpace& space = sampler_.space();
  const Vector<uint64_t> keys = space.unsorted(samples.size()).keys;
  slot_order_keys(keys, samples, score, stream);
  sort_segments({keys, sort_values(samples.flat())}, kSegmentValueBits, space.scratch(), stream);
}

}  // namespace derrd
