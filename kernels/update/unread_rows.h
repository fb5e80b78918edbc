#pragma once

#include <cstdint>

#include "kernels/epoch/segments.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// The value of an element that must not be read: absurd in a sum, yet finite, because a product
/// with zero may pass over it.
inline constexpr float kSpoiledValue = 1e30f;

/// Marks the rows of a table that a step reads.
/// @param read [R]; 1 for these rows, the others keep their mark
/// @param rows the batch's distinct rows; all rows of the table where `rows.batch` is null
/// @param samples [anchor rows, S]; where it is not empty, the rows in the slots of the anchors
///   `rows` are meant; -1: no row
void mark_rows(Vector<uint32_t> read, RowSegments rows, Matrix<const int32_t> samples,
               const Stream& stream);

/// Overwrites the rows without a mark with kSpoiledValue.
/// @param value [R, D]
/// @param read [R]
/// @throws std::invalid_argument if the shapes do not fit.
void spoil_unread_rows(Matrix<float> value, Vector<const uint32_t> read, const Stream& stream);

}  // namespace derrd
