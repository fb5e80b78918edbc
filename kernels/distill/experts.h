#pragma once

#include <cstdint>

#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Sizes of a mixture of experts and of the batches that pass through it.
struct ExpertShape {
  int64_t experts = 0;   ///< E
  int64_t student = 0;   ///< D, input
  int64_t hidden = 0;    ///< H
  int64_t teacher = 0;   ///< T, output
  int64_t capacity = 0;  ///< N, entities of a batch at most
};

/// The experts E_m(h) = W2_m^T relu(W1_m h + b1_m) + b2_m, stacked. T is float for gradients, const
/// float for parameters. A view.
template <class T>
struct ExpertArrays {
  Matrix<T> weight1;  ///< [E * H, D] row m * H + j: hidden unit j of expert m
  Vector<T> bias1;    ///< [E * H]
  Matrix<T> weight2;  ///< [E * H, T] row m * H + j: what that unit adds to the output
  Matrix<T> bias2;    ///< [E, T]
};
using ExpertParameters = ExpertArrays<const float>;
using ExpertGradients = ExpertArrays<float>;

/// How the same mixture is computed; the results differ by rounding alone.
enum class ExpertPath {
  kStacked,  ///< every expert for every entity, as a few large products: most weights matter
  kRouted,   ///< only the pairs (entity, expert) whose weight is not 0, gathered by expert
};

/// What a forward pass leaves for its backward pass, and scratch. One workspace serves any number
/// of mixtures whose passes do not overlap. It holds the case that no weight at all is 0, so either
/// path always fits. A view.
struct ExpertsWorkspace {
  ExpertShape shape;
  /// s A = s relu(W1 h + b1). Routed [pairs, H]; stacked [N, e * H] for each slice of e experts,
  /// one slice behind the other.
  Vector<float> weighted;
  Vector<float> grad_hidden;  ///< likewise
  /// [pairs, D] routed: h of the pair's entity, then its gradient; stacked: the slices' parts of
  /// grad_student.
  Vector<float> pair_in;
  Vector<float> pair_out;  ///< [pairs, T] routed: s A W2, then the entity's gradient
  /// Routed: the live pairs, by expert, entities ascending within.
  Vector<int32_t> offsets;      ///< [E + 1] expert m owns pairs offsets[m] .. offsets[m + 1)
  Vector<int32_t> pair_counts;  ///< [E]
  Vector<int32_t> pair_entity;  ///< [N * E]
  Vector<int32_t> pair_expert;  ///< [N * E]
  Vector<int32_t> pair_of;      ///< [E * N] (m, n) -> the pair, or -1
};

/// Elements of float and of int32 memory that a workspace for `shape` takes: with E = 30, D = 20,
/// H = 110, T = 200 and N = 1024 it is 54 MB.
int64_t experts_workspace_floats(const ExpertShape& shape);
int64_t experts_workspace_integers(const ExpertShape& shape);

/// Lays a workspace out in device memory of at least those sizes.
/// @throws std::invalid_argument if there is less.
ExpertsWorkspace make_experts_workspace(const ExpertShape& shape, Vector<float> floats,
                                        Vector<int32_t> integers);

/// R_n = sum over m of s_nm E_m(h_n) (DE-RRD, inside equations 6 and 7). A pair with s_nm = 0
/// contributes nothing on either path, even if its hidden layer overflows.
///
/// @param reconstruction R [N, T] overwritten; rows from *live_rows on hold no result
/// @param student h [N, D]; finite also from *live_rows on
/// @param selection s [N, E], none negative; 0 from *live_rows on (as gumbel_softmax_forward leaves
/// it)
/// @param live_rows device memory, the entities of the batch
/// @throws std::invalid_argument if the shapes do not fit.
void experts_forward(Matrix<float> reconstruction, Matrix<const float> student,
                     Matrix<const float> selection, const ExpertParameters& parameters,
                     const ExpertsWorkspace& workspace, ExpertPath path, const int32_t* live_rows,
                     const Stream& stream);

/// Gradients of the mixture. Same arguments, path and untouched workspace as in the forward pass.
///
/// @param grad_student [N, D] overwritten; rows from *live_rows on hold no result
/// @param grad_selection [N, E] overwritten; 0 where s is 0, and from *live_rows on
/// @param gradients of the parameters, accumulated
/// @param grad_reconstruction [N, T]; 0 from *live_rows on (as reconstruction_loss leaves it)
/// @throws std::invalid_argument if the shapes do not fit.
void experts_backward(Matrix<float> grad_student, Matrix<float> grad_selection,
                      const ExpertGradients& gradients, Matrix<const float> grad_reconstruction,
                      Matrix<const float> student, Matrix<const float> selection,
                      const ExpertParameters& parameters, const ExpertsWorkspace& workspace,
                      ExpertPath path, const int32_t* live_rows, const Stream& stream);

/// How many pairs (entity, expert) there were, and how many of them with a weight that is not 0.
struct PairCount {
  int64_t live = 0;
  int64_t all = 0;

  double live_part() const { return all == 0 ? 1.0 : static_cast<double>(live) / all; }
};

/// *count grows by the pairs of the entities before *live_rows.
///
/// @param count device memory, accumulated
/// @param selection s [N, E]
/// @param live_rows device memory
void count_pairs(PairCount* count, Matrix<const float> selection, const int32_t* live_rows,
                 const Stream& stream);

/// How far the reconstruction is from the teacher's vector.
enum class ReconstructionNorm {
  kSquared,    ///< sum of squares, the authors' convention
  kEuclidean,  ///< its root, as equation 7 prints it; its gradient at distance 0 is 0
};
struct ReconstructionOptions {
  ReconstructionNorm norm = ReconstructionNorm::kSquared;
  float loss_weight = 1.0f;     ///< of an entity, in the loss and in the gradient
  float gradient_scale = 1.0f;  ///< in the gradient alone: the lambda of the whole loss
};

/// loss_n = loss_weight * |t_n - R_n|^2, or |t_n - R_n|.
///
/// @param loss [N] overwritten; 0 from *live_rows on
/// @param grad_reconstruction [N, T] gradient_scale * dloss_n/dR_n, overwritten; 0 from *live_rows
/// on
/// @param reconstruction R [N, T], @param teacher t [N, T]; not read from *live_rows on
/// @throws std::invalid_argument if the shapes do not fit.
void reconstruction_loss(Vector<float> loss, Matrix<float> grad_reconstruction,
                         Matrix<const float> reconstruction, Matrix<const float> teacher,
                         ReconstructionOptions options, const int32_t* live_rows,
                         const Stream& stream);

}  // namespace derrd
