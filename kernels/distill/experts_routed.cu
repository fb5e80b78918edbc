// Mixture of experts over the active pairs alone (the mathematics: experts.cu).
//
// As tau falls nearly every s underflows to 0, and a pair (n, m) with s_nm = 0 contributes exactly
// nothing, forward or backward. The active pairs are listed by expert (expert_pairs.cu), their rows
// gathered, the products run per expert on its n_m rows, and each entity adds its pairs up in the
// order of the experts. Work falls from N E pairs to P: 1.3 N instead of 30 N late in training.
//
//   forward    h_p,  W1 h_p -> S_p,  W2^T S_p -> out_p    R_n = sum over n's pairs of out_p + s b2
//   backward   Q_p,  W2 Q_p -> Z_p,  W1^T Z_p -> in_p     dL/dh_n = sum over n's pairs of in_p
//
// Shapes: P pairs of N entities and E experts; h and in [P, D], S and Z [P, H], Q and out [P, T].
// Mapping: a tile per pair (gathering, activation), per entity (sums over its pairs), and a block
// per strip of an expert's columns (biases, column_sums.h).
// Bytes: 12 (D + T) P gathered and summed, beside the 6 P H (D + T) flops of the products, which
// are the limit. So a routed pair costs about a fifth more than a stacked one.
//
// Trap: launches are sized for N E pairs, since only the device knows P.

#include "kernels/distill/experts_routed.h"

#include "kernels/common/column_sums.h"
#include "kernels/common/rows.h"
#include "kernels/distill/expert_activation.h"
#include "kernels/platform/execution.h"
#include "kernels/platform/gemm.h"

