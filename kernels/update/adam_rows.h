#pragma once

#include <cstdint>
#include <span>

#include "kernels/epoch/segments.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"
#include "kernels/update/adam.h"

namespace derrd {

/// Embedding table with all that Adam keeps of it. Its rows are updated when they are next read:
/// until then a row waits, with the gradient of the update that it missed first. A view.
struct AdamRows {
  Matrix<float> value;                        ///< [R, D]
  Matrix<float> first_moment, second_moment;  ///< [R, D]
  Matrix<float> gradient;                     ///< [R, D] of the first missed update
  Vector<uint32_t> applied;                   ///< [R] updates applied so far, modulo 2^32

  /// All rows, for adam_update.
  AdamParameters parameters() const {
    return {value.flat(), first_moment.flat(), second_moment.flat(), gradient.flat()};
  }
};

/// Rows of a table that a step is going to read. A view.
struct AdamRead {
  AdamRows table;
  /// All rows of the table, where `rows.batch` is null; else the batch's distinct rows, or ...
  RowSegments rows = {};
  /// ... with samples [anchor rows, S] the rows that the slots of the anchors `rows` hold; -1:
  /// none.
  Matrix<const int32_t> samples = {};
  /// With a positive number, instead of `rows`: every turns-th row of the table, those with
  /// row % turns == *history.steps % turns.
  int64_t turns = 0;
};

/// Returns the `turns` that a step should give its tables, of `rows` rows in all, so that no row
/// misses many updates; 0: none. On a GPU the row that has missed most decides when the launch
/// ends: more turns make it later, fewer make the step read more rows.
int64_t adam_turns(int64_t rows);

/// Brings rows up to date. A step that reads the batch's users and the slots of the anchors:
///
///   adam_catch_up(std::array<AdamRead, 2>{{{.table = user_table, .rows = users},
///                                          {.table = item_table, .rows = anchors, .samples = s}}},
///                 options, history, stream);
///   // ... forward and backward, which add to the tables' gradients; then, once per step:
///   adam_advance(history, options, stream);
///
/// Applies the updates that rows have missed, those after row.applied up to *history.steps: the
/// first with the row's gradient, which is zero afterwards, the others with a gradient of zero,
/// each as adam_update does it, to the bit. Rows may occur in several lists. One launch for twelve
/// lists. A step reads a row only after this, and adds nothing but zeros to the gradients of
/// others.
/// @param history advanced by adam_advance; no row has missed more updates than it has corrections
/// for
/// @throws std::invalid_argument if the shapes do not fit, or as adam_advance does.
void adam_catch_up(std::span<const AdamRead> reads, AdamOptions options, AdamHistory history,
                   const Stream& stream);

}  // namespace derrd
