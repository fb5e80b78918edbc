// Mixture of experts as products of the stacked matrices (the mathematics: experts.cu).
//
// Since sum_m s_m W2_m^T A_m = [S_1 .. S_E] W2, the whole mixture is products E H = 3300 wide, and
// no [N, E, T] intermediate exists.
//
// On a GPU there is one slice of the entities and one of the experts: the loops over slices run
// once, and a slice is the whole matrix. Read everything below in this way.
//
// On a CPU the passes go by slices, so that what runs between the products, a tile per pair (n, m),
// finds S, G and Z in a core's cache: each is N E H floats.
//   - forward: slices of entities in parallel, each by slices of experts in sequence. The piece
//     of S is made, used for R, and left behind for the backward pass.
//   - backward: slices of experts in parallel. G, Z and the gradients of the slice's own parameters
//     are made in one go. dL/dh is a sum over all experts: each slice makes a part [N, D], and the
//     parts are added up in the order of the slices.
// A matrix [N, E H] of the workspace lies slice after slice of experts, the block [N, e H] of each
// in one piece.
//
// Shapes: as in experts.cu. Mapping: a tile per pair; a block per strip of columns of dL/db1.
// Bytes: one slice 16 N E H forward, 32 backward; sliced 4 (S) and 8 (S, Z). The 6 N E H (D + T)
// flops of the products are the limit.
//
// Trap: inactive rows of S and Z are set to 0, for the products of the backward pass may sum over
// them.

#include "kernels/distill/experts_stacked.h"

#include "kernels/common/column_sums.h"
#include "kernels/common/rows.h"
#include "kernels/distill/expert_activation.h"
#include "kernels/platform/execution.h"
#include "kernels/platform/gemm.h"
#include "kernels/platform/slices.h"

