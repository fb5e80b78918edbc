#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/models/scorer.h"
#include "engine/training/epoch_plan.h"
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

/// Whose rows the slots of a ranking loss belong to.
enum class Anchor {
  kUser,  ///< slots hold items
  kItem,  ///< slots hold users
};

/// A matrix of a model file.
struct NamedMatrix {
  std::string name;
  Matrix<const float> value;
};

/// A recommender as forward and backward over its slice of the arena. A training step is forward(),
/// then every loss, then backward(), then the optimizer. Within it nothing allocates or waits.
class Model {
 public:
  virtual ~Model() = default;

  /// "bpr", as in a model file's metadata.
  virtual std::string_view kind() const = 0;

  /// Queues the forward pass of the current batch: *loss grows by its base loss.
  virtual void forward(const EpochPlan& plan, double* loss, const Stream& stream) = 0;
  /// Queues the backward pass: gradients of the base loss, and of what losses added to
  /// gradients of representations outside the arena, accumulate in the arena.
  virtual void backward(const EpochPlan& plan, const Stream& stream) = 0;

  virtual Representations representations() const = 0;

  /// Allocates what the next two need for batches of so many anchors and slots; the largest counts.
  /// While losses are made.
  virtual void reserve_slots(int64_t anchors, int64_t slots) = 0;
  /// Scores the slots of the batch's anchors, as slot_scores_forward leaves them.
  virtual void score_slots(Matrix<float> score, const SlotBatch& batch, Anchor anchor,
                           const Stream& stream) = 0;
  /// The gradients of those scores' loss, accumulated in the arena. Right after score_slots() of
  /// the same batch.
  virtual void add_slot_gradients(Matrix<const float> grad_score, const SlotBatch& batch,
                                  const SlotIndex& index, Anchor anchor, const Stream& stream) = 0;

  /// What a model file holds.
  virtual std::vector<NamedMatrix> tensors() const = 0;

  /// The model as it scores, brought up to date with its parameters; valid until they change. Of
  /// updates that rows still wait for it knows nothing (Parameters::catch_up_all).
  virtual const Scorer& scorer(const Stream& stream) = 0;
};

}  // namespace derrd
