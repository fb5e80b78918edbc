#pragma once

#include <cstdint>

#include "kernels/distill/expert_pairs.h"
#include "kernels/platform/call_list.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Sizes of a mixture of experts and of the batches that pass through it.
struct ExpertShape {
  int64_t experts = 0;   ///< E
  int64_t student = 0;   ///< D, input
  int64_t hidden = 0;    ///< H
  int64_t teacher = 0;   ///< T, output
  int64_t capacity = 0;  ///< N, entities of the largest batch
};

/// Arrays of the experts E_m(h) = W2_m^T relu(W1_m h + b1_m) + b2_m, stacked. T is float for
/// gradients, const float for parameters. A view.
template <class T>
struct ExpertArrays {
  Matrix<T> weight1;  ///< [E * H, D] row m * H + j: hidden unit j of expert m
  Vector<T> bias1;    ///< [E * H]
  Matrix<T> weight2;  ///< [E * H, T] row m * H + j: what that unit adds to the output
  Matrix<T> bias2;    ///< [E, T]
};
using ExpertParameters = ExpertArrays<const float>;
using ExpertParameterGradients = ExpertArrays<float>;

/// Two ways to compute a mixture; the results differ by rounding alone.
enum class ExpertPath {
  kStacked,  ///< every expert for every entity, as a few large products: most pairs are active
  kRouted,   ///< only the active pairs (entity, expert), gathered by expert
};

/// Memory in which a forward pass leaves what its backward pass needs, and scratch. One workspace
/// serves any number of mixtures whose passes do not overlap, on either path. A view.
struct ExpertsWorkspace {
  ExpertShape shape;
  /// S = s relu(W1 h + b1). Routed [pairs, H]; stacked [N, E * H] (in experts_stacked.cu's order).
  Vector<float> weighted;
  Vector<float> grad_hidden;  ///< gradient before the activation, laid out as `weighted`
  /// Routed [pairs, D]: h of the pair's entity, then its gradient. Stacked: the slices' parts of
  /// the student's gradient.
  Vector<float> pair_in;
  Vector<float> pair_out;  ///< routed [pairs, T]: S W2, then the reconstruction's gradient
  ExpertPairs pairs;       ///< routed: the active pairs
};

/// Numbers of floats and of 32-bit integers in a workspace for `shape`. E = 30, D = 20, H = 110,
/// T = 200 and N = 1024 need 54 MB.
int64_t experts_workspace_floats(const ExpertShape& shape);
int64_t experts_workspace_integers(const ExpertShape& shape);

/// Lays out the workspaces of passes that run together. Each array of a pass lies behind the one of
/// the pass before, so that passes through one mixture are parts of the same products.
/// @param floats [>= the sum of experts_workspace_floats(shape)]
/// @param integers [>= the sum of experts_workspace_integers(shape)]
/// @throws std::invalid_argument if there is less.
CallList<ExpertsWorkspace> make_experts_workspaces(const CallList<ExpertShape>& shapes,
                                                   Vector<float> floats, Vector<int32_t> integers);

/// One pass of a mixture: the same value for forward and backward. A view.
struct ExpertsCall {
  Matrix<const float> student;    ///< h [N, D]
  Matrix<const float> selection;  ///< s [N, E], none negative; cleared (gumbel_softmax_forward)
  ExpertParameters parameters;
  ExpertsWorkspace workspace;  ///< to be left alone between forward and backward pass
  ExpertPath path = ExpertPath::kStacked;
  ActiveRows active = {};  ///< entities of the batch
};

/// Results of a mixture's backward pass. A view.
struct ExpertsGradients {
  Matrix<float> student;                ///< [N, D] overwritten
  Matrix<float> selection;              ///< [N, E] overwritten, cleared; 0 where s is 0
  ExpertParameterGradients parameters;  ///< accumulated
};

/// Forward pass of a mixture. A view.
struct ExpertsForward {
  Matrix<float> reconstruction;  ///< R [N, T] overwritten
  ExpertsCall call;
};

/// Backward pass of a mixture. A view.
struct ExpertsBackward {
  ExpertsGradients gradients;
  Matrix<const float> grad_reconstruction;  ///< [N, T]; cleared (reconstruction_loss)
  ExpertsCall call;
};

/// Mixture of experts of Distillation Experts (DE-RRD, inside equations 6 and 7):
///   R_n = sum over m of s_nm E_m(h_n).
/// A pair with s_nm = 0 contributes nothing on either path, even if its hidden layer overflows.
/// A step, up to the gradients:
///
///   const ExpertsCall call = {.student = h,
///                             .selection = s,
///                             .parameters = parameters,
///                             .workspace = make_experts_workspaces(shape, floats, integers)[0],
///                             .path = ExpertPath::kRouted,
///                             .active = rows.active()};
///   experts_forward(ExpertsForward{reconstruction, call}, stream);
///   reconstruction_loss(ReconstructionCall{.loss = loss, .grad_reconstruction = q,
///                                          .reconstruction = reconstruction, .teacher = t,
///                                          .active = call.active},
///                       stream);
///   experts_backward(ExpertsBackward{{.student = grad_h, .selection = grad_s,
///                                     .parameters = gradients}, q, call}, stream);
///
/// @param calls take the same path
/// @throws std::invalid_argument if the shapes do not fit.
void experts_forward(const CallList<ExpertsForward>& calls, const Stream& stream);

/// Gradients of the mixture, from what the calls' forward passes left in the workspaces.
/// @param calls take the same path; those that share parameters are adjacent
/// @throws std::invalid_argument if the shapes do not fit.
void experts_backward(const CallList<ExpertsBackward>& calls, const Stream& stream);

}  // namespace derrd
