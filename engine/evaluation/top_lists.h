#pragma once

#include <cstdint>

#include "engine/models/scorer.h"
#include "engine/sort_space.h"
#include "kernels/platform/device.h"
#include "kernels/platform/memory.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Items of each user to rank among all unobserved items, and the array for their ranks.
struct RankedItems {
  Vector<int32_t> rank;  ///< [relevant.items], overwritten: 1 + the number of other unobserved
                         ///< items that score higher or equal
  SparseRows relevant;   ///< unobserved items of each of the U users
};

/// Ranks all items for all users, some users at a time, so that the matrix of all scores is never
/// in memory. The items in `observed` are left out. The constructor allocates the workspace, about
/// 32 MiB of scores unless fewer users are ranked at once.
class TopLists {
 public:
  /// @param items I, their number
  /// @param list_length R, the length of the longest list to make; 0 to make ranks only
  /// @param user word for a user in messages, "item" where users and items are exchanged
  /// @param most_users largest number of users to rank at once
  TopLists(int64_t items, int64_t list_length, const char* user = "user",
           int64_t most_users = kMostUsers);

  /// Finds the best items of each user, by score falling and then item number rising, for the
  /// teacher's ranking lists (Section 4.2 of the paper) and for recommendations.
  /// @param items [n, R] of users first_user .. first_user + n - 1, overwritten; -1 behind the last
  ///   item that the user has not observed.
  /// @param scores [n, R] or empty, overwritten; -infinity where there is no item.
  /// @param scorer has U users and I items
  /// @param observed items of each of the U users
  /// @throws Error naming the first user with a score that is not finite.
  /// @throws std::invalid_argument if the shapes do not fit.
  void best(Matrix<int32_t> items, Matrix<float> scores, Scorer& scorer, SparseRows observed,
            int64_t first_user, const Stream& stream);

  /// Finds the best items of each user as best() does, and ranks given ones by the same scores.
  /// @param items as for best(); R = 0: only ranks are made, and the data may be null
  /// @param ranked the ranks of these n users' items are overwritten; those of others are kept
  /// @throws as best().
  void best_and_ranks(Matrix<int32_t> items, Matrix<float> scores, RankedItems ranked,
                      Scorer& scorer, SparseRows observed, int64_t first_user,
                      const Stream& stream);

  /// Returns the bytes of device memory of the workspace.
  int64_t bytes() const;
  /// Returns the bytes of device memory that a workspace takes; the parameters are the
  /// constructor's.
  static int64_t device_bytes(int64_t items, int64_t list_length);

 private:
  static constexpr int64_t kMostUsers = 512;

  /// Scores `users` users from first_user on, and masks their observed items.
  /// @throws Error if one is not finite.
  Matrix<float> score_tile(Scorer& scorer, SparseRows observed, int64_t first_user, int64_t users,
                           const Stream& stream);

  const char* user_;
  int64_t items_;
  int64_t list_length_;
  int64_t tile_users_;
  DeviceArray<float> scores_;    // [tile users, I]
  DeviceArray<int32_t> status_;  // [tile users]
  SortSpace space_;              // [tile users * R]
};

}  // namespace derrd
