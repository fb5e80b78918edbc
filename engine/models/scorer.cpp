#include "engine/models/scorer.h"

#include "kernels/distill/slot_scores.h"
#include "kernels/evaluate/leave_one_out.h"
#include "kernels/platform/gemm.h"

namespace derrd {

InnerProductScorer::InnerProductScorer(std::span<const float> user, std::span<const float> item,
                                       int64_t dim, const Stream& stream)
    : own_user_(user, stream),
      own_item_(item, stream),
      user_(own_user_.matrix(own_user_.size() / dim, dim)),
      item_(own_item_.matrix(own_item_.size() / dim, dim)) {}

void InnerProductScorer::score_users(Matrix<float> scores, int64_t first_user,
                                     const Stream& stream) {
  gemm(scores, user_.slice(first_user, scores.rows), transpose(item_), {}, stream);
}

void InnerProductScorer::score_items(Matrix<float> scores, Matrix<const int32_t> item,
                                     int64_t first_user, const Stream& stream) {
  item_scores(scores, user_.slice(first_user, scores.rows), item_, item, stream);
}

void InnerProductScorer::leave_one_out(LeaveOneOutRanks ranks, const HeldOutItems& items,
                                       const Stream& stream) {
  leave_one_out_ranks(ranks, user_, item_, items, stream);
}

std::unique_ptr<Scorer> InnerProductScorer::transposed(const Stream&) const {
  return std::make_unique<InnerProductScorer>(item_, user_);
}

}  // namespace derrd
