#include "engine/distill/rrd.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/negatives.h"
#include "kernels/relaxed_ranking.h"
#include "kernels/sampling.h"
#include "kernels/segments.h"
#include "kernels/sum.h"

namespace derrd {

namespace {

constexpr int kItemBits = 32;

std::vector<int64_t> even_offsets(int64_t segments, int64_t length) {
  std::vector<int64_t> offsets(static_cast<size_t>(segments + 1));
  for (int64_t s = 0; s <= segments; ++s) offsets[static_cast<size_t>(s)] = s * length;
  return offsets;
}

}  // namespace

RrdDistiller::RrdDistiller(RrdOptions options, const DeviceDataset& data,
                           DeviceArray<int32_t> lists, int64_t list_length, int64_t capacity,
                           const Stream& stream)
    : options_(options),
      data_(data),
      lists_(std::move(lists)),
      list_length_(list_length),
      excluded_(data.train().items.size + data.users() * list_length),
      samples_(data.users() * (options.interesting + options.uninteresting)),
      lowest_(data.users()),
      list_offsets_(even_offsets(data.users(), list_length), stream),
      excluded_offsets_(data.users() + 1),
      excluded_items_(excluded_),
      item_offsets_(data.items() + 1),
      occurrences_(samples_.size()),
      user_position_(data.users()),
      loss_terms_(capacity),
      grad_score_(capacity * (options.interesting + options.uninteresting)) {
  const int64_t pairs = std::max(excluded_, samples_.size());
  unsorted_keys_ = DeviceArray<uint64_t>(pairs);
  sorted_keys_ = DeviceArray<uint64_t>(pairs);
  unsorted_values_ = DeviceArray<uint32_t>(pairs);
  sorted_values_ = DeviceArray<uint32_t>(pairs);
  scratch_ = DeviceArray<uint8_t>(std::max({segmented_sort_scratch_bytes(pairs, data.users()),
                                            sort_pairs_scratch_bytes(samples_.size()),
                                            exclusive_sum_scratch_bytes(data.users() + 1)}));
  if (options_.preset == Preset::kAuthors) {
    // Nothing of the whole list, whatever was sampled from it: found once.
    list_lengths(lowest_.view(), this->lists(), stream);
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
  index_by_item(stream);
}

void RrdDistiller::draw_interesting(const Batches& batches, const Stream& stream) {
  if (options_.selection == RrdOptions::Selection::kTop) {
    top_items(writable_samples(), lowest_.view(), lists(), options_.interesting, stream);
    return;
  }
  const int64_t n = lists().size();
  interesting_keys(
      unsorted(n), lists(), options_.sharpness,
      {batches.seed(), RandomPurpose::kInteresting, static_cast<uint32_t>(batches.epoch())},
      stream);
  segmented_sort_pairs(sorted(n), unsorted(n), list_offsets_.view(), scratch_.view(), stream);
  interesting_items(writable_samples(), lowest_.view(), lists(), sorted(n).values,
                    options_.interesting, stream);
}

void RrdDistiller::find_excluded(const Stream& stream) {
  exclusion_sizes(excluded_offsets_.view(), data_.train(), lowest_.view(), stream);
  exclusive_sum(excluded_offsets_.view(), excluded_offsets_.view(), scratch_.view(), stream);
  exclusion_keys(unsorted(excluded_), excluded_offsets_.view(), data_.train(), lists(),
                 lowest_.view(), stream);
  segmented_sort_pairs({sorted(excluded_).keys, excluded_items_.view()}, unsorted(excluded_),
                       excluded_offsets_.view(), scratch_.view(), stream);
}

void RrdDistiller::index_by_item(const Stream& stream) {
  const int64_t n = samples_.size();
  ranking_occurrence_keys(unsorted(n), samples(), stream);
  sort_pairs({sorted(n).keys, occurrences_.view()}, unsorted(n), kItemBits, scratch_.view(),
             stream);
  row_offsets(item_offsets_.view(), sorted(n).keys, stream);
}

void RrdDistiller::add_gradients(const Batches& batches, const Representations& student,
                                 double* loss, const Stream& stream) {
  const RelaxedRankingBatch batch = {samples(), options_.interesting, batches.distinct_users()};
  const Matrix<float> grad_score = {grad_score_.data(), batch.users.capacity, batch.samples.cols};
  const Vector<float> loss_terms = loss_terms_.view().slice(0, batch.users.capacity);
  const UserReduction reduction =
      options_.preset == Preset::kPaper ? UserReduction::kMean : UserReduction::kSum;
  relaxed_ranking_forward(loss_terms, grad_score, student.user, student.item, batch,
                          options_.weight, reduction, stream);
  locate_rows(user_position_.view(), batch.users, stream);
  relaxed_ranking_backward(student.grad_user, student.grad_item, grad_score, student.user,
                           student.item, batch, item_offsets_.view(), occurrences_.view(),
                           user_position_.view(), stream);
  accumulate_sum(loss, loss_terms, stream);
}

}  // namespace derrd
