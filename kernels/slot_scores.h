#pragma once

#include <cstdint>

#include "kernels/segments.h"
#include "kernels/views.h"

namespace derrd {

/// Rows of one table (the anchors: users, or items) with sampled rows of the other table, of which
/// the batch takes those of its anchors. A view.
struct SlotBatch {
  Matrix<const int32_t> samples;  ///< [anchor rows, S] rows of the other table; -1: the slot is
                                  ///< empty and takes no part
  RowSegments anchors;            ///< the distinct anchors of the batch
};

/// What becomes of the anchors' losses in a batch.
enum class AnchorReduction {
  kSum,   ///< added up, the authors' convention
  kMean,  ///< divided by the number of the batch's anchors, as Section 4.2.3 prints it
};

}  // namespace derrd
