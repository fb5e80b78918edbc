#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/evaluate/leave_one_out.h"
#include "kernels/models/neumf_pairs.h"
#include "kernels/platform/device.h"
#include "kernels/platform/memory.h"
#include "kernels/platform/views.h"

namespace derrd {

/// The vectors that a frozen model makes of a user and an item together.
class JointVectors {
 public:
  virtual ~JointVectors() = default;

  /// Returns the length of a joint vector: product_dim() columns of the product of the user's and
  /// the item's vector, then the perceptron's output.
  virtual int64_t joint_dim() const = 0;
  virtual int64_t product_dim() const = 0;
  /// Allocates what joint_vectors() needs for at most `pairs` pairs.
  virtual void reserve_pairs(int64_t pairs) = 0;
  /// Computes the joint vectors of pairs. Neither allocates nor waits.
  /// @param joint [N, joint_dim()], overwritten; 0 for inactive pairs
  virtual void joint_vectors(Matrix<float> joint, PairRows pairs, const Stream& stream) const = 0;
};

/// Tables [rows, *] in device memory. A vector is its rows of all tables side by side. A view.
using EmbeddingTables = std::vector<Matrix<const float>>;

/// A frozen model that scores items for users: what evaluation, recommendation and the teacher's
/// rankings need of a model.
class Scorer {
 public:
  virtual ~Scorer() = default;

  virtual int64_t users() const = 0;
  virtual int64_t items() const = 0;

  /// Computes scores[r, i], the score of item i for user first_user + r. Intermediate results take
  /// a bounded amount of memory, which the scorer keeps.
  /// @param scores [n, I], overwritten.
  virtual void score_users(Matrix<float> scores, int64_t first_user, const Stream& stream) = 0;

  /// Computes scores[r, j], the score of item item[r, j] for user first_user + r.
  /// @param scores [n, S], overwritten; 0 where the item is -1.
  /// @param item [n, S]
  virtual void score_items(Matrix<float> scores, Matrix<const int32_t> item, int64_t first_user,
                           const Stream& stream) = 0;

  /// Ranks the turn's held-out items of every user.
  virtual void leave_one_out(LeaveOneOutRanks ranks, const HeldOutItems& items,
                             const Stream& stream) = 0;

  /// Makes a scorer whose users are this one's items and whose items are its users, with equal
  /// scores. It refers to this one's memory.
  virtual std::unique_ptr<Scorer> transposed(const Stream& stream) const = 0;

  /// Returns all tables of users [U, *], or of items [I, *].
  virtual EmbeddingTables user_tables() const = 0;
  virtual EmbeddingTables item_tables() const = 0;

  /// Returns the model's joint vectors, which the scorer owns; null if it has none.
  virtual JointVectors* joint() { return nullptr; }
};

/// Scores by inner products: matrix factorisation, whoever trained it.
class InnerProductScorer final : public Scorer {
 public:
  /// @param user [U, D], @param item [I, D]; both must outlive the scorer.
  InnerProductScorer(Matrix<const float> user, Matrix<const float> item)
      : user_(user), item_(item) {}
  /// Takes copies of vectors on the host.
  /// @param user [U, dim], @param item [I, dim]
  InnerProductScorer(std::span<const float> user, std::span<const float> item, int64_t dim,
                     const Stream& stream);

  int64_t users() const override { return user_.rows; }
  int64_t items() const override { return item_.rows; }
  void score_users(Matrix<float> scores, int64_t first_user, const Stream& stream) override;
  void score_items(Matrix<float> scores, Matrix<const int32_t> item, int64_t first_user,
                   const Stream& stream) override;
  void leave_one_out(LeaveOneOutRanks ranks, const HeldOutItems& items,
                     const Stream& stream) override;
  std::unique_ptr<Scorer> transposed(const Stream& stream) const override;
  EmbeddingTables user_tables() const override { return {user_}; }
  EmbeddingTables item_tables() const override { return {item_}; }

 private:
  DeviceArray<float> own_user_, own_item_;  // empty where the vectors belong to somebody else
  Matrix<const float> user_, item_;
};

}  // namespace derrd
