#include "engine/epoch_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "data/error.h"
#include "kernels/epoch/negatives.h"
#include "kernels/epoch/shuffle.h"

namespace derrd {

namespace {

/// Lists that are built together, with the memory of one sort for all: the three of an epoch,
/// unless the samples of one fill any device.
int64_t lists_together(int64_t samples) { return samples <= int64_t{1} << 20 ? 3 : 1; }

}  // namespace

int64_t EpochPlan::count_samples(int64_t pairs, int64_t negatives) {
  constexpr int64_t kMax = int64_t{1} << 30;  // a sample's two pairs are numbered in 32 bits
  const int64_t samples = pairs * negatives;
  if (samples > kMax) {
    throw Error(
        fmt::format("{} interactions with --negatives {} are {} samples an epoch, and {} are "
                    "possible; lower it",
                    pairs, negatives, samples, kMax));
  }
  return samples;
}

EpochPlan::EpochPlan(const DeviceDataset& data, BatchOptions options)
    : data_(data),
      options_(options),
      samples_(count_samples(data.pairs(), options.negatives)),
      batches_((samples_ + options.batch_size - 1) / options.batch_size),
      pair_negatives_(samples_),
      users_(samples_),
      positives_(samples_),
      negatives_(samples_),
      cursors_(4),
      space_(lists_together(samples_) * samples_),
      heads_(lists_together(samples_) * samples_) {
  users_plan_ = make_plan(data.users(), cursors_.data() + 1);
  positives_plan_ = make_plan(data.items(), cursors_.data() + 2);
  negatives_plan_ = make_plan(data.items(), cursors_.data() + 3);
}

int64_t EpochPlan::device_bytes(int64_t samples, int64_t batch_size) {
  constexpr int64_t kNumber = sizeof(int32_t);
  const int64_t together = lists_together(samples) * samples;
  const int64_t samples_and_heads = (4 * samples + together) * kNumber;
  const int64_t batches = (samples + batch_size - 1) / batch_size;
  const int64_t plan = (3 * samples + 1 + batches + 1) * kNumber;
  return samples_and_heads + SortSpace::device_bytes(together) + 3 * plan +
         4 * static_cast<int64_t>(sizeof(BatchCursor));
}

int64_t EpochPlan::host_bytes(int64_t samples) {
  return sort_pairs_host_bytes(lists_together(samples) * samples);
}

EpochPlan::Plan EpochPlan::make_plan(int64_t table_rows, const BatchCursor* cursor) const {
  Plan plan;
  plan.table_rows = table_rows;
  plan.rows = DeviceArray<int32_t>(samples_);
  plan.offsets = DeviceArray<int32_t>(samples_ + 1);
  plan.occurrences = DeviceArray<int32_t>(samples_);
  plan.batch_offsets = DeviceArray<int32_t>(batches_ + 1);
  plan.segments = {plan.rows.view(), plan.offsets.view(), plan.occurrences.view(), cursor,
                   std::min(table_rows, std::min(options_.batch_size, samples_))};
  return plan;
}

void EpochPlan::begin_epoch(int epoch, const Stream& stream) {
  epoch_ = epoch;
  const auto number = static_cast<uint32_t>(epoch);
  rewind_batches(cursors(), stream);

  sample_negatives(pair_negatives_.view(), data_.pair_users(), data_.train(), data_.items(),
                   {options_.seed, RandomPurpose::kNegative, number}, stream);
  const SortBuffers sorted = space_.sorted(samples_);
  shuffle(sorted, space_.unsorted(samples_), {options_.seed, RandomPurpose::kShuffle, number},
          space_.scratch(), stream);
  const Vector<const uint32_t> order = sorted.values;
  CallList<Gathering> samples;
  samples.add({users_.view(), data_.pair_users(), order, options_.negatives});
  samples.add({positives_.view(), data_.pair_items(), order, options_.negatives});
  samples.add({negatives_.view(), pair_negatives_.view(), order, 1});
  gather_values(samples, stream);

  const std::array lists = {segment_list(users_plan_, users_),
                            segment_list(positives_plan_, positives_),
                            segment_list(negatives_plan_, negatives_)};
  const int64_t together = lists_together(samples_);
  for (size_t first = 0; first < lists.size(); first += static_cast<size_t>(together)) {
    const auto part = std::span(lists).subspan(first, static_cast<size_t>(together));
    const int64_t pairs = together * samples_;
    build_segments(part,
                   {space_.unsorted(pairs), space_.sorted(pairs), heads_.view(), space_.scratch()},
                   options_.batch_size, stream);
  }
}

SegmentList EpochPlan::segment_list(const Plan& plan, const DeviceArray<int32_t>& row_of_sample) {
  return {row_of_sample.view(), plan.table_rows,         plan.rows.view(),
          plan.offsets.view(),  plan.occurrences.view(), plan.batch_offsets.view()};
}

BatchCursors EpochPlan::cursors() const {
  const auto list = [&](const Plan& plan, int64_t number) {
    return SegmentCursor{cursors_.data() + number, plan.batch_offsets.view()};
  };
  return {{cursors_.data(), samples_, options_.batch_size},
          list(users_plan_, 1),
          list(positives_plan_, 2),
          list(negatives_plan_, 3)};
}

void EpochPlan::next(const Stream& stream) { advance_batch(cursors(), stream); }

}  // namespace derrd
