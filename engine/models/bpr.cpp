#include "engine/models/bpr.h"

#include "kernels/bpr.h"
#include "kernels/leave_one_out.h"
#include "kernels/sum.h"

namespace derrd {

namespace {
constexpr Parameters::Initial kEmbedding = {Parameters::Initial::Kind::kNormal, 0.01f};
}  // namespace

BprModel::BprModel(int64_t users, int64_t items, int64_t dim, int64_t batch_size,
                   Parameters& parameters)
    : parameters_(parameters),
      user_(parameters.declare("user_embedding", users, dim, kEmbedding)),
      item_(parameters.declare("item_embedding", items, dim, kEmbedding)),
      loss_terms_(batch_size),
      coefficient_(batch_size) {}

Representations BprModel::representations() const {
  return {parameters_.value(user_), parameters_.value(item_), parameters_.gradient(user_),
          parameters_.gradient(item_)};
}

void BprModel::add_gradients(const Batches& batches, double* loss, const Stream& stream) {
  const Representations r = representations();
  const BprSamples samples = {batches.users(), batches.positives(), batches.negatives(),
                              batches.cursor(), batches.batch_size()};
  bpr_forward(loss_terms_.view(), coefficient_.view(), r.user, r.item, samples, stream);
  bpr_backward(r.grad_user, r.grad_item, coefficient_.view(), r.user, r.item, samples,
               batches.distinct_users(), batches.distinct_positives(), batches.distinct_negatives(),
               stream);
  accumulate_sum(loss, loss_terms_.view(), stream);
}

void BprModel::leave_one_out(LeaveOneOutRanks ranks, const DeviceDataset& data,
                             const Stream& stream) const {
  const Representations r = representations();
  leave_one_out_ranks(ranks.valid, ranks.test, r.user, r.item, data.valid_item(), data.test_item(),
                      data.candidates(), stream);
}

}  // namespace derrd
