#include "engine/distill/rd.h"

#include <utility>

#include "kernels/epoch/interesting.h"
#include "kernels/epoch/negatives.h"

namespace derrd {

namespace {
constexpr int64_t kMaxTop = 512;
}  // namespace

RdLoss::RdLoss(double weight, RdOptions options, const DeviceDataset& data,
               Matrix<const int32_t> lists, Model& student, int64_t capacity, const Stream& stream)
    : DistillationLoss(weight),
      options_(options),
      data_(data),
      samples_(data.users(), data.items(), options.top + options.negatives),
      slots_(Entity::kUser, samples_, capacity, student),
      space_(samples().size()) {
  const DeviceArray<int32_t> lowest(data.users());
  top_items(samples_.samples(), lowest.view(), lists, options_.top, stream);
}

void RdLoss::begin_epoch(const EpochPlan& plan, const Stream& stream) {
  sample_uninteresting(
      samples_.samples(), options_.top, data_.train(), data_.items(),
      {plan.seed(), RandomPurpose::kRdNegatives, static_cast<uint32_t>(plan.epoch())}, stream);
  samples_.invert(space_, stream);
  rank_weight_ = rank_weight(plan.epoch());
}

RankWeight RdLoss::rank_weight(int epoch) const {
  if (epoch < options_.warmup) return RankWeight::kStatic;
  return options_.renormalise ? RankWeight::kRenormalised : RankWeight::kDynamic;
}

void RdLoss::add_gradients(const EpochPlan& plan, Model& student, LossSum loss,
                           const Stream& stream) {
  const SlotLosses::Scored s = slots_.forward(plan.distinct_users(), student, stream);
  ranking_distillation(s.loss, s.grad_score, s.score, s.batch,
                       {.top = options_.top,
                        .sharpness = static_cast<float>(options_.sharpness),
                        .tolerance = static_cast<float>(options_.tolerance),
                        .items = data_.items(),
                        .weight = rank_weight_,
                        .scale = static_cast<float>(weight()),
                        .reduction = options_.reduction},
                       stream);
  slots_.backward(s, student, loss, stream);
}

RdFactory::RdFactory() {
  options_ = {
      {"lambda-rd",
       "Weight of the loss in the sum of all losses. The loss is a mean over a batch's users, "
       "while the base loss is a sum: try values near 100",
       &weight_, 0},
      {"rd-k", "Number of the teacher's best unobserved items per user that count as observed",
       &values_.top, 1, kMaxTop},
      {"rd-sharpness",
       "Speed at which an item's weight falls with its rank k in the teacher's list: "
       "exp(-k/sharpness)",
       &values_.sharpness, kSmallestPositive},
      {"rd-mu",
       "Speed at which an item's weight grows with the number of ranks by which the student ranks "
       "it too low: tanh(mu * ranks)",
       &values_.tolerance, kSmallestPositive},
      {"rd-negatives",
       "Random unobserved items per user and epoch, from which the student's ranks are estimated",
       &values_.negatives, 1, kMaxUninteresting},
      {"rd-warmup", "Number of epochs before the student's ranks count", &values_.warmup, 0},
      {"rd-renormalise", "Scale each user's weights to a sum of 1 after the warm-up, too",
       &values_.renormalise},
  };
}

std::unique_ptr<DistillationLoss> RdFactory::make(DistillContext& in) const {
  return std::make_unique<RdLoss>(weight_, values_, in.data,
                                  in.teacher.lists(values_.top, in.stream).items, in.student,
                                  in.user_capacity(), in.stream);
}

void RdFactory::add_memory(DistillMemory& memory) const {
  memory.teacher.add_lists(values_.top);
  const int64_t slots = values_.top + values_.negatives;
  const int64_t users = memory.data.users;
  memory.add_samples("samples of rd",
                     SlotSamples::device_bytes(users, memory.data.items, slots) +
                         SortSpace::device_bytes(users * slots),
                     users, slots);
  memory.add_slot_losses("rd", memory.user_capacity(), slots);
}

}  // namespace derrd
