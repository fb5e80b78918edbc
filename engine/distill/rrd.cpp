#include "engine/distill/rrd.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/negatives.h"
#include "kernels/relaxed_ranking.h"
#include "kernels/sampling.h"
#include "kernels/segments.h"
#include "kernels/sum.h"

namespace derrd {

static_assert(kMaxUninteresting >= kMaxRankingSamples - 1, "all that --l allows can be drawn");

namespace {

constexpr int kItemBits = 32;

std::vector<int64_t> even_offsets(int64_t segments, int64_t length) {
  std::vector<int64_t> offsets(static_cast<size_t>(segments + 1));
  for (int64_t s = 0; s <= segments; ++s) offsets[static_cast<size_t>(s)] = s * length;
  return offsets;
}

}  // namespace

RrdDistiller::RrdDistiller(RrdOptions options, const DeviceDataset& data,
                           Matrix<const int32_t> lists, const Scorer* teacher, Model& student,
                           int64_t capacity, const Stream& stream)
    : Distiller(options.weight),
      options_(options),
      data_(data),
      lists_(lists),
      teacher_(teacher),
      excluded_(data.train().items.size + lists.size()),
      samples_(data.users() * (options.interesting + options.uninteresting)),
      lowest_(data.users()),
      list_offsets_(even_offsets(data.users(), lists.cols), stream),
      excluded_offsets_(data.users() + 1),
      excluded_items_(excluded_),
      item_offsets_(data.items() + 1),
      occurrences_(samples_.size()),
      user_position_(data.users()),
      loss_terms_(capacity),
      score_(capacity * (options.interesting + options.uninteresting)),
      grad_score_(score_.size()) {
  student.reserve_slots(capacity, options.interesting + options.uninteresting);
  const int64_t pairs = std::max(excluded_, samples_.size());
  unsorted_keys_ = DeviceArray<uint64_t>(pairs);
  sorted_keys_ = DeviceArray<uint64_t>(pairs);
  unsorted_values_ = DeviceArray<uint32_t>(pairs);
  sorted_values_ = DeviceArray<uint32_t>(pairs);
  scratch_ = DeviceArray<uint8_t>(std::max({segmented_sort_scratch_bytes(pairs, data.users()),
                                            sort_pairs_scratch_bytes(samples_.size()),
                                            exclusive_sum_scratch_bytes(data.users() + 1)}));
  if (options_.order == RrdOptions::Order::kAll) {
    slot_offsets_ = DeviceArray<int64_t>(even_offsets(data.users(), samples().cols), stream);
    teacher_score_ = DeviceArray<float>(samples_.size());
  }
  if (options_.preset == Preset::kAuthors) {
    // Nothing of the whole list, whatever was sampled from it: found once.
    list_lengths(lowest_.view(), lists_, stream);
    find_excluded(stream);
  }
}

SortBuffers RrdDistiller::unsorted(int64_t n) const {
  return {unsorted_keys_.view().slice(0, n), unsorted_values_.view().slice(0, n)};
}

SortBuffers RrdDistiller::sorted(int64_t n) const {
  return {sorted_keys_.view().slice(0, n), sorted_values_.view().slice(0, n)};
}

void RrdDistiller::begin_epoch(const Batches& batches, const Stream& stream) {
  draw_interesting(batches, stream);
  if (options_.preset == Preset::kPaper) find_excluded(stream);
  const auto* excluded = reinterpret_cast<const int32_t*>(excluded_items_.data());
  sample_uninteresting(
      writable_samples(), options_.interesting, {excluded_offsets_.view(), {excluded, excluded_}},
      data_.items(),
      {batches.seed(), RandomPurpose::kUninteresting, static_cast<uint32_t>(batches.epoch())},
      stream);
  if (options_.order == RrdOptions::Order::kAll) order_all(stream);
  index_by_item(stream);
}

void RrdDistiller::draw_interesting(const Batches& batches, const Stream& stream) {
  if (options_.selection == RrdOptions::Selection::kTop) {
    top_items(writable_samples(), lowest_.view(), lists_, options_.interesting, stream);
    return;
  }
  const int64_t n = lists_.size();
  interesting_keys(
      unsorted(n), lists_, static_cast<float>(options_.sharpness),
      {batches.seed(), RandomPurpose::kInteresting, static_cast<uint32_t>(batches.epoch())},
      stream);
  segmented_sort_pairs(sorted(n), unsorted(n), list_offsets_.view(), scratch_.view(), stream);
  interesting_items(writable_samples(), lowest_.view(), lists_, sorted(n).values,
                    options_.interesting, stream);
}

void RrdDistiller::find_excluded(const Stream& stream) {
  exclusion_sizes(excluded_offsets_.view(), data_.train(), lowest_.view(), stream);
  exclusive_sum(excluded_offsets_.view(), excluded_offsets_.view(), scratch_.view(), stream);
  exclusion_keys(unsorted(excluded_), excluded_offsets_.view(), data_.train(), lists_,
                 lowest_.view(), stream);
  segmented_sort_pairs({sorted(excluded_).keys, excluded_items_.view()}, unsorted(excluded_),
                       excluded_offsets_.view(), scratch_.view(), stream);
}

void RrdDistiller::order_all(const Stream& stream) {
  const Matrix<float> score = teacher_score_.matrix(samples().rows, samples().cols);
  teacher_->score_items(score, samples(), 0, stream);
  const SortBuffers keys = unsorted(samples_.size());
  slot_order_keys(keys, samples(), score, stream);
  // The sorted values are the samples: an int32 and its uint32 may share their memory.
  const Vector<uint32_t> ordered = {reinterpret_cast<uint32_t*>(samples_.data()), samples_.size()};
  segmented_sort_pairs({sorted(samples_.size()).keys, ordered}, keys, slot_offsets_.view(),
                       scratch_.view(), stream);
}

void RrdDistiller::index_by_item(const Stream& stream) {
  const int64_t n = samples_.size();
  ranking_occurrence_keys(unsorted(n), samples(), stream);
  sort_pairs({sorted(n).keys, occurrences_.view()}, unsorted(n), kItemBits, scratch_.view(),
             stream);
  row_offsets(item_offsets_.view(), sorted(n).keys, stream);
}

void RrdDistiller::add_gradients(const Batches& batches, Model& student, double* loss,
                                 const Stream& stream) {
  const SlotBatch batch = {samples(), batches.distinct_users()};
  const Matrix<float> score = {score_.data(), batch.anchors.capacity, batch.samples.cols};
  const Matrix<float> grad_score = {grad_score_.data(), score.rows, score.cols};
  const Vector<float> loss_terms = loss_terms_.view().slice(0, batch.anchors.capacity);
  const AnchorReduction reduction =
      options_.preset == Preset::kPaper ? AnchorReduction::kMean : AnchorReduction::kSum;
  student.score_slots(score, batch, Anchor::kUser, stream);
  const int64_t ordered =
      options_.order == RrdOptions::Order::kAll ? samples().cols : options_.interesting;
  relaxed_ranking(loss_terms, grad_score, score, batch, ordered, static_cast<float>(weight()),
                  reduction, stream);
  accumulate_sum(loss, loss_terms, stream);
  locate_rows(user_position_.view(), batch.anchors, stream);
  student.add_slot_gradients(grad_score, batch,
                             {item_offsets_.view(), occurrences_.view(), user_position_.view()},
                             Anchor::kUser, stream);
}

std::vector<LossOption> RrdLoss::options() {
  constexpr double kSmallest = std::numeric_limits<double>::min();
  return {
      {"lambda-rrd", "Weight of the loss in the sum of all losses", &values_.weight, 0},
      {"k",
       fmt::format("Interesting items per user, at most {}: the student learns their order",
                   kMaxRankingInteresting),
       &values_.interesting, 1, kMaxRankingInteresting},
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

std::string RrdLoss::complaint() const {
  const int64_t all = values_.interesting + values_.uninteresting;
  if (values_.list_length < (ranking_ == "interesting" ? all : values_.interesting)) {
    return "--list has to be at least --k, with --ranking interesting --k + --l: the interesting "
           "items are drawn from it";
  }
  if (ranking_ != "relaxed" && all > kMaxRankingInteresting) {
    return fmt::format("--ranking {} orders all of --k + --l, at most {} are possible; lower one",
                       ranking_, kMaxRankingInteresting);
  }
  if (all > kMaxRankingSamples) {
    return fmt::format(
        "--k and --l are {} items per user together, at most {} are possible; lower one", all,
        kMaxRankingSamples);
  }
  return "";
}

double RrdLoss::recommended_share(std::string_view model) const {
  return model == "neumf" ? 10.0 : 0.085;
}

std::unique_ptr<Distiller> RrdLoss::make(const DistillContext& in) const {
  RrdOptions options = values_;
  options.selection =
      interesting_ == "top" ? RrdOptions::Selection::kTop : RrdOptions::Selection::kSampled;
  options.preset = in.preset;
  if (ranking_ == "interesting") {
    options.interesting += std::exchange(options.uninteresting, 0);
  } else if (ranking_ == "full") {
    options.order = RrdOptions::Order::kAll;
  }
  const Scorer* teacher =
      options.order == RrdOptions::Order::kAll ? &in.teacher.scorer(in.stream) : nullptr;
  return std::make_unique<RrdDistiller>(
      options, in.data, in.teacher.lists(options.list_length, in.stream).items, teacher, in.student,
      std::min(in.batch_size, in.data.users()), in.stream);
}

}  // namespace derrd
