#pragma once

#include <cstdint>
#include <span>

#include "kernels/platform/device.h"
#include "kernels/platform/sort.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Position of a training step in its epoch, in device memory, so that a step's launches are the
/// same for every batch.
struct BatchCursor {
  int32_t number = -1;  ///< of the batch within the epoch
  int32_t begin = 0;    ///< its first element in an epoch-long list
  int32_t count = 0;    ///< its number of elements
};

/// State of the epoch that a step reads, in device memory.
struct EpochState {
  uint32_t epoch = 0;
  float temperature = 1.0f;  ///< tau of the Gumbel-Softmax
};

/// Distinct rows (users or items) of every batch of an epoch, each with the samples in which it
/// occurs: row rows[i] occurs in samples occurrences[offsets[i] .. offsets[i + 1]), ascending. The
/// current batch owns i in [batch->begin, batch->begin + batch->count), its rows ascending. This is
/// what makes gradients deterministic: one tile owns a row and sums its occurrences in order. A
/// view.
struct RowSegments {
  Vector<const int32_t> rows;          ///< [n] of which the first batch_offsets[batches] are set
  Vector<const int32_t> offsets;       ///< [n + 1]
  Vector<const int32_t> occurrences;   ///< [n] sample numbers within the epoch
  const BatchCursor* batch = nullptr;  ///< device memory
  int64_t capacity =
      0;  ///< no batch has more distinct rows (host memory: sizes launches and buffers)

  /// Active rows of a matrix [capacity, ...] with a row for each of the batch's distinct rows.
  ActiveRows active() const { return {&batch->count}; }
};

/// Rows of an epoch's samples, and the lists that build_segments makes of them, for n samples in
/// `batches` = ceil(n / batch_size) batches. A view.
struct SegmentList {
  Vector<const int32_t> row_of_sample;  ///< [n], each in [0, table_rows)
  int64_t table_rows = 0;
  Vector<int32_t> rows;           ///< [n]
  Vector<int32_t> offsets;        ///< [n + 1]
  Vector<int32_t> occurrences;    ///< [n]
  Vector<int32_t> batch_offsets;  ///< [batches + 1]: batch b owns rows [batch_offsets[b],
                                  ///< batch_offsets[b + 1])
};

/// Most lists of a call of build_segments.
constexpr int64_t kMaxSegmentLists = 3;

/// Scratch memory of build_segments for `pairs` = lists x samples.
struct SegmentWorkspace {
  SortBuffers unsorted, sorted;  ///< [pairs]
  Vector<int32_t> heads;         ///< [pairs]
  Vector<uint8_t> scratch;       ///< [segments_scratch_bytes(pairs)] at least
};

/// Bytes of SegmentWorkspace::scratch for `pairs` = lists x samples.
int64_t segments_scratch_bytes(int64_t pairs);

/// Groups the samples of every batch by their rows, for several lists at once. An epoch:
///
///   build_segments(std::array{user_list, item_list}, workspace, batch_size, stream);
///   const RowSegments users = {..., cursor, capacity};  // the lists of `user_list`
///   const BatchCursors cursors = {samples, {cursor, user_list.batch_offsets}, ...};
///   rewind_batches(cursors, stream);
///   for (int64_t b = 0; b < batches; ++b) {
///     advance_batch(cursors, stream);
///     gather_rows(vectors, 0, table, users, stream);  // or whatever reads the batch's rows
///   }
///
/// Sample i belongs to batch i / batch_size, and in each list to row row_of_sample[i]. The lists'
/// outputs are overwritten; of `rows` and `offsets` the part that the distinct rows need.
/// @param lists with equal numbers of samples
/// @throws std::invalid_argument if the shapes do not fit, there are more than kMaxSegmentLists
/// lists, or the pairs or table_rows exceed 2^31 - 1.
void build_segments(std::span<const SegmentList> lists, SegmentWorkspace space, int64_t batch_size,
                    const Stream& stream);

/// Cursor over an epoch's `n` samples.
struct SampleCursor {
  BatchCursor* cursor = nullptr;  ///< device memory
  int64_t n = 0;
  int64_t batch_size = 1;
};

/// Cursor of a RowSegments and the boundaries of all its batches.
struct SegmentCursor {
  BatchCursor* cursor = nullptr;        ///< device memory; null: there is no such list
  Vector<const int32_t> batch_offsets;  ///< [batches + 1]
};

/// All cursors of an epoch. A view.
struct BatchCursors {
  SampleCursor samples;
  SegmentCursor users, positives, negatives;
};

/// Moves all cursors to the next batch, from the last one to the first: number, begin and count of
/// the samples and of each list's distinct rows. One launch without a host value that depends on
/// the batch, so that a step can be captured as a graph. Without samples the cursors become empty.
/// @throws std::invalid_argument if a batch_offsets does not have ceil(n / batch_size) + 1
/// elements.
void advance_batch(const BatchCursors& cursors, const Stream& stream);

/// Puts all cursors before the first batch.
void rewind_batches(const BatchCursors& cursors, const Stream& stream);

/// Sets *state = value. The host does not wait for what is queued before.
/// @param state device memory, overwritten
void set_epoch(EpochState* state, EpochState value, const Stream& stream);

/// Records where the current batch's rows are: position[rows[i]] = i + 1 for the i that the batch
/// owns. Other rows keep what they have: 0, or the position in another batch of the epoch's list,
/// which lies outside this one. A list that is written anew for each batch needs zeros first.
/// @param position [table rows], those of the batch's rows overwritten
void locate_rows(Vector<int32_t> position, RowSegments rows, const Stream& stream);

}  // namespace derrd
