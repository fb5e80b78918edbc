#include "engine/distill/ir.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kernels/distill/relaxed_ranking.h"

namespace derrd {

IrLoss::IrLoss(double weight, const IrOptions& options, const DeviceDataset& data,
               Matrix<const int32_t> lists, std::shared_ptr<RankingSamples> user_samples,
               Model& student, int64_t batch_size, const Stream& stream)
    : DistillationLoss(weight),
      options_(options),
      users_of_item_(data.train(), data.items(), stream),
      samples_(options.sampler, lists, users_of_item_.view(), data.users(), stream),
      sampled_items_(user_samples ? std::optional<SampledRows>(
                                        std::in_place, std::move(user_samples), data.items(),
                                        std::min(batch_size, data.users()))
                                  : std::nullopt),
      slots_(Entity::kItem, samples_.slots(),
             sampled_items_ ? sampled_items_->capacity() : std::min(batch_size, data.items()),
             student) {}

void IrLoss::begin_epoch(const EpochPlan& plan, const Stream& stream) {
  samples_.begin_epoch(plan, stream);
  if (sampled_items_) sampled_items_->samples().begin_epoch(plan, stream);
}

RowSegments IrLoss::items(const EpochPlan& plan, const Stream& stream) const {
  return sampled_items_ ? sampled_items_->of_batch(plan.distinct_users(), stream)
                        : plan.distinct_positives();
}

void IrLoss::add_gradients(const EpochPlan&, Model& student, LossSum loss, const Stream& stream) {
  if (sampled_items_) samples_.slots().forget_positions(stream);
  const SlotLosses::Scored s = slots_.forward(items_, student, stream);
  relaxed_ranking(s.loss, s.grad_score,
                  {.score = s.score,
                   .batch = s.batch,
                   .interesting = options_.sampler.interesting,
                   .scale = static_cast<float>(weight()),
                   .reduction = options_.reduction},
                  stream);
  slots_.backward(s, student, loss, stream);
}

IrFactory::IrFactory(std::shared_ptr<const UserSampling> sampling)
    : sampling_(std::move(sampling)) {
  options_ = {
      {"lambda-ir",
       "Weight of the loss in the sum of all losses; use it with rrd, as rrd+ir. With --preset "
       "paper the loss is a mean over items",
       &weight_, 0},
      {"ir-k", "Interesting users per item: the student learns their order", &sampler_.interesting,
       1, kMaxRankingSamples - 1},
      {"ir-l",
       fmt::format("Uninteresting users per item, together with --ir-k at most {}: the student "
                   "learns to rank them below the interesting ones",
                   kMaxRankingSamples),
       &sampler_.uninteresting, 1, kMaxRankingSamples - 1},
      {"ir-t",
       "Depth to which interesting users are drawn from the teacher's list: rank k has weight "
       "exp(-k/t)",
       &sampler_.sharpness, kSmallestPositive},
      {"ir-list",
       "Length of the teacher's list per item: its best users who have not interacted with it",
       &sampler_.list_length, 1},
      {"ir-items",
       "Items that add to the loss of a batch. sampled: all items that rrd, with its options, "
       "draws for the batch's users; batch: the batch's positive items, which are fewer and faster",
       &items_,
       {},
       {},
       {"sampled", "batch"}},
  };
}

OptionValues IrFactory::option_values() const {
  OptionValues values = LossFactory::option_values();
  if (takes_sampled_items()) values.merge(sampling_->option_values());
  return values;
}

std::optional<std::string> IrFactory::option_error() const {
  if (sampler_.list_length < sampler_.interesting) {
    return "--ir-list has to be at least --ir-k: the interesting users are drawn from it";
  }
  const int64_t all = sampler_.interesting + sampler_.uninteresting;
  if (all > kMaxRankingSamples) {
    return fmt::format(
        "--ir-k and --ir-l are {} users per item together, at most {} are possible; lower one", all,
        kMaxRankingSamples);
  }
  return takes_sampled_items() ? sampling_->option_error() : std::nullopt;
}

std::unique_ptr<DistillationLoss> IrFactory::make(DistillContext& in) const {
  IrOptions options = {sampler_, in.conventions.ranking_reduction};
  options.sampler.excluded = in.conventions.excluded;
  std::shared_ptr<RankingSamples> user_samples;
  if (takes_sampled_items()) user_samples = in.user_samples(sampling_->sampler(in.conventions));
  return std::make_unique<IrLoss>(weight_, options, in.data,
                                  in.teacher.item_lists(sampler_.list_length, in.stream).items,
                                  std::move(user_samples), in.student, in.batch_size, in.stream);
}

void IrFactory::add_memory(DistillMemory& memory) const {
  const int64_t users = memory.data.users;
  const int64_t items = memory.data.items;
  const int64_t train = memory.data.train;
  int64_t capacity = std::min(memory.batch_size, items);
  if (takes_sampled_items()) {
    const RankingSamplerOptions sampler = sampling_->sampler(memory.conventions);
    memory.add_user_samples(sampler);
    capacity = std::min(items, memory.user_capacity() * sampler.slots());
  }
  const int64_t length = memory.teacher.add_item_lists(sampler_.list_length);
  memory.need.keep("users of each item", {TransposedRows::device_bytes(items, train), 0});
  memory.need.pass("finding them", {0, TransposedRows::host_bytes(users, items, train)});
  memory.add_samples("samples of items",
                     RankingSamples::device_bytes(sampler_, items, users, length, train), items,
                     sampler_.slots());
  if (takes_sampled_items()) {
    memory.need.keep("sampled items", {SampledRows::device_bytes(items), 0});
  }
  memory.add_slot_losses("ir", capacity, sampler_.slots());
}

}  // namespace derrd
