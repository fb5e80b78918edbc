#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <vector>

#include "kernels/epoch/segments.h"
#include "kernels/platform/memory.h"
#include "tests/stream.h"

namespace derrd::cases {

/// Cursors of all batches over n samples.
inline std::vector<BatchCursor> sample_cursors(int64_t n, int64_t batch_size) {
  std::vector<BatchCursor> cursors;
  for (int64_t begin = 0; begin < n; begin += batch_size) {
    cursors.push_back({static_cast<int32_t>(cursors.size()), static_cast<int32_t>(begin),
                       static_cast<int32_t>(std::min(batch_size, n - begin))});
  }
  return cursors;
}

/// The distinct rows of every batch of an epoch, found on the host and put into device memory: what
/// an operation that takes RowSegments needs, without the kernels that build them.
class BatchRows {
 public:
  static constexpr int64_t kSampleBytes = 12;  ///< device memory that it takes per sample

  /// One batch of all samples.
  explicit BatchRows(const std::vector<int32_t>& row_of_sample)
      : BatchRows(row_of_sample, std::max<int64_t>(1, std::ssize(row_of_sample))) {}
  BatchRows(const std::vector<int32_t>& row_of_sample, int64_t batch_size)
      : occurrences(row_of_sample.size()) {
    std::iota(occurrences.begin(), occurrences.end(), 0);
    const auto row = [&](int32_t sample) { return row_of_sample[static_cast<size_t>(sample)]; };
    const int64_t n = std::ssize(row_of_sample);
    for (const BatchCursor& samples : sample_cursors(n, batch_size)) {
      const auto begin = occurrences.begin() + samples.begin;
      std::stable_sort(begin, begin + samples.count,
                       [&](int32_t a, int32_t b) { return row(a) < row(b); });
      const auto first = static_cast<int32_t>(rows.size());
      for (int32_t i = samples.begin; i < samples.begin + samples.count; ++i) {
        const int32_t sample = occurrences[static_cast<size_t>(i)];
        if (i > samples.begin && rows.back() == row(sample)) continue;
        rows.push_back(row(sample));
        offsets.push_back(i);
      }
      const int32_t count = static_cast<int32_t>(rows.size()) - first;
      batches.push_back({samples.number, first, count});
      capacity = std::max<int64_t>(capacity, count);
    }
    offsets.push_back(static_cast<int32_t>(n));
    device_rows_ = {rows, test::stream()};
    device_offsets_ = {offsets, test::stream()};
    device_occurrences_ = {occurrences, test::stream()};
    device_batches_ = {batches, test::stream()};
  }

  /// The segments while the device works on `batch`.
  RowSegments view(int64_t batch = 0) const {
    return {device_rows_.view(), device_offsets_.view(), device_occurrences_.view(),
            device_batches_.data() + batch, capacity};
  }

  std::vector<int32_t> rows, offsets, occurrences;
  std::vector<BatchCursor> batches;
  int64_t capacity = 0;  ///< most distinct rows of a batch

 private:
  DeviceArray<int32_t> device_rows_, device_offsets_, device_occurrences_;
  DeviceArray<BatchCursor> device_batches_;
};

}  // namespace derrd::cases
