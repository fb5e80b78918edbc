#pragma once

// Code that the levels share besides their contract. For .cu files.

#include <cstdint>
#include <stdexcept>
#include <string>

#include "bench/ladders/adam_rows/levels.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"
#include "kernels/update/adam_element.h"

namespace derrd::ladder {

/// @throws std::invalid_argument as the contract says.
inline void require_valid(const char* name, const AdamEpoch& epoch) {
  const AdamRows& table = epoch.table;
  const int64_t rows = table.value.rows;
  const int64_t cols = table.value.cols;
  require_shape(name, "first_moment", table.first_moment, rows, cols);
  require_shape(name, "second_moment", table.second_moment, rows, cols);
  require_shape(name, "gradient", table.gradient, rows, cols);
  require_size(name, "applied", table.applied, rows);
  require_size(name, "batches", epoch.batches, epoch.read.rows);
  require_ring(name, epoch.history);
  if (epoch.history.corrections.size < epoch.read.rows || epoch.read.cols > rows) {
    throw std::invalid_argument(
        std::string(name) + ": " + std::to_string(epoch.read.rows) + " steps of " +
        std::to_string(epoch.read.cols) + " distinct rows, corrections of " +
        std::to_string(epoch.history.corrections.size) + ", a table of " + std::to_string(rows));
  }
}

/// The rows that a step reads.
inline Vector<const int32_t> rows_of_step(const AdamEpoch& epoch, int64_t step) {
  return {epoch.read.row(step), epoch.read.cols};
}

/// Trains the same in all levels: a loss of half the squared length of each row
/// read, whose gradient is the row itself. A row that is out of date when it is read shows.
void train_on_rows(const AdamRows& table, Vector<const int32_t> rows, const Stream& stream);

/// Adam's update number *history.steps of these rows, now that they have their gradients: theirs
/// are up to date then. Levels 3 and 4.
void update_read_rows(const AdamRows& table, Vector<const int32_t> rows, AdamOptions options,
                      AdamHistory history, const Stream& stream);

/// Claims the row's missed updates for the calling tile and returns their number; none afterwards.
__device__ __forceinline__ int64_t take_missed(const WarpTile& tile, uint32_t& applied,
                                               int64_t now) {
  const auto latest = static_cast<uint32_t>(now);
  uint32_t before = latest;
  if (tile.thread_rank() == 0) {
    before = applied;
    applied = latest;
  }
  return latest - tile.shfl(before, 0);
}

constexpr int64_t kOperationsPerUpdate = 16;

}  // namespace derrd::ladder
