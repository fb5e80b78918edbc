#include "engine/epoch_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/error.h"
#include "kernels/epoch/negatives.h"
#include "kernels/epoch/shuffle.h"

namespace derrd {

namespace {

int64_t count_samples(const DeviceDataset& data, int64_t negatives) {
  constexpr int64_t kMax = int64_t{1} << 30;  // a sample's two pairs are numbered in 32 bits
  const int64_t samples = data.pairs() * negatives;
  if (samples > kMax) {
    throw Error(
        fmt::format("{} interactions with --negatives {} are {} samples an epoch, and {} are "
                    "possible; lower it",
                    data.pairs(), negatives, samples, kMax));
  }
  return samples;
}

constexpr int kKeyBits = 64;

}  // namespace

EpochPlan::EpochPlan(const DeviceDataset& data, BatchOptions options)
    : data_(data),
      options_(options),
      samples_(count_samples(data, options.negatives)),
      batches_((samples_ + options.batch_size - 1) / options.batch_size),
      pair_negatives_(samples_),
      users_(samples_),
      positives_(samples_),
      negatives_(samples_),
      cursors_(4),
      space_(samples_),
      heads_(samples_) {
  users_plan_ = make_plan(data.users(), cursors_.data() + 1);
  positives_plan_ = make_plan(data.items(), cursors_.data() + 2);
  negatives_plan_ = make_plan(data.items(), cursors_.data() + 3);
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
  const SortBuffers unsorted = space_.unsorted(samples_);
  const SortBuffers sorted = space_.sorted(samples_);
  shuffle_keys(unsorted, {options_.seed, RandomPurpose::kShuffle, number}, stream);
  sort_pairs(sorted, unsorted, kKeyBits, space_.scratch(), stream);
  const Vector<const uint32_t> order = sorted.values;
  gather_values(users_.view(), data_.pair_users(), order, options_.negatives, stream);
  gather_values(positives_.view(), data_.pair_items(), order, options_.negatives, stream);
  gather_values(negatives_.view(), pair_negatives_.view(), order, 1, stream);

  build(users_plan_, users_.view(), stream);
  build(positives_plan_, positives_.view(), stream);
  build(negatives_plan_, negatives_.view(), stream);
}

void EpochPlan::build(Plan& plan, Vector<const int32_t> row_of_sample, const Stream& stream) {
  const SegmentBuffers buffers = {plan.rows.view(),
                                  plan.offsets.view(),
                                  plan.occurrences.view(),
                                  plan.batch_offsets.view(),
                                  space_.unsorted(samples_),
                                  space_.sorted(samples_),
                                  heads_.view(),
                                  space_.scratch()};
  build_segments(buffers, row_of_sample, options_.batch_size, plan.table_rows, stream);
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
