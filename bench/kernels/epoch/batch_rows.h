#pragma once

#include <cstdint>

#include "bench/kernels/support.h"
#include "kernels/epoch/segments.h"

namespace derrd::bench {

/// The distinct rows of an epoch that is one batch.
class BatchRows {
 public:
  /// @param row_of_sample [n], each below `table_rows`
  BatchRows(const DeviceArray<int32_t>& row_of_sample, int64_t table_rows)
      : rows_(row_of_sample.size()),
        offsets_(row_of_sample.size() + 1),
        occurrences_(row_of_sample.size()) {
    const int64_t n = row_of_sample.size();
    const DeviceArray<int32_t> batch_offsets(2), heads(n);
    const DeviceArray<uint64_t> keys(n), sorted_keys(n);
    const DeviceArray<uint32_t> values(n), sorted_values(n);
    const DeviceArray<uint8_t> scratch(segments_scratch_bytes(n));
    build_segments({rows_.view(),
                    offsets_.view(),
                    occurrences_.view(),
                    batch_offsets.view(),
                    {keys.view(), values.view()},
                    {sorted_keys.view(), sorted_values.view()},
                    heads.view(),
                    scratch.view()},
                   row_of_sample.view(), n, table_rows, stream());
    count_ = batch_offsets.to_host(stream())[1];
    cursor_ = one_batch(count_);
  }

  RowSegments view() const {
    return {rows_.view(), offsets_.view(), occurrences_.view(), cursor_.data(), count_};
  }
  int64_t count() const { return count_; }

 private:
  DeviceArray<int32_t> rows_, offsets_, occurrences_;
  DeviceArray<BatchCursor> cursor_;
  int64_t count_ = 0;
};

/// Bytes that BatchRows takes per sample while it is made, scratch of the sort included.
constexpr int64_t kBatchRowBytes = 80;

}  // namespace derrd::bench
