// The step that the ladder's tables are trained by. No level: all call it.

#include "bench/ladders/adam_rows/arguments.h"

namespace derrd::ladder {

namespace {

__global__ void train_on_rows_kernel(Matrix<const float> value, Matrix<float> gradient,
                                     Vector<const int32_t> rows) {
  const WarpTile tile = warp_tile();
  for (const int64_t unit : units_of(tile, rows.size)) {
    const int64_t row = rows[unit];
    for (int64_t d = tile.thread_rank(); d < value.cols; d += tile.size()) {
      gradient.row(row)[d] += value.row(row)[d];
    }
  }
}

}  // namespace

void train_on_rows(const AdamRows& table, Vector<const int32_t> rows, const Stream& stream) {
  if (rows.size == 0) return;
  launch("train_on_rows", tiles_for(rows.size, table.value.cols), stream, train_on_rows_kernel,
         table.value, table.gradient, rows);
}

}  // namespace derrd::ladder
