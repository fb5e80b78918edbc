// Level 2: one pass: the project's dense kernel, kernels/update/adam.cu.
//
// The idea: every line needs nothing but its own element. So a thread takes an element through all
// of them in registers: it reads p, m, v and g and writes them, g as zero.
//
// On an H200, R = 1e6, D = 128, 20 steps: 32 bytes an element and step instead of 56, 82 GB in all.
// 52 instructions for 32 elements are issued in 4 ms meanwhile.
// Predicted: 19 ms, 4/7 of level 1, memory being the limit; nothing better is possible while every
// row moves at every step. 39 registers.

#include "bench/ladders/adam_rows/arguments.h"

namespace derrd::ladder {

void fused(const AdamEpoch& epoch, AdamOptions options, const Stream& stream) {
  require_valid("fused", epoch);
  const AdamRows& table = epoch.table;
  for (int64_t step = 0; step < epoch.read.rows; ++step) {
    train_on_rows(table, rows_of_step(epoch, step), stream);
    adam_advance(epoch.history, options, stream);
    adam_update(table.parameters(), options, epoch.history, stream);
  }
}

}  // namespace derrd::ladder