namespace derrd {

namespace {

/// Number of active pairs.
__device__ __forceinline__ int64_t size_of(const ExpertPairs& pairs) {
  return pairs.offsets[pairs.counts.size];
}

/// out[p] = rows[entity of p].
__global__ void gather_pairs_kernel(Matrix<float> out, Matrix<const float> rows,
                                    ExpertPairs pairs) {
  const WarpTile tile = warp_tile();
  for (const int64_t p : units_of(tile, size_of(pairs))) {
    copy_row(tile, out.row(p), rows.row(pairs.entity[p]), out.cols);
  }
}

__global__ void routed_forward_kernel(Matrix<float> weighted, Matrix<const float> selection,
                                      Vector<const float> bias1, ExpertPairs pairs) {
  const WarpTile tile = warp_tile();
  for (const int64_t p : units_of(tile, size_of(pairs))) {
    const int64_t m = pairs.expert[p];
    const float s = selection.row(pairs.entity[p])[m];
    activate_pair(tile, weighted.row(p), bias1.data + m * weighted.cols, s, weighted.cols);
  }
}

/// R_n = sum over its pairs, by expert, of pair_out[p] + s b2_m.
__global__ void combine_pairs_kernel(Matrix<float> reconstruction, Matrix<const float> pair_out,
                                     Matrix<const float> selection, Matrix<const float> bias2,
                                     ExpertPairs pairs, ActiveRows active) {
  const WarpTile tile = warp_tile();
  const int64_t entities = active.of(reconstruction.rows);
  for (const int64_t n : units_of(tile, reconstruction.rows)) {
    float* __restrict__ sum = reconstruction.row(n);
    fill_row(tile, sum, reconstruction.cols, 0.0f);
    if (n >= entities) continue;
    for (int64_t m = 0; m < selection.cols; ++m) {
      const int64_t p = pairs.of.row(m)[n];
      if (p < 0) continue;
      const float s = selection.row(n)[m];
      const float* __restrict__ out = pair_out.row(p);
      const float* __restrict__ bias = bias2.row(m);
      for (int64_t k = tile.thread_rank(); k < reconstruction.cols; k += tile.size()) {
        sum[k] += out[k] + s * bias[k];
      }
    }
  }
}

/// Memory of the workspace as matrices of one row per pair.
struct PairMatrices {
  int64_t capacity;  ///< largest number of pairs
  Matrix<float> weighted, grad_hidden, in, out;
};

/// G becomes Z in `of_pairs`, whose `out` holds the pairs' Q. Writes the entries of grad_selection
/// at active pairs.
__global__ void routed_backward_kernel(PairMatrices of_pairs, Matrix<float> grad_selection,
                                       Matrix<const float> selection, Matrix<const float> bias2,
                                       ExpertPairs pairs) {
  const WarpTile tile = warp_tile();
  for (const int64_t p : units_of(tile, size_of(pairs))) {
    const int64_t n = pairs.entity[p];
    const int64_t m = pairs.expert[p];
    float dot = activate_pair_backward(tile, of_pairs.grad_hidden.row(p), of_pairs.weighted.row(p),
                                       selection.row(n)[m], of_pairs.weighted.cols);
    const float* __restrict__ q = of_pairs.out.row(p);
    const float* __restrict__ bias = bias2.row(m);
    float bias_dot = 0;
    for (int64_t k = tile.thread_rank(); k < bias2.cols; k += tile.size()) {
      bias_dot += q[k] * bias[k];
    }
    dot += cg::reduce(tile, bias_dot, cg::plus<float>());
    if (tile.thread_rank() == 0) grad_selection.row(n)[m] = dot;
  }
}

__global__ void routed_bias_kernel(Vector<float> grad_bias1, Matrix<float> grad_bias2,
                                   Matrix<const float> grad_hidden, Matrix<const float> pair_out,
                                   Matrix<const float> selection, ExpertPairs pairs) {
  __shared__ ColumnPartials partials;
  const int64_t strips1 = sum_strips(grad_hidden.cols);
  const int64_t strips = strips1 + sum_strips(pair_out.cols);
  for (const int64_t unit : units_of(cg::this_thread_block(), selection.cols * strips)) {
    const int64_t m = unit / strips;
    const int64_t strip = unit % strips;
    const RowRange rows = {pairs.offsets[m], pairs.offsets[m + 1]};
    if (strip < strips1) {
      accumulate_column_sums(partials, grad_bias1.slice(m * grad_hidden.cols, grad_hidden.cols),
                             grad_hidden, rows, strip, [](int64_t) { return 1.0f; });
    } else {
      accumulate_column_sums(partials, {grad_bias2.row(m), grad_bias2.cols}, pair_out, rows,
                             strip - strips1,
                             [&](int64_t p) { return selection.row(pairs.entity[p])[m]; });
    }
  }
}

/// grad_h_n = sum over its pairs, by expert, of pair_in[p]. Clears grad_selection at other pairs.
__global__ void combine_pairs_backward_kernel(Matrix<float> grad_student,
                                              Matrix<float> grad_selection,
                                              Matrix<const float> pair_in, ExpertPairs pairs,
                                              ActiveRows active) {
  const WarpTile tile = warp_tile();
  const int64_t entities = active.of(grad_student.rows);
  const int64_t experts = grad_selection.cols;
  for (const int64_t n : units_of(tile, grad_student.rows)) {
    float* __restrict__ sum = grad_student.row(n);
    fill_row(tile, sum, grad_student.cols, 0.0f);
    if (n >= entities) {
      fill_row(tile, grad_selection.row(n), experts, 0.0f);
      continue;
    }
    for (int64_t m = tile.thread_rank(); m < experts; m += tile.size()) {
      if (pairs.of.row(m)[n] < 0) grad_selection.row(n)[m] = 0;
    }
    for (int64_t m = 0; m < experts; ++m) {
      const int64_t p = pairs.of.row(m)[n];
      if (p < 0) continue;
      const float* __restrict__ part = pair_in.row(p);
      for (int64_t k = tile.thread_rank(); k < grad_student.cols; k += tile.size()) {
        sum[k] += part[k];
      }
    }
  }
}

PairMatrices pair_matrices(const ExpertsWorkspace& w) {
  const ExpertShape& s = w.shape;
  const int64_t pairs = s.capacity * s.experts;
  return {pairs,
          {w.weighted.data, pairs, s.hidden},
          {w.grad_hidden.data, pairs, s.hidden},
          {w.pair_in.data, pairs, s.student},
          {w.pair_out.data, pairs, s.teacher}};
}

}  // namespace

void routed_experts_forward(Matrix<float> reconstruction, const ExpertsCall& call,
                            const Stream& stream) {
  const ExpertShape& s = call.workspace.shape;
  const ExpertPairs& pairs = call.workspace.pairs;
  const ExpertParameters& parameters = call.parameters;
  const PairMatrices of_pairs = pair_matrices(call.workspace);

  list_pairs(pairs, call.selection, call.active, stream);
  launch("experts_gather_pairs", tiles_for(of_pairs.capacity, s.student), stream,
         gather_pairs_kernel, of_pairs.in, call.student, pairs);
  grouped_gemm(of_pairs.weighted, of_pairs.in, transpose(parameters.weight1), pairs.offsets, 0.0f,
               stream);
  launch("experts_routed_forward", tiles_for(of_pairs.capacity, s.hidden), stream,
         routed_forward_kernel, of_pairs.weighted, call.selection, parameters.bias1, pairs);
  grouped_gemm(of_pairs.out, of_pairs.weighted, parameters.weight2, pairs.offsets, 0.0f, stream);
  launch("experts_combine_pairs", tiles_for(s.capacity, 2 * s.teacher), stream,
         combine_pairs_kernel, reconstruction, of_pairs.out, call.selection, parameters.bias2,
         pairs, call.active);
}

void routed_experts_backward(const ExpertsGradients& gradients,
                             Matrix<const float> grad_reconstruction, const ExpertsCall& call,
                             const Stream& stream) {
  const ExpertShape& s = call.workspace.shape;
  const ExpertPairs& pairs = call.workspace.pairs;
  const ExpertParameters& parameters = call.parameters;
  const ExpertParameterGradients& grad = gradients.parameters;
  const PairMatrices of_pairs = pair_matrices(call.workspace);
  const auto& [capacity, weighted, grad_hidden, in, out] = of_pairs;

  launch("experts_gather_pairs", tiles_for(capacity, s.teacher), stream, gather_pairs_kernel, out,
         grad_reconstruction, pairs);
  grouped_gemm_accumulate(grad.weight2, weighted, out, pairs.offsets, stream);
  grouped_gemm(grad_hidden, out, transpose(parameters.weight2), pairs.offsets, 0.0f, stream);
  launch("experts_routed_backward", tiles_for(capacity, s.hidden + s.teacher), stream,
         routed_backward_kernel, of_pairs, gradients.selection, call.selection, parameters.bias2,
         pairs);
  launch("experts_routed_bias",
         blocks_for(s.experts * (sum_strips(s.hidden) + sum_strips(s.teacher)),
                    (s.capacity / s.experts + 1) * kSumColumns),
         stream, routed_bias_kernel, grad.bias1, grad.bias2, grad_hidden, out, call.selection,
         pairs);
  grouped_gemm_accumulate(grad.weight1, grad_hidden, in, pairs.offsets, stream);
  grouped_gemm(in, grad_hidden, parameters.weight1, pairs.offsets, 0.0f, stream);
  launch("experts_combine_pairs_backward", tiles_for(s.capacity, s.student + s.experts), stream,
         combine_pairs_backward_kernel, gradients.student, gradients.selection, in, pairs,
         call.active);
}

}  // namespace derrd
