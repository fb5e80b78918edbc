#pragma once

#include <cstdint>

#include "kernels/platform/device.h"
#include "kernels/segments.h"
#include "kernels/views.h"

namespace derrd {

/// Most slots that a user may have (K + L), and most of them interesting (K): a tile keeps them in
/// shared memory.
constexpr int64_t kMaxRankingSamples = 512;
constexpr int64_t kMaxRankingInteresting = 256;

/// The sampled items of all users and the users of the current batch. A view.
struct RelaxedRankingBatch {
  Matrix<const int32_t> samples;  ///< [U, K + L] items: K interesting in rank order, then L
                                  ///< uninteresting; -1: the slot is empty and takes no part
  int64_t interesting = 0;        ///< K
  RowSegments users;              ///< the distinct users of the batch
};

/// What becomes of the users' losses in a batch.
enum class UserReduction {
  kSum,   ///< added up, the authors' convention
  kMean,  ///< divided by the number of the batch's users, as Section 4.2.3 prints it
};

/// Relaxed Ranking Distillation (DE-RRD, equations 9 and 10) of the batch's users.
///   loss_u = share * sum over k of log( sum_{i >= k} e^{r_i} + sum_j e^{s_j} ) - r_k
/// with share 1, or 1 / number of users,
/// and the student's scores r of the interesting and s of the uninteresting items. Exact for
/// scores of any size and order.
/// @param loss [users.capacity] without scale; zero beyond the batch's users. Overwritten.
/// @param grad_score [users.capacity, K + L] scale * dL/dscore by position in the batch; zero for
///   empty slots, rows beyond the batch's users are left alone. Overwritten.
/// @param user_embedding [U, D], item_embedding [I, D]; a score is their dot product
/// @throws std::invalid_argument if shapes do not fit or there are too many slots.
void relaxed_ranking_forward(Vector<float> loss, Matrix<float> grad_score,
                             Matrix<const float> user_embedding, Matrix<const float> item_embedding,
                             RelaxedRankingBatch batch, float scale, UserReduction reduction,
                             const Stream& stream);

/// Gradients of the batch's embeddings, accumulated into both tables. Each row is summed by one
/// tile in a fixed order.
///   grad_user[u] += sum over slots of grad_score[u, slot] * item[samples[u, slot]]
///   grad_item[i] += sum over the slots of the batch's users that hold i, of grad_score * user
/// @param grad_user [U, D], grad_item [I, D]
/// @param grad_score as relaxed_ranking_forward left it
/// @param item_offsets [I + 1], occurrences [U * (K + L)]: the inverse of `samples`, sorted by item
///   (ranking_occurrence_keys, sort_pairs, row_offsets), valid as long as `samples` is
/// @param user_position [U] of locate_rows: where each user stands in users.rows, if it occurs
/// @throws std::invalid_argument if shapes do not fit or there are too many slots.
void relaxed_ranking_backward(Matrix<float> grad_user, Matrix<float> grad_item,
                              Matrix<const float> grad_score, Matrix<const float> user_embedding,
                              Matrix<const float> item_embedding, RelaxedRankingBatch batch,
                              Vector<const int32_t> item_offsets,
                              Vector<const uint32_t> occurrences,
                              Vector<const int32_t> user_position, const Stream& stream);

}  // namespace derrd
