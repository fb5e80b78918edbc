#pragma once

#include <cstdint>

#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Ranks of the held-out items of a turn, [U] each: 1 .. C + 1; 0: the user has no such item; -1:
/// its score or that of a candidate is not finite. A view.
struct LeaveOneOutRanks {
  Vector<int32_t> valid, test;
};

/// Items that were held out of the training, and the candidates that each is ranked among. A view.
struct HeldOutItems {
  SparseRows valid, test;            ///< items of each of the U users
  Matrix<const int32_t> candidates;  ///< [U, C] item numbers other than the held-out ones; -1 is
                                     ///< skipped
  int64_t turn = 0;                  ///< number of the item, from 0, that is ranked in each row
};

/// Ranks the turn's validation and test item of each user, each among itself and the candidates:
/// rank = 1 + #(candidates that score higher or equal), so ties count against the model. Scores are
/// dot products of the embeddings; the other held-out item takes no part.
/// @param ranks overwritten
/// @param user_embedding [U, D]
/// @param item_embedding [I, D]
/// @throws std::invalid_argument if the shapes do not fit.
void leave_one_out_ranks(LeaveOneOutRanks ranks, Matrix<const float> user_embedding,
                         Matrix<const float> item_embedding, const HeldOutItems& items,
                         const Stream& stream);

// Two steps for models that do not score by dot products: leave_one_out_items lists the items to
// score, ranks_of_scores makes the ranks.

/// Lists the items to score: item[r] = the turn's validation item, its test item and the candidates
/// of user first_user + r.
/// @param item [n, C + 2], overwritten; -1 where there is none, and in the whole row of a user
///   without an item in this turn
/// @throws std::invalid_argument if the shapes do not fit.
void leave_one_out_items(Matrix<int32_t> item, const HeldOutItems& items, int64_t first_user,
                         const Stream& stream);

/// Computes the ranks of leave_one_out_ranks from given scores.
/// @param ranks [n], overwritten
/// @param score [n, C + 2], C + 2 >= 2
/// @param item [n, C + 2], written by leave_one_out_items
/// @throws std::invalid_argument if the shapes do not fit.
void ranks_of_scores(LeaveOneOutRanks ranks, Matrix<const float> score, Matrix<const int32_t> item,
                     const Stream& stream);

}  // namespace derrd
