#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/models/model_memory.h"
#include "engine/models/perceptron.h"
#include "engine/models/scorer.h"
#include "kernels/models/neumf_frozen_scores.h"
#include "kernels/models/neumf_joint.h"
#include "kernels/models/neumf_pairs.h"
#include "kernels/platform/memory.h"
#include "kernels/platform/views.h"

namespace derrd {

/// NeuMF's matrices for users, or for items. Views.
struct NeumfSide {
  Matrix<const float> gmf;     ///< [rows, D] vectors of the matrix factorisation
  Matrix<const float> mlp;     ///< [rows, D] vectors that the perceptron reads
  Matrix<const float> weight;  ///< [H, D] the first hidden layer's half for them
};

/// The matrices of a NeuMF, wherever they lie. Views.
struct NeumfTensors {
  NeumfSide user, item;
  Vector<const float> first_bias;     ///< [H] of the first hidden layer
  std::vector<HiddenLayer> layers;    ///< the hidden layers behind the first
  Vector<const float> output_weight;  ///< [D + width of the last hidden layer]
  Vector<const float> output_bias;    ///< [1]

  int64_t dim() const { return user.gmf.cols; }
  std::vector<int64_t> widths() const {
    return hidden_widths(dim(), 1 + static_cast<int64_t>(layers.size()));
  }
};

/// Scorer of a NeuMF. update() computes once what the scores need of each row. With one hidden
/// layer all pairs are scored from that directly; with more layers, a limited number of pairs at a
/// time goes through the layers.
class NeumfScorer final : public Scorer, public JointVectors {
 public:
  /// Refers to tensors. Call update() before scoring.
  /// @param tensors must outlive the scorer
  explicit NeumfScorer(NeumfTensors tensors);
  /// Takes over the memory of the tensors. Call update() before scoring.
  NeumfScorer(NeumfTensors tensors, std::vector<DeviceArray<float>> memory);

  /// Sets the scorer's parts of a model's memory.
  static void add_memory(ModelMemory& memory, const ModelSizes& sizes, int64_t candidates);

  /// Recomputes what depends on the tensors. Call it whenever their values have changed.
  void update(const Stream& stream);

  int64_t users() const override { return tensors_.user.gmf.rows; }
  int64_t items() const override { return tensors_.item.gmf.rows; }
  void score_users(Matrix<float> scores, int64_t first_user, const Stream& stream) override;
  void score_items(Matrix<float> scores, Matrix<const int32_t> item, int64_t first_user,
                   const Stream& stream) override;
  void leave_one_out(LeaveOneOutRanks ranks, const HeldOutItems& items,
                     const Stream& stream) override;
  std::unique_ptr<Scorer> transposed(const Stream& stream) const override;
  EmbeddingTables user_tables() const override { return {tensors_.user.gmf, tensors_.user.mlp}; }
  EmbeddingTables item_tables() const override { return {tensors_.item.gmf, tensors_.item.mlp}; }

  JointVectors* joint() override { return this; }

  int64_t joint_dim() const override { return tensors_.output_weight.size; }
  int64_t product_dim() const override { return tensors_.dim(); }
  void reserve_pairs(int64_t pairs) override;
  void joint_vectors(Matrix<float> joint, PairRows pairs, const Stream& stream) const override;

 private:
  /// Views what scoring needs of `count` users from first_user on.
  PairScorer pair_scorer(int64_t first_user, int64_t count) const;
  /// Makes the further arrays that score_users() reads, once after each update().
  void pack(const Stream& stream);
  /// Puts pairs through the hidden layers; the call that makes joint vectors and scores of them.
  NeumfJointCall through_layers(const HiddenRows& hidden, int64_t n, const PairRows& pairs,
                                const Stream& stream) const;
  /// Scores users from first_user on through all layers, with their `listed` items or with all.
  void score_by_layers(Matrix<float> scores, Vector<const int32_t> listed, int64_t first_user,
                       const Stream& stream);

  NeumfTensors tensors_;
  std::vector<DeviceArray<float>> memory_;  // of the tensors, if it is this object's
  std::vector<int64_t> widths_;
  DeviceArray<float> user_product_, user_part_, item_part_;  // PairScorer's
  DeviceArray<float> user_weight_;                           // [U]
  HiddenRows hidden_;
  DeviceArray<float> packed_;  // made by pack()
  bool is_packed_ = false;
  // Pairs that go through the layers together, as many as were needed so far.
  HiddenRows layer_rows_;
  DeviceArray<float> layer_joint_;
  DeviceArray<int32_t> layer_users_, layer_items_;
  // Held-out items and candidates of some users, likewise.
  DeviceArray<int32_t> ranked_items_;
  DeviceArray<float> ranked_scores_;
};

}  // namespace derrd
