#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/epoch_plan.h"
#include "engine/loss_sums.h"
#include "engine/models/scorer.h"
#include "engine/rows_read.h"
#include "kernels/distill/slot_scores.h"
#include "kernels/models/neumf_pairs.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Vectors of a model with their gradients, in the arena or in a buffer of the model.
struct VectorTable {
  Matrix<const float> value;
  Matrix<float> grad;  ///< the same shape; accumulated
};

/// Joint vectors of the batch's pairs (user, item). Only the first `rows.active` pairs count. The
/// two pairs of a sample are adjacent, the positive one first.
struct PairVectors {
  VectorTable vectors;                 ///< [N, *] outside the arena, valid in this step only
  PairRows rows;                       ///< [N] users and items of the pairs
  const BatchCursor* batch = nullptr;  ///< device memory: their range among the epoch's pairs
  int64_t product_dim = 0;             ///< columns of the product; the perceptron's output follows
};

/// The vectors that a loss may read. It may add to their gradients between the model's forward and
/// backward pass.
struct Representations {
  /// Tables [U, *] and [I, *]. A user's or an item's vector is its rows of these tables side by
  /// side.
  std::vector<VectorTable> user, item;
  /// Joint vectors of users and items, if the model makes any.
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

  /// Returns the kind as in a model file's metadata: "bpr".
  virtual std::string_view kind() const = 0;

  /// Lists the rows of embedding tables whose values forward() and backward() read for the current
  /// batch. Rows may be out of date between steps. The trainer brings up to date those listed here
  /// or by a loss; no other row may enter a result. (A product with 0 may read any row, because all
  /// rows hold finite numbers.)
  virtual std::vector<RowsRead> reads(const EpochPlan& plan) const = 0;
  /// Queues the forward pass of the current batch and adds its base loss to `loss`.
  virtual void forward(const EpochPlan& plan, LossSum loss, const Stream& stream) = 0;
  /// Queues the backward pass: gradients of the base loss, and of what losses added to
  /// gradients of representations outside the arena, accumulate in the arena.
  virtual void backward(const EpochPlan& plan, const Stream& stream) = 0;

  /// Returns views of the vectors that losses may read.
  virtual Representations representations() const = 0;

  /// Allocates memory for score_slots() and add_slot_gradients() on batches of at most `anchors`
  /// anchors with `slots` slots each. Call it while losses are made; the largest call counts.
  virtual void reserve_slots(int64_t anchors, int64_t slots) = 0;
  /// Scores the slots of the batch's anchors. Reads the rows that slot_batch_rows() lists, which a
  /// loss declares.
  /// @param score [batch.anchors.capacity, slots] overwritten as by slot_scores_forward(), which
  ///   also writes batch.position
  virtual void score_slots(Matrix<float> score, const SlotBatch& batch, Entity anchor,
                           const Stream& stream) = 0;
  /// Accumulates in the arena the gradients of a loss on these scores. Call it right after
  /// score_slots() for the same batch.
  /// @param grad_score [batch.anchors.capacity, slots] gradient of the loss by `score`
  virtual void add_slot_gradients(Matrix<const float> grad_score, const SlotBatch& batch,
                                  const SlotIndex& index, Entity anchor, const Stream& stream) = 0;

  /// Lists the matrices of a model file.
  virtual std::vector<NamedMatrix> tensors() const = 0;

  /// Makes a scorer of the present parameters, valid until they change. Reads whole tables: between
  /// epochs only, when all rows are up to date.
  virtual Scorer& scorer(const Stream& stream) = 0;
};

}  // namespace derrd
