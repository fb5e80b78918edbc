#include "engine/distill/ranking_sampler.h"

#include <algorithm>

#include "kernels/epoch/interesting.h"
#include "kernels/epoch/negatives.h"
#include "kernels/epoch/uninteresting.h"

namespace derrd {

RankingSampler::RankingSampler(RankingSamplerOptions options, Matrix<const int32_t> lists,
                               SparseRows observed, int64_t rows, const Stream& stream)
    : options_(options),
      lists_(lists),
      observed_(observed),
      rows_(rows),
      most_excluded_(observed.items.size + lists.size()),
      lowest_(lists.rows),
      excluded_offsets_(lists.rows + 1),
      excluded_(most_excluded_),
      space_(std::max(lists.rows + 1, lists.rows * slots()),
             std::max(most_excluded_, lists.rows * slots())) {
  if (options_.excluded == Excluded::kList) {
    // It does not depend on what is drawn from the lists, so it is found once.
    list_lengths(lowest_.view(), lists_, stream);
    find_excluded(stream);
  }
}

int64_t RankingSampler::device_bytes(const RankingSamplerOptions& options, int64_t anchors,
                                     int64_t list_length, int64_t observed) {
  const int64_t samples = anchors * options.slots();
  const int64_t excluded = observed + anchors * list_length;
  return anchors * static_cast<int64_t>(sizeof(int32_t)) +
         (anchors + 1) * static_cast<int64_t>(sizeof(int64_t)) +
         excluded * static_cast<int64_t>(sizeof(int32_t)) +
         SortSpace::device_bytes(std::max(anchors + 1, samples), std::max(excluded, samples));
}

void RankingSampler::draw(Matrix<int32_t> samples, uint64_t seed, int epoch, const Stream& stream) {
  const auto number = static_cast<uint32_t>(epoch);
  const int64_t k = options_.interesting;
  if (options_.selection == Selection::kTop) {
    top_items(samples, lowest_.view(), lists_, k, stream);
  } else {
    const SortBuffers pairs = space_.unsorted(lists_.size());
    interesting_keys(pairs, lists_, static_cast<float>(options_.sharpness),
                     {seed, options_.interesting_draw, number}, stream);
    sort_segments(pairs, kSegmentValueBits, space_.scratch(), stream);
    interesting_items(samples, lowest_.view(), lists_, pairs.values, k, stream);
  }
  if (options_.excluded == Excluded::kSelected) find_excluded(stream);
  sample_uninteresting(samples, k, {excluded_offsets_.view(), excluded_.view()}, rows_,
                       {seed, options_.uninteresting_draw, number}, stream);
}

void RankingSampler::find_excluded(const Stream& stream) {
  const SortBuffers pairs = {space_.unsorted(most_excluded_).keys, sort_values(excluded_.view())};
  exclusion_sizes(excluded_offsets_.view(), observed_, lowest_.view(), stream);
  exclusive_sum(excluded_offsets_.view(), excluded_offsets_.view(), space_.scratch(), stream);
  exclusion_keys(pairs, excluded_offsets_.view(), observed_, lists_, lowest_.view(), stream);
  sort_segments(pairs, kSegmentValueBits, space_.scratch(), stream);
}

}  // namespace derrd
