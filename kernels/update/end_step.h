#pragma once

#include <span>

#include "kernels/epoch/segments.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"
#include "kernels/update/adam.h"

namespace derrd {

/// Terms of a loss over a batch, and the total over the epoch that they are added to. A view.
struct LossTerms {
  double* total = nullptr;    ///< device memory, accumulated
  Vector<const float> terms;  ///< [n]
};

/// Largest number of lists that end_step adds.
constexpr int kMaxLossTerms = 16;

/// Ends a step's forward and backward passes, in one launch:
/// - adds the losses' terms to their totals, in double and in a fixed order: the same input gives
///   the same bits. NaN and infinity come through. Lists with the same total are added in their
///   order;
/// - begins Adam's next update, as adam_advance() does;
/// - moves the cursors to the next batch, as advance_batch() does.
/// What reads the batch's cursors must be queued before, what reads Adam's corrections after.
/// @param batch cursors of an epoch that has samples; none: they stay
/// @throws std::invalid_argument for more than kMaxLossTerms lists, or as adam_advance() does.
void end_step(std::span<const LossTerms> losses, const BatchCursors& batch, AdamHistory history,
              AdamOptions options, const Stream& stream);

}  // namespace derrd
