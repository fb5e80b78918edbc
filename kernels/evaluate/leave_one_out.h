#pragma once

#include <cstdint>

#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Ranks each user's validation and test item, each among itself and the user's candidates:
/// rank = 1 + #(candidates that score higher or equal), so ties count against the model. Scores are
/// dot products of the embeddings; the other held-out item takes no part.
/// @param valid_rank, test_rank [U], overwritten: 1 .. C + 1; 0: the user has no such item; -1: its
///   score or that of a candidate is not finite.
/// @param user_embedding [U, D]; item_embedding [I, D].
/// @param valid_item, test_item [U], item numbers or -1: none.
/// @param candidates [U, C], item numbers other than the held-out ones; -1 is skipped.
/// @throws std::invalid_argument if the shapes do not fit.
void leave_one_out_ranks(Vector<int32_t> valid_rank, Vector<int32_t> test_rank,
                         Matrix<const float> user_embedding, Matrix<const float> item_embedding,
                         Vector<const int32_t> valid_item, Vector<const int32_t> test_item,
                         Matrix<const int32_t> candidates, const Stream& stream);

// Two steps for models that do not score by dot products: leave_one_out_items lists the items to
// score, ranks_of_scores makes the ranks.

/// Lists the items to score: item[r] = the validation item, the test item and the candidates of
/// user first_user + r.
/// @param item [n, C + 2], overwritten; -1 where there is none.
/// @param valid_item, test_item [U]; candidates [U, C].
/// @throws std::invalid_argument if the shapes do not fit.
void leave_one_out_items(Matrix<int32_t> item, Vector<const int32_t> valid_item,
                         Vector<const int32_t> test_item, Matrix<const int32_t> candidates,
                         int64_t first_user, const Stream& stream);

/// Computes the ranks of leave_one_out_ranks from given scores.
/// @param valid_rank, test_rank [n], overwritten.
/// @param score [n, C + 2] of `item` [n, C + 2], which is leave_one_out_items'; C + 2 >= 2.
/// @throws std::invalid_argument if the shapes do not fit.
void ranks_of_scores(Vector<int32_t> valid_rank, Vector<int32_t> test_rank,
                     Matrix<const float> score, Matrix<const int32_t> item, const Stream& stream);

}  // namespace derrd
