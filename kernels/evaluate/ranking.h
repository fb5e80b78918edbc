#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "kernels/platform/device.h"
#include "kernels/platform/sort.h"
#include "kernels/platform/views.h"

namespace derrd {

// Ranking of all items for a tile of users: scores [users, I] of adjacent users from first_user on.
// The order of the calls is mask_items, then select_top, sort_segments and write_top for the best
// items, or full_ranks for given ones. Before it, finite_rows checks the scores: afterwards
// -infinity means "masked".

/// Checks each row: finite[r] = 1 if all scores of row r are finite, else 0.
/// @param finite [users], overwritten.
/// @throws std::invalid_argument if the shapes do not fit, as all functions of this header do.
void finite_rows(Vector<int32_t> finite, Matrix<const float> scores, const Stream& stream);

/// Masks items: scores[r, i] = -infinity for the items i in row first_user + r of `observed`.
void mask_items(Matrix<float> scores, SparseRows observed, int64_t first_user,
                const Stream& stream);

/// Bits below the row in a key of select_top: 32 of the score, and the item's.
inline int top_value_bits(int64_t items) {
  return 32 + std::bit_width(static_cast<uint64_t>(std::max<int64_t>(items - 1, 0)));
}
/// Largest number of rows whose keys fit into 64 bits.
inline int64_t most_top_users(int64_t items) { return int64_t{1} << (64 - top_value_bits(items)); }

/// Selects the R best items of each row, by score falling, then item rising, as keys whose
/// ascending order is that order: row r fills the pairs [r R, (r + 1) R) in no particular order;
/// key: r << top_value_bits(I) | score's 32 bits, then the item; value: the item. Masked items are
/// not selected; pairs that remain have the row's highest key and value ~0. The set is exact, and
/// the same on every executor.
/// @param unsorted [users * R], overwritten. At most most_top_users(I) users.
/// @param scores [users, I], finite or -infinity (masked).
/// @param status [users], overwritten: the number of items selected, or -1 if a score is NaN or
///   +infinity (then nothing is).
void select_top(SortBuffers unsorted, Matrix<const float> scores, Vector<int32_t> status, int64_t r,
                const Stream& stream);

/// Writes a tile's lists: the sorted pairs' items, and their scores.
/// @param items [users, R], overwritten; -1 where there is none.
/// @param scores_out [users, R] or empty, overwritten; -infinity where there is none.
/// @param sorted [users * R] the values that select_top wrote, sorted by their keys.
void write_top(Matrix<int32_t> items, Matrix<float> scores_out, Vector<const uint32_t> sorted,
               Matrix<const float> scores, const Stream& stream);

/// Ranks given items of each user among all: rank[e] = 1 + #(items that score as high as
/// relevant.items[e] or higher, it itself left out).
/// @param rank [relevant.items]; those of the tile's users are overwritten. -1: a score of the user
///   is NaN or +infinity, or the item's own is -infinity (masked).
/// @param relevant items of each of the U users
void full_ranks(Vector<int32_t> rank, Matrix<const float> masked_scores, SparseRows relevant,
                int64_t first_user, const Stream& stream);

}  // namespace derrd
