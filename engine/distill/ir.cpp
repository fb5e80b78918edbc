#include "engine/distill/ir.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "kernels/distill/relaxed_ranking.h"

namespace derrd {

namespace {

RankingSamplerOptions sampler_options(const IrOptions& options) {
  return {.interesting = options.interesting,
          .uninteresting = options.uninteresting,
          .sharpness = options.sharpness,
          .excluded = excluded_by(options.preset),
          .interesting_draw = RandomPurpose::kIrUsers,
          .uninteresting_draw = RandomPurpose::kIrOthers};
}

}  // namespace

IrLoss::IrLoss(IrOptions options, const DeviceDataset& data, Matrix<const int32_t> lists,
               std::optional<SampledItems> sampled, Model& student, int64_t capacity,
               const Stream& stream)
    : DistillationLoss(options.weight),
      options_(options),
      users_of_item_(data.train(), data.items(), stream),
      sampler_(sampler_options(options), lists, users_of_item_.view(), data.users(), stream),
      sampled_(std::move(sampled)),
      slots_(Anchor::kItem, data.items(), data.users(), sampler_.slots(),
             sampled_ ? sampled_->capacity() : capacity, student) {}

void IrLoss::begin_epoch(const EpochPlan& plan, const Stream& stream) {
  sampler_.draw(slots_.samples(), plan.seed(), plan.epoch(), stream);
  slots_.invert(sampler_.space(), stream);
  if (sampled_) sampled_->begin_epoch(plan, stream);
}

RowSegments IrLoss::items(const EpochPlan& plan, const Stream& stream) const {
  return sampled_ ? sampled_->of_batch(plan, stream) : plan.distinct_positives();
}

void IrLoss::add_gradients(const EpochPlan& plan, Model& student, double* loss,
                           const Stream& stream) {
  const AnchorReduction reduction =
      options_.preset == Preset::kPaper ? AnchorReduction::kMean : AnchorReduction::kSum;
  const SlotLosses::Scored s = slots_.forward(items(plan, stream), student, stream);
  relaxed_ranking(s.loss, s.grad_score, s.score, s.batch, options_.interesting,
                  static_cast<float>(weight()), reduction, stream);
  slots_.backward(s, student, loss, stream);
}

std::vector<LossOption> IrFactory::options() {
  constexpr double kSmallest = std::numeric_limits<float>::min();
  return {
      {"lambda-ir",
       "Weight of the loss in the sum of all losses; add it to rrd as rrd+ir; a mean over items "
       "with --preset paper, as that is over users",
       &values_.weight, 0},
      {"ir-k", "Interesting users per item: the student learns their order", &values_.interesting,
       1, kMaxRankingSamples - 1},
      {"ir-l",
       fmt::format("Uninteresting users per item, with --ir-k at most {}: the student learns to "
                   "place them below the interesting ones",
                   kMaxRankingSamples),
       &values_.uninteresting, 1, kMaxRankingSamples - 1},
      {"ir-t",
       "How deep in the teacher's list interesting users are drawn: rank k has weight exp(-k/t)",
       &values_.sharpness, kSmallest},
      {"ir-list",
       "Length of the teacher's list per item: the users whom it would suit best and who have not "
       "interacted with it",
       &values_.list_length, 1},
      {"ir-items",
       "Whose losses a batch takes. sampled: those of all items that rrd, with its options, draws "
       "for the batch's users; batch: those of the batch's positive items, far fewer, and faster",
       &items_,
       {},
       {},
       {"sampled", "batch"}},
  };
}

std::string IrFactory::complaint() const {
  if (values_.list_length < values_.interesting) {
    return "--ir-list has to be at least --ir-k: the interesting users are drawn from it";
  }
  const int64_t all = values_.interesting + values_.uninteresting;
  if (all > kMaxRankingSamples) {
    return fmt::format(
        "--ir-k and --ir-l are {} users per item together, at most {} are possible; lower one", all,
        kMaxRankingSamples);
  }
  return "";
}

std::unique_ptr<DistillationLoss> IrFactory::make(const DistillContext& in) const {
  IrOptions options = values_;
  options.preset = in.preset;
  std::optional<SampledItems> sampled;
  if (items_ == "sampled") {
    const RrdOptions rrd = rrd_.options_for(in.preset);
    sampled.emplace(rrd, in.data, in.teacher.lists(rrd.list_length, in.stream).items,
                    std::min(in.batch_size, in.data.users()), in.stream);
  }
  return std::make_unique<IrLoss>(
      options, in.data, in.teacher.item_lists(options.list_length, in.stream).items,
      std::move(sampled), in.student, std::min(in.batch_size, in.data.items()), in.stream);
}

}  // namespace derrd
