#pragma once

#include <cstdint>

#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// NeuMF (He et al., WWW'17) with one hidden layer, frozen and taken apart by rows, so that nothing
/// of the size of pairs x width is ever in memory:
///   score(u, i) = bias + user_product_u . item_product_i
///                 + sum over k of weight_k relu(user_part_u[k] + item_part_i[k])
/// A view, of n adjacent users and all items.
struct PairScorer {
  Matrix<const float> user_product;  ///< [n, D] the output layer's weights times the user's vector
  Matrix<const float> user_part;     ///< [n, H] W_u u + b
  Matrix<const float> item_product;  ///< [I, D] the item's vector
  Matrix<const float> item_part;     ///< [I, H] W_i i
  Vector<const float> weight;        ///< [H] the output layer's, of the hidden units
  Vector<const float> bias;          ///< [1] the output layer's
};

/// Scores lists: score[r, j] = score of user r and item[r, j].
/// @param score [n, S] 0 where the item is -1; overwritten
/// @param item [n, S]
/// @throws std::invalid_argument if the shapes do not fit.
void neumf_list_scores(Matrix<float> score, const PairScorer& model, Matrix<const int32_t> item,
                       const Stream& stream);

/// Number of floats that pack_items writes.
int64_t packed_items_size(int64_t items, int64_t width);

/// Packs the items' rows in blocks of 64 items, column by column: what neumf_tile_scores reads.
/// @param packed [packed_items_size(I, D + H)], overwritten
/// @throws std::invalid_argument if the shapes do not fit.
void pack_items(Vector<float> packed, Matrix<const float> item_product,
                Matrix<const float> item_part, const Stream& stream);

/// Scores all items for n users. Equal items have equal bits, wherever they stand.
/// @param score [n, I], overwritten
/// @param user_weight [n] sum over k of weight_k user_part_u[k]
/// @param packed of pack_items
/// @throws std::invalid_argument if the shapes do not fit.
void neumf_tile_scores(Matrix<float> score, const PairScorer& model,
                       Vector<const float> user_weight, Vector<const float> packed,
                       const Stream& stream);

}  // namespace derrd
