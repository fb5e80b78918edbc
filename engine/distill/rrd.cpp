#include "engine/distill/rrd.h"

#include <algorithm>
#include <utility>

#include "kernels/distill/relaxed_ranking.h"
#include "kernels/epoch/slot_index.h"

namespace derrd {

RrdLoss::RrdLoss(double weight, RrdOptions options, std::shared_ptr<RankingSamples> samples,
                 Model& student, int64_t capacity)
    : DistillationLoss(weight),
      options_(options),
      samples_(std::move(samples)),
      slots_(Entity::kUser, samples_->slots(), capacity, student) {}

void RrdLoss::add_gradients(const EpochPlan& plan, Model& student, LossSum loss,
                            const Stream& stream) {
  const SlotLosses::Scored s = slots_.forward(plan.distinct_users(), student, stream);
  relaxed_ranking(s.loss, s.grad_score,
                  {.score = s.score,
                   .batch = s.batch,
                   .interesting = options_.ordered,
                   .scale = static_cast<float>(weight()),
                   .reduction = options_.reduction},
                  stream);
  slots_.backward(s, student, loss, stream);
}

RrdFactory::RrdFactory(std::shared_ptr<UserSampling> sampling) : sampling_(std::move(sampling)) {
  options_ = {
      {"lambda-rrd",
       "Weight of the loss in the sum of all losses. With --preset paper the loss is a mean over a "
       "batch's users, while the base loss is a sum: try values near 1 [0.001; 0.0005 beside de]",
       &weight_, 0},
  };
  options_.insert(options_.end(), sampling_->options().begin(), sampling_->options().end());
}

OptionValues RrdFactory::option_values() const {
  OptionValues values = LossFactory::option_values();
  values["lambda-rrd"] = weight();
  return values;
}

void RrdFactory::join(const std::vector<const LossFactory*>& sum) {
  // Beside DE, validation prefers half of the weight: the loss is 8 % of the base loss then, where
  // Section 5.4 finds 7 to 10 % best.
  const bool beside_de =
      std::ranges::any_of(sum, [](const LossFactory* loss) { return loss->name() == "de"; });
  default_weight_ = beside_de ? 5e-4 : 1e-3;
}

double RrdFactory::recommended_share(std::string_view model) const {
  return model == "neumf" ? 10.0 : 0.085;
}

std::unique_ptr<DistillationLoss> RrdFactory::make(DistillContext& in) const {
  const RankingSamplerOptions sampler = sampling_->sampler(in.conventions);
  std::shared_ptr<RankingSamples> samples = in.user_samples(sampler);
  RrdOptions options = {sampler.interesting, in.conventions.ranking_reduction};
  if (sampling_->orders_all()) {
    samples->order_by(in.teacher.scorer(in.stream));
    options.ordered += sampler.uninteresting;
  }
  return std::make_unique<RrdLoss>(weight(), options, std::move(samples), in.student,
                                   in.user_capacity());
}

void RrdFactory::add_memory(DistillMemory& memory) const {
  const RankingSamplerOptions sampler = sampling_->sampler(memory.conventions);
  const int64_t slots = sampler.slots();
  memory.add_user_samples(sampler);
  if (sampling_->orders_all()) {
    memory.teacher.add_copy();
    memory.need.keep("the teacher's scores of the samples",
                     {memory.data.users * slots * static_cast<int64_t>(sizeof(float)), 0});
  }
  memory.add_slot_losses("rrd", memory.user_capacity(), slots);
}

}  // namespace derrd