namespace derrd {

namespace {

/// Consecutive entities (rows) by consecutive experts (H columns each).
struct PairSlice {
  Slice entities;
  Slice experts;
};

/// A tile's pair.
struct SlicedPair {
  int64_t row;     ///< row in the slice's matrices
  int64_t first;   ///< column of the expert's first hidden unit in them
  int64_t number;  ///< n * E + m
  float s;         ///< weight; 0 for an inactive entity
};
__device__ __forceinline__ SlicedPair sliced_pair(const PairSlice& slice, int64_t unit,
                                                  int64_t hidden, Matrix<const float> selection,
                                                  int64_t active) {
  const int64_t row = unit / slice.experts.size;
  const int64_t expert = unit % slice.experts.size;
  const int64_t n = slice.entities.begin + row;
  const int64_t number = n * selection.cols + slice.experts.begin + expert;
  return {row, expert * hidden, number, n < active ? selection.data[number] : 0.0f};
}

/// `weighted` [entities, experts * H] holds W1 h, then S; `bias1` belongs to the slice's experts.
__global__ void stacked_forward_kernel(Matrix<float> weighted, Matrix<const float> selection,
                                       Vector<const float> bias1, PairSlice slice,
                                       ActiveRows active_rows) {
  const WarpTile tile = warp_tile();
  const int64_t active = active_rows.of(selection.rows);
  const int64_t hidden = weighted.cols / slice.experts.size;
  for (const int64_t unit : units_of(tile, slice.entities.size * slice.experts.size)) {
    const SlicedPair pair = sliced_pair(slice, unit, hidden, selection, active);
    float* row = weighted.row(pair.row) + pair.first;
    if (pair.s == 0) {
      fill_row(tile, row, hidden, 0.0f);
    } else {
      activate_pair(tile, row, bias1.data + pair.first, pair.s, hidden);
    }
  }
}

/// `grad_hidden` [entities, experts * H] holds G, then Z; `grad_selection` holds Q b2^T.
__global__ void stacked_backward_kernel(Matrix<float> grad_hidden, Matrix<float> grad_selection,
                                        Matrix<const float> weighted, Matrix<const float> selection,
                                        PairSlice slice, ActiveRows active_rows) {
  const WarpTile tile = warp_tile();
  const int64_t active = active_rows.of(selection.rows);
  const int64_t hidden = weighted.cols / slice.experts.size;
  for (const int64_t unit : units_of(tile, slice.entities.size * slice.experts.size)) {
    const SlicedPair pair = sliced_pair(slice, unit, hidden, selection, active);
    float* row = grad_hidden.row(pair.row) + pair.first;
    float* grad_s = grad_selection.data + pair.number;
    if (pair.s == 0) {
      fill_row(tile, row, hidden, 0.0f);
      if (tile.thread_rank() == 0) *grad_s = 0;
    } else {
      const float dot =
          activate_pair_backward(tile, row, weighted.row(pair.row) + pair.first, pair.s, hidden);
      if (tile.thread_rank() == 0) *grad_s += dot;
    }
  }
}

__global__ void stacked_bias_kernel(Vector<float> grad_bias1, Matrix<const float> grad_hidden,
                                    ActiveRows active) {
  __shared__ ColumnPartials partials;
  for (const int64_t strip : units_of(cg::this_thread_block(), sum_strips(grad_hidden.cols))) {
    accumulate_column_sums(partials, grad_bias1, grad_hidden, {0, active.of(grad_hidden.rows)},
                           strip, [](int64_t) { return 1.0f; });
  }
}

/// out [N, D] = sum over i of rows i N .. (i + 1) N - 1 of `parts`, in this order.
__global__ void sum_parts_kernel(Matrix<float> out, Matrix<const float> parts, ActiveRows active) {
  const WarpTile tile = warp_tile();
  for (const int64_t n : units_of(tile, active.of(out.rows))) {
    for (int64_t k = tile.thread_rank(); k < out.cols; k += tile.size()) {
      float sum = 0;
      for (int64_t row = n; row < parts.rows; row += out.rows) sum += parts.row(row)[k];
      out.row(n)[k] = sum;
    }
  }
}

/// Sizes of a slice on the CPU. At H = 110 a core's L2 (2 MB) holds, forward, a piece of S and the
/// rows of W2 that it meets. Backward the blocks S and G of 1,024 entities overflow it, and yet
/// smaller slices lose: every product packs its operands anew. E = 30 makes an even number of
/// slices.
constexpr int64_t kEntitiesPerSlice = 512;
constexpr int64_t kExpertsPerSlice = 5;

/// The parameters, or gradients, of a slice of the experts.
template <class T>
ExpertArrays<T> arrays_of(const ExpertArrays<T>& arrays, Slice experts, int64_t hidden) {
  const int64_t begin = experts.begin * hidden;
  const int64_t units = experts.size * hidden;
  return {arrays.weight1.slice(begin, units), arrays.bias1.slice(begin, units),
          arrays.weight2.slice(begin, units), arrays.bias2.slice(experts.begin, experts.size)};
}
/// The block of a slice of the experts in a matrix [N, E H] of the workspace.
Matrix<float> block_of(Vector<float> hidden_units, Slice experts, const ExpertShape& s) {
  return {hidden_units.data + s.capacity * experts.begin * s.hidden, s.capacity,
          experts.size * s.hidden};
}

}  // namespace

void stacked_experts_forward(Matrix<float> reconstruction, const ExpertsCall& call,
                             const Stream& stream) {
  const ExpertShape& s = call.workspace.shape;
  const Slices entity_slices(s.capacity, kEntitiesPerSlice, call.active);
  const Slices expert_slices(s.experts, kExpertsPerSlice);
  for_each_slice(entity_slices, [&](int64_t i) {
    const Slice entities = entity_slices[i];
    const auto rows = [&](auto matrix) { return matrix.slice(entities.begin, entities.size); };
    const GemmOptions set = {.active = call.active, .first_row = entities.begin};
    const GemmOptions add = {.beta = 1.0f, .active = call.active, .first_row = entities.begin};
    gemm(rows(reconstruction), rows(call.selection), call.parameters.bias2, set, stream);
    for (int64_t j = 0; j < expert_slices.count(); ++j) {
      const Slice experts = expert_slices[j];
      const ExpertParameters p = arrays_of(call.parameters, experts, s.hidden);
      const Matrix<float> weighted = rows(block_of(call.workspace.weighted, experts, s));
      gemm(weighted, rows(call.student), transpose(p.weight1), set, stream);
      launch("experts_stacked_forward", tiles_for(entities.size * experts.size, s.hidden), stream,
             stacked_forward_kernel, weighted, call.selection, p.bias1,
             PairSlice{entities, experts}, call.active);
      gemm(rows(reconstruction), weighted, p.weight2, add, stream);
    }
  });
}

void stacked_experts_backward(const ExpertsGradients& gradients,
                              Matrix<const float> grad_reconstruction, const ExpertsCall& call,
                              const Stream& stream) {
  const ExpertShape& s = call.workspace.shape;
  const Slice entities = {0, s.capacity};
  const Slices expert_slices(s.experts, kExpertsPerSlice);
  const GemmOptions set = {.active = call.active};
  const GemmOptions add = {.beta = 1.0f, .active = call.active};
  // dL/dh of each slice; a single slice's is the whole.
  const bool whole = expert_slices.count() == 1;
  const Matrix<float> parts = whole ? gradients.student
                                    : Matrix<float>{call.workspace.pair_in.data,
                                                    expert_slices.count() * s.capacity, s.student};

  gemm(gradients.parameters.bias2, transpose(call.selection), grad_reconstruction, add, stream);
  gemm(gradients.selection, grad_reconstruction, transpose(call.parameters.bias2), set, stream);
  for_each_slice(expert_slices, [&](int64_t i) {
    const Slice experts = expert_slices[i];
    const ExpertParameters p = arrays_of(call.parameters, experts, s.hidden);
    const ExpertParameterGradients grad = arrays_of(gradients.parameters, experts, s.hidden);
    const Matrix<float> weighted = block_of(call.workspace.weighted, experts, s);
    const Matrix<float> grad_hidden = block_of(call.workspace.grad_hidden, experts, s);
    gemm(grad.weight2, transpose(weighted), grad_reconstruction, add, stream);
    gemm(grad_hidden, grad_reconstruction, transpose(p.weight2), set, stream);
    launch("experts_stacked_backward", tiles_for(s.capacity * experts.size, 2 * s.hidden), stream,
           stacked_backward_kernel, grad_hidden, gradients.selection, weighted, call.selection,
           PairSlice{entities, experts}, call.active);
    launch("experts_stacked_bias",
           blocks_for(sum_strips(grad_hidden.cols), s.capacity * kSumColumns), stream,
           stacked_bias_kernel, grad.bias1, grad_hidden, call.active);
    gemm(grad.weight1, transpose(grad_hidden), call.student, add, stream);
    gemm(parts.slice(i * s.capacity, s.capacity), grad_hidden, p.weight1, set, stream);
  });
  if (!whole) {
    launch("experts_sum_parts", tiles_for(s.capacity, expert_slices.count() * s.student), stream,
           sum_parts_kernel, gradients.student, parts, call.active);
  }
}

}  // namespace derrd
