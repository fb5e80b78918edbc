#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "kernels/epoch/segments.h"
#include "kernels/platform/memory.h"

namespace derrd::test {

/// A cursor per batch over n samples.
inline std::vector<BatchCursor> sample_cursors(int64_t n, int64_t batch_size) {
  std::vector<BatchCursor> cursors;
  for (int64_t begin = 0; begin < n; begin += batch_size) {
    cursors.push_back({static_cast<int32_t>(cursors.size()), static_cast<int32_t>(begin),
                       static_cast<int32_t>(std::min(batch_size, n - begin))});
  }
  return cursors;
}

/// The distinct rows of every batch of an epoch, found with a std::map and put into device memory:
/// what an operation that takes RowSegments needs, without the kernels that build them.
class HostSegments {
 public:
  HostSegments(const std::vector<int32_t>& row_of_sample, int64_t batch_size,
               const Stream& stream) {
    offsets.push_back(0);
    const auto n = static_cast<int64_t>(row_of_sample.size());
    for (const BatchCursor& samples : sample_cursors(n, batch_size)) {
      std::map<int32_t, std::vector<int32_t>> samples_of_row;
      for (int32_t s = samples.begin; s < samples.begin + samples.count; ++s) {
        samples_of_row[row_of_sample[static_cast<size_t>(s)]].push_back(s);
      }
      const auto count = static_cast<int32_t>(samples_of_row.size());
      batches.push_back({samples.number, static_cast<int32_t>(rows.size()), count});
      capacity = std::max<int64_t>(capacity, count);
      for (const auto& [row, row_samples] : samples_of_row) {
        rows.push_back(row);
        occurrences.insert(occurrences.end(), row_samples.begin(), row_samples.end());
        offsets.push_back(static_cast<int32_t>(occurrences.size()));
      }
    }
    device_rows_ = {rows, stream};
    device_offsets_ = {offsets, stream};
    device_occurrences_ = {occurrences, stream};
    device_batches_ = {batches, stream};
  }

  /// The segments as they are while the device works on `batch`.
  RowSegments view(int64_t batch) const {
    return {device_rows_.view(), device_offsets_.view(), device_occurrences_.view(),
            device_batches_.data() + batch, capacity};
  }

  std::vector<int32_t> rows, offsets, occurrences;
  std::vector<BatchCursor> batches;
  int64_t capacity = 0;

 private:
  DeviceArray<int32_t> device_rows_, device_offsets_, device_occurrences_;
  DeviceArray<BatchCursor> device_batches_;
};

}  // namespace derrd::test
