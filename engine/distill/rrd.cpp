#include "engine/distill/rrd.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/distill/relaxed_ranking.h"
#include "kernels/epoch/negatives.h"
#include "kernels/epoch/slot_index.h"

namespace derrd {

static_assert(kMaxUninteresting >= kMaxRankingSamples - 1, "all that --l allows can be drawn");

RankingSamplerOptions sampler_options(const RrdOptions& options) {
  return {.interesting = options.interesting,
          .uninteresting = options.uninteresting,
          .sharpness = options.sharpness,
          .selection = options.selection,
          .excluded = excluded_by(options.preset)};
}

RrdLoss::RrdLoss(RrdOptions options, const DeviceDataset& data, Matrix<const int32_t> lists,
                 const Scorer* teacher, Model& student, int64_t capacity, const Stream& stream)
    : DistillationLoss(options.weight),
      options_(options),
      teacher_(teacher),
      sampler_(sampler_options(options), lists, data.train(), data.items(), stream),
      slots_(Anchor::kUser, data.users(), data.items(), sampler_.slots(), capacity, student) {
  if (options_.order == RrdOptions::Order::kAll) {
    slot_offsets_ = even_offsets(data.users(), sampler_.slots(), stream);
    teacher_score_ = DeviceArray<float>(samples().size());
  }
}

void RrdLoss::begin_epoch(const EpochPlan& plan, const Stream& stream) {
  sampler_.draw(slots_.samples(), plan.seed(), plan.epoch(), stream);
  if (options_.order == RrdOptions::Order::kAll) order_all(stream);
  slots_.invert(sampler_.space(), stream);
}

void RrdLoss::order_all(const Stream& stream) {
  const Matrix<int32_t> samples = slots_.samples();
  const Matrix<float> score = teacher_score_.matrix(samples.rows, samples.cols);
  teacher_->score_items(score, samples, 0, stream);
  const SortBuffers keys = sampler_.space().unsorted(samples.size());
  slot_order_keys(keys, samples, score, stream);
  // The sorted values are the samples: an int32 and its uint32 may share their memory.
  const Vector<uint32_t> ordered = {reinterpret_cast<uint32_t*>(samples.data), samples.size()};
  segmented_sort_pairs({sampler_.space().sorted(samples.size()).keys, ordered}, keys,
                       slot_offsets_.view(), sampler_.space().scratch(), stream);
}

void RrdLoss::add_gradients(const EpochPlan& plan, Model& student, double* loss,
                            const Stream& stream) {
  const AnchorReduction reduction =
      options_.preset == Preset::kPaper ? AnchorReduction::kMean : AnchorReduction::kSum;
  const int64_t ordered =
      options_.order == RrdOptions::Order::kAll ? samples().cols : options_.interesting;
  const SlotLosses::Scored s = slots_.forward(plan.distinct_users(), student, stream);
  relaxed_ranking(s.loss, s.grad_score, s.score, s.batch, ordered, static_cast<float>(weight()),
                  reduction, stream);
  slots_.backward(s, student, loss, stream);
}

std::vector<LossOption> RrdFactory::options() {
  constexpr double kSmallest = std::numeric_limits<float>::min();
  return {
      {"lambda-rrd",
       "Weight of the loss in the sum of all losses; with --preset paper it is a mean over a "
       "batch's users beside a base loss that is a sum: of the order of 1",
       &values_.weight, 0},
      {"k", "Interesting items per user: the student learns their order", &values_.interesting, 1,
       kMaxRankingSamples - 1},
      {"l",
       fmt::format("Uninteresting items per user, with --k at most {}: the student learns to place "
                   "them below the interesting ones",
                   kMaxRankingSamples),
       &values_.uninteresting, 1, kMaxRankingSamples - 1},
      {"t",
       "How deep in the teacher's list interesting items are drawn: rank k has weight exp(-k/t)",
       &values_.sharpness, kSmallest},
      {"list", "Length of the teacher's list per user, its best unobserved items",
       &values_.list_length, 1},
      {"interesting",
       "sampled: drawn from the list anew every epoch; top: the list's first k",
       &interesting_,
       {},
       {},
       {"sampled", "top"}},
      {"ranking",
       "Whose order is learned. relaxed: that of the interesting items; full: that of all k + l; "
       "interesting: that of k + l interesting ones, without uninteresting ones",
       &ranking_,
       {},
       {},
       {"relaxed", "full", "interesting"}},
  };
}

std::string RrdFactory::complaint() const {
  const int64_t all = values_.interesting + values_.uninteresting;
  if (values_.list_length < (ranking_ == "interesting" ? all : values_.interesting)) {
    return "--list has to be at least --k, with --ranking interesting --k + --l: the interesting "
           "items are drawn from it";
  }
  if (all > kMaxRankingSamples) {
    return fmt::format(
        "--k and --l are {} items per user together, at most {} are possible; lower one", all,
        kMaxRankingSamples);
  }
  return "";
}

double RrdFactory::recommended_share(std::string_view model) const {
  return model == "neumf" ? 10.0 : 0.085;
}

RrdOptions RrdFactory::options_for(Preset preset) const {
  RrdOptions options = values_;
  options.selection = interesting_ == "top" ? Selection::kTop : Selection::kSampled;
  options.preset = preset;
  if (ranking_ == "interesting") {
    options.interesting += std::exchange(options.uninteresting, 0);
  } else if (ranking_ == "full") {
    options.order = RrdOptions::Order::kAll;
  }
  return options;
}

std::unique_ptr<DistillationLoss> RrdFactory::make(const DistillContext& in) const {
  const RrdOptions options = options_for(in.preset);
  const Scorer* teacher =
      options.order == RrdOptions::Order::kAll ? &in.teacher.scorer(in.stream) : nullptr;
  return std::make_unique<RrdLoss>(options, in.data,
                                   in.teacher.lists(options.list_length, in.stream).items, teacher,
                                   in.student, std::min(in.batch_size, in.data.users()), in.stream);
}

}  // namespace derrd
