#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/epoch_plan.h"
#include "engine/models/scorer.h"
#include "engine/rows_read.h"
#include "kernels/distill/slot_scores.h"
#include "kernels/models/neumf_pairs.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Vectors of a model with their gradients, all inside the arena or a buffer of the model's.
struct VectorTable {
  Matrix<const float> value;
  Matrix<float> grad;  ///< the same shape; accumulated
};

/// The vectors of the batch's pairs (user, item), of which rows.active count; the two pairs of each
/// sample, the positive one first, side by side.
struct PairVectors {
  VectorTable vectors;                 ///< [N, *] outside the arena, good for this step only
  PairRows rows;                       ///< [N] of which users and items
  const BatchCursor* batch = nullptr;  ///< device memory: where they lie among the epoch's pairs
  int64_t product_dim = 0;             ///< columns of the product; the perceptron's output follows
};

/// The vectors that a loss may read, and whose gradients it may add to between the model's
/// forward and backward pass.
struct Representations {
  /// A user's or an item's vector is its row of these tables [U, *] or [I, *], one behind the
  /// other.
  std::vector<VectorTable> user, item;
  /// What the model makes of a user and an item together, if it does.
  std::optional<PairVectors> pairs = std::nullopt;
};

/// A matrix of a model file.
struct NamedMatrix {
  std::string name;
  Matrix<const float> value;
};

/// A recommender as forward and backward over its slice of the arena. A training step is reads(),
/// then forward(), then every loss, then backward(), then the optimizer. Within it nothing
/// allocates or waits.
class Model {
 public:
  virtual ~Model() = default;

  /// "bpr", as in a model file's metadata.
  virtual std::string_view kind() const = 0;

  /// Lists the rows of embedding tables whose values forward() and backward() read for the current
  /// batch. Between steps rows may be out of date; the trainer brings up to date what is listed
  /// here or by a loss, and no other row may enter a result. (A product with 0 may read any row:
  /// all hold finite numbers.)
  virtual std::vector<RowsRead> reads(const EpochPlan& plan) const = 0;
  /// Queues the forward pass of the current batch and adds its base loss to *loss.
  virtual void forward(const EpochPlan& plan, double* loss, const Stream& stream) = 0;
  /// Queues the backward pass: gradients of the base loss, and of what losses added to
  /// gradients of representations outside the arena, accumulate in the arena.
  virtual void backward(const EpochPlan& plan, const Stream& stream) = 0;

  virtual Representations representations() const = 0;

  /// Allocates what the next two need for batches of so many anchors and slots; the largest counts.
  /// While losses are made.
  virtual void reserve_slots(int64_t anchors, int64_t slots) = 0;
  /// Scores the slots of the batch's anchors, as slot_scores_forward leaves them. Reads what
  /// slot_batch_rows() lists, which a loss declares.
  virtual void score_slots(Matrix<float> score, const SlotBatch& batch, Entity anchor,
                           const Stream& stream) = 0;
  /// The gradients of those scores' loss, accumulated in the arena. Right after score_slots() of
  /// the same batch.
  virtual void add_slot_gradients(Matrix<const float> grad_score, const SlotBatch& batch,
                                  const SlotIndex& index, Entity anchor, const Stream& stream) = 0;

  /// What a model file holds.
  virtual std::vector<NamedMatrix> tensors() const = 0;

  /// Makes a scorer of the present parameters, valid until they change. Reads whole tables: between
  /// epochs only, when all rows are up to date.
  virtual Scorer& scorer(const Stream& stream) = 0;
};

}  // namespace derrd
