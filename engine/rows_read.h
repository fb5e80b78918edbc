#pragma once

#include <cstdint>
#include <vector>

#include "engine/epoch_plan.h"
#include "engine/parameters.h"
#include "kernels/distill/slot_scores.h"
#include "kernels/epoch/segments.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Rows that a training step reads, of all tables of users or of all tables of items.
struct RowsRead {
  Entity of = Entity::kUser;
  /// The batch's distinct rows; all rows of the tables where `rows.batch` is null.
  RowSegments rows;
  /// Slots [anchor rows, S], -1: no row. Unless it is empty, `rows` are anchors in the other kind
  /// of table, and the step reads the rows in their slots.
  Matrix<const int32_t> samples = {};
};

/// Lists the users, the positive items and the negative items of the plan's current batch.
std::vector<RowsRead> batch_rows(const EpochPlan& plan);

/// Lists the rows that scoring slots reads: the anchors of `batch` and the rows in their slots.
/// @param anchor what the anchors are; the slots hold the other kind
std::vector<RowsRead> slot_batch_rows(const SlotBatch& batch, Entity anchor);

/// Appends the lists that `all` does not hold yet.
void add_rows_read(std::vector<RowsRead>& all, const std::vector<RowsRead>& more);

}  // namespace derrd
