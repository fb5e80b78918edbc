#pragma once

#include <cstdint>

#include "kernels/epoch/segments.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

// A model that scores pairs (user, item) one by one sees a batch of samples (user, positive item,
// negative item) as pairs: pair 2s is (user, positive) of the batch's sample s, pair 2s + 1 is
// (user, negative). So the active pairs are the first 2 * count.

/// The rows of two matrices that pairs point to. A view.
struct PairRows {
  Vector<const int32_t> users;  ///< [N]
  Vector<const int32_t> items;  ///< [N]
  ActiveRows active = {};       ///< pairs of the batch
};

/// Pairs of each distinct row of the batch: the pairs 2s + j, first <= j < last, of each of its
/// samples s, ascending. A view.
struct PairSegments {
  RowSegments rows;
  const BatchCursor* samples = nullptr;  ///< device memory
  int32_t first = 0;
  int32_t last = 2;
};

/// The distinct rows of a batch of samples, and where it lies in the epoch. A view.
struct PairBatch {
  const BatchCursor* samples = nullptr;  ///< device memory
  RowSegments distinct_users, distinct_positives, distinct_negatives;

  DERRD_HOST_DEVICE PairSegments users() const { return {distinct_users, samples, 0, 2}; }
  DERRD_HOST_DEVICE PairSegments positives() const { return {distinct_positives, samples, 0, 1}; }
  DERRD_HOST_DEVICE PairSegments negatives() const { return {distinct_negatives, samples, 1, 2}; }
};

/// Memory that locate_pairs writes, for N pairs.
struct PairBuffers {
  Vector<int32_t> user_rows, item_rows;  ///< [N] rows of the tables
  /// [N] numbers of these rows among the batch's distinct users, and among its distinct positives
  /// followed, from distinct_positives.capacity on, by its distinct negatives.
  Vector<int32_t> user_positions, item_positions;
  BatchCursor* cursor = nullptr;  ///< device memory: {number, 2 begin, 2 count} of the samples

  /// The pairs as rows of the tables, and as rows of matrices that hold the distinct rows only.
  PairRows rows() const { return {user_rows, item_rows, {&cursor->count}}; }
  PairRows positions() const { return {user_positions, item_positions, {&cursor->count}}; }
};

/// Vectors of the batch's distinct rows, by position, which locate_pairs copies from tables; zero
/// at the other positions. A view.
struct PositionVectors {
  Matrix<float> users;  ///< [distinct_users.capacity, D]
  Matrix<float> items;  ///< [distinct_positives.capacity + distinct_negatives.capacity, D]
  Matrix<const float> user_table, item_table;  ///< [table rows, D]
};

/// Finds the rows of the current batch's pairs, and copies the rows' vectors. Inactive pairs point
/// to row 0.
/// @param out overwritten; N is even and no batch has more than N / 2 samples.
/// @param vectors overwritten; D may be 0
/// @throws std::invalid_argument if the shapes do not fit.
void locate_pairs(PairBuffers out, const PositionVectors& vectors, PairBatch batch,
                  const Stream& stream);

/// Adjacent users, each with all items or with a list of them. A view.
struct UserLists {
  int64_t first_user = 0;
  int64_t width = 0;                  ///< items of a user: S, or all
  Vector<const int32_t> listed = {};  ///< [users * S], -1: no item; empty: each user has all items
};

/// Lists pairs of users and items: pair p is number n = first_pair + p of the lists, that of user
/// first_user + n / width and item n % width, or listed[n].
/// @param users [N], overwritten
/// @param items [N], overwritten
/// @throws std::invalid_argument if the shapes do not fit.
void enumerate_pairs(Vector<int32_t> users, Vector<int32_t> items, const UserLists& lists,
                     int64_t first_pair, const Stream& stream);

}  // namespace derrd
