// Mixture of experts of Distillation Experts (DE-RRD, equations 4, 6 and 7) and its reconstruction
// loss, on two exact paths.
//
//   forward    A_m = relu(W1_m h + b1_m)   S_m = s_m A_m   R = sum_m (W2_m^T S_m + s_m b2_m)
//              L = |t - R|^2
//   backward   Q = dL/dR = 2 (R - t)       G_m = W2_m Q    Z_m = s_m G_m where S_m > 0, else 0
//              dL/ds_m = A_m . G_m + b2_m . Q = (S_m . G_m) / s_m + b2_m . Q
//              dL/dW2_m += S_m Q^T         dL/db2_m += s_m Q
//              dL/dW1_m += Z_m h^T         dL/db1_m += Z_m        dL/dh = sum_m W1_m^T Z_m
//
// Shapes: h [N, D], s [N, E], R and t [N, T]; W1 [E H, D], b1 [E H], W2 [E H, T], b2 [E, T].
//
// Only S is kept, not A: all but dL/ds ask for S, and with s > 0 the two have the same sign. A
// product s A below 1.2e-38 may count as 0 (subnormal); what is lost so in dL/ds the softmax
// multiplies by that s, and what the mask S > 0 drops of Z is s G.
//
// Stacked: since sum_m s_m W2_m^T A_m = [S_1 .. S_E] W2, the whole mixture is products with the
// stacked matrices, E H = 3300 wide, and no [N, E, T] intermediate exists. Their 6 N E H (D + T)
// flops are the limit, if what runs between them, a tile per pair (n, m), finds S, G and Z in the
// cache: each is N E H floats. So on the CPU both passes go by slices.
//   - forward: slices of entities in parallel, each by slices of experts in sequence. The piece
//     of S is made, used for R, and left behind for the backward pass.
//   - backward: slices of experts in parallel. G, Z and the gradients of the slice's own parameters
//     in one go; of dL/dh, a sum over all experts, each slice has a part [N, D], added up in the
//     end in the order of the slices.
// A matrix [N, E H] of the workspace lies slice after slice of experts, the block [N, e H] of each
// in one piece. From memory come and go 4 N E H bytes forward (S) and 8 backward (S, Z). On the GPU
// one slice is all: 16 N E H forward, 32 backward.
//
// Routed: as tau falls nearly every s underflows to 0, and a pair (n, m) with s_nm = 0 contributes
// exactly nothing, forward or backward. The live pairs are listed by expert (a tile per expert
// scans the entities: counts, then positions; no sort, no atomics), their rows gathered, the
// products run per expert on its n_m rows, and each entity adds up its pairs in the order of the
// experts. Work falls from N E to the number of pairs: 1.3 N instead of 30 N late in training.
//
// Trap: 0 * infinity. Where s = 0 both paths write 0 without multiplying.

#include "kernels/distill/experts.h"

#include <stdexcept>
#include <string>

#include "kernels/common/column_sums.h"
#include "kernels/platform/execution.h"
#include "kernels/platform/gemm.h"
#include "kernels/platform/slices.h"

namespace derrd {

namespace {

__device__ __forceinline__ void zero_row(WarpTile tile, float* row, int64_t size) {
  for (int64_t k = tile.thread_rank(); k < size; k += tile.size()) row[k] = 0;
}

__device__ __forceinline__ void copy_row(WarpTile tile, float* __restrict__ to,
                                         const float* __restrict__ from, int64_t size) {
  for (int64_t k = tile.thread_rank(); k < size; k += tile.size()) to[k] = from[k];
}

// ---------------------------------------------------------------- one pair's hidden layer

/// In place: from W1 h to S = s relu(W1 h + b1).
__device__ __forceinline__ void activate_pair(WarpTile tile, float* __restrict__ weighted,
                                              const float* __restrict__ bias1, float s,
                                              int64_t hidden) {
  for (int64_t j = tile.thread_rank(); j < hidden; j += tile.size()) {
    const float z = weighted[j] + bias1[j];
    weighted[j] = z < 0 ? 0 : s * z;  // keeps NaN
  }
}

/// In place: from G to Z, s G where S > 0, else 0. Returns A . G = S . G / s.
__device__ __forceinline__ float activate_pair_backward(WarpTile tile, float* __restrict__ grad,
                                                        const float* __restrict__ weighted, float s,
                                                        int64_t hidden) {
  float dot = 0;
  for (int64_t j = tile.thread_rank(); j < hidden; j += tile.size()) {
    dot += weighted[j] * grad[j];
    grad[j] = weighted[j] > 0 ? s * grad[j] : 0;
  }
  return cg::reduce(tile, dot, cg::plus<float>()) / s;
}

// ---------------------------------------------------------------- stacked

/// What a stacked kernel works on: consecutive entities (rows) by consecutive experts (`hidden`
/// columns each).
struct PairSlice {
  Slice entities;
  Slice experts;
};

/// One tile's pair of a slice.
struct SlicedPair {
  int64_t row;     ///< in the slice's matrices
  int64_t first;   ///< column there of the expert's first hidden unit
  int64_t number;  ///< n * E + m
  float s;         ///< its weight; 0 beyond the live entities
};
__device__ __forceinline__ SlicedPair sliced_pair(const PairSlice& slice, int64_t unit,
                                                  int64_t hidden, Matrix<const float> selection,
                                                  const int32_t* live_rows) {
  const int64_t row = unit / slice.experts.size;
  const int64_t expert = unit % slice.experts.size;
  const int64_t n = slice.entities.begin + row;
  const int64_t number = n * selection.cols + slice.experts.begin + expert;
  return {row, expert * hidden, number, n < *live_rows ? selection.data[number] : 0.0f};
}

/// `weighted` [entities, experts * H] holds W1 h, then S; `bias1` is that of the slice's experts.
__global__ void stacked_forward_kernel(Matrix<float> weighted, Matrix<const float> selection,
                                       Vector<const float> bias1, PairSlice slice,
                                       const int32_t* live_rows) {
  const WarpTile tile = warp_tile();
  const int64_t hidden = weighted.cols / slice.experts.size;
  for (const int64_t unit : units_of(tile, slice.entities.size * slice.experts.size)) {
    const SlicedPair pair = sliced_pair(slice, unit, hidden, selection, live_rows);
    float* row = weighted.row(pair.row) + pair.first;
    if (pair.s == 0) {
      zero_row(tile, row, hidden);
    } else {
      activate_pair(tile, row, bias1.data + pair.first, pair.s, hidden);
    }
  }
}

/// `grad_hidden` [entities, experts * H] holds G, then Z; `grad_selection` holds Q b2^T.
__global__ void stacked_backward_kernel(Matrix<float> grad_hidden, Matrix<float> grad_selection,
                                        Matrix<const float> weighted, Matrix<const float> selection,
                                        PairSlice slice, const int32_t* live_rows) {
  const WarpTile tile = warp_tile();
  const int64_t hidden = weighted.cols / slice.experts.size;
  for (const int64_t unit : units_of(tile, slice.entities.size * slice.experts.size)) {
    const SlicedPair pair = sliced_pair(slice, unit, hidden, selection, live_rows);
    float* row = grad_hidden.row(pair.row) + pair.first;
    float* grad_s = grad_selection.data + pair.number;
    if (pair.s == 0) {
      zero_row(tile, row, hidden);
      if (tile.thread_rank() == 0) *grad_s = 0;
    } else {
      const float dot =
          activate_pair_backward(tile, row, weighted.row(pair.row) + pair.first, pair.s, hidden);
      if (tile.thread_rank() == 0) *grad_s += dot;
    }
  }
}

__global__ void stacked_bias_kernel(Vector<float> grad_bias1, Matrix<const float> grad_hidden,
                                    const int32_t* live_rows) {
  __shared__ ColumnPartials partials;
  for (const int64_t strip : units_of(cg::this_thread_block(), sum_strips(grad_hidden.cols))) {
    accumulate_column_sums(partials, grad_bias1.data, grad_hidden, 0, *live_rows, strip,
                           [](int64_t) { return 1.0f; });
  }
}

/// out [N, D] = sum over i of rows i N .. (i + 1) N - 1 of `parts`, in this order.
__global__ void sum_parts_kernel(Matrix<float> out, Matrix<const float> parts,
                                 const int32_t* live_rows) {
  const WarpTile tile = warp_tile();
  for (const int64_t n : units_of(tile, out.rows)) {
    if (n >= *live_rows) continue;
    for (int64_t k = tile.thread_rank(); k < out.cols; k += tile.size()) {
      float sum = 0;
      for (int64_t row = n; row < parts.rows; row += out.rows) sum += parts.row(row)[k];
      out.row(n)[k] = sum;
    }
  }
}

// ---------------------------------------------------------------- routed: the list of pairs

/// The live pairs, as the workspace lays them out.
struct PairList {
  Vector<int32_t> offsets, counts, entity, expert;
  Matrix<int32_t> of;
};

__global__ void count_by_expert_kernel(PairList pairs, Matrix<const float> selection,
                                       const int32_t* live_rows) {
  const WarpTile tile = warp_tile();
  const int64_t live = *live_rows;
  for (const int64_t m : units_of(tile, selection.cols)) {
    int32_t count = 0;
    for (int64_t n = tile.thread_rank(); n < live; n += tile.size()) {
      count += selection.data[n * selection.cols + m] != 0;
    }
    count = cg::reduce(tile, count, cg::plus<int32_t>());
    if (tile.thread_rank() == 0) pairs.counts[m] = count;
  }
}

__global__ void list_pairs_kernel(PairList pairs, Matrix<const float> selection,
                                  const int32_t* live_rows) {
  const WarpTile tile = warp_tile();
  const int64_t live = *live_rows;
  const int64_t experts = selection.cols;
  for (const int64_t m : units_of(tile, experts)) {
    int32_t begin = 0;
    for (int64_t e = tile.thread_rank(); e < m; e += tile.size()) begin += pairs.counts[e];
    begin = cg::reduce(tile, begin, cg::plus<int32_t>());
    if (tile.thread_rank() == 0) {
      pairs.offsets[m] = begin;
      if (m + 1 == experts) pairs.offsets[experts] = begin + pairs.counts[m];
    }
    int32_t next = begin;
    for (int64_t first = 0; first < live; first += tile.size()) {
      const int64_t n = first + tile.thread_rank();
      const int32_t lives = n < live && selection.data[n * experts + m] != 0;
      const int32_t behind = cg::inclusive_scan(tile, lives, cg::plus<int32_t>());
      const int32_t position = next + behind - lives;
      if (n < live) pairs.of.row(m)[n] = lives ? position : -1;
      if (lives) {
        pairs.entity[position] = static_cast<int32_t>(n);
        pairs.expert[position] = static_cast<int32_t>(m);
      }
      next += tile.shfl(behind, tile.size() - 1);
    }
  }
}

/// out[p] = rows[entity of p], for the live pairs.
__global__ void gather_pairs_kernel(Matrix<float> out, Matrix<const float> rows, PairList pairs) {
  const WarpTile tile = warp_tile();
  for (const int64_t p : units_of(tile, pairs.offsets[pairs.counts.size])) {
    copy_row(tile, out.row(p), rows.row(pairs.entity[p]), out.cols);
  }
}

// ---------------------------------------------------------------- routed

__global__ void routed_forward_kernel(Matrix<float> weighted, Matrix<const float> selection,
                                      Vector<const float> bias1, PairList pairs) {
  const WarpTile tile = warp_tile();
  for (const int64_t p : units_of(tile, pairs.offsets[pairs.counts.size])) {
    const int64_t m = pairs.expert[p];
    const float s = selection.row(pairs.entity[p])[m];
    activate_pair(tile, weighted.row(p), bias1.data + m * weighted.cols, s, weighted.cols);
  }
}

/// R_n = sum over its pairs, by expert, of pair_out[p] + s b2_m.
__global__ void combine_pairs_kernel(Matrix<float> reconstruction, Matrix<const float> pair_out,
                                     Matrix<const float> selection, Matrix<const float> bias2,
                                     PairList pairs, const int32_t* live_rows) {
  const WarpTile tile = warp_tile();
  for (const int64_t n : units_of(tile, reconstruction.rows)) {
    float* __restrict__ sum = reconstruction.row(n);
    zero_row(tile, sum, reconstruction.cols);
    if (n >= *live_rows) continue;
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

/// `pair_out` holds the pairs' Q. The entries of grad_selection at live pairs are written.
__global__ void routed_backward_kernel(Matrix<float> grad_hidden, Matrix<float> grad_selection,
                                       Matrix<const float> weighted, Matrix<const float> pair_out,
                                       Matrix<const float> selection, Matrix<const float> bias2,
                                       PairList pairs) {
  const WarpTile tile = warp_tile();
  for (const int64_t p : units_of(tile, pairs.offsets[pairs.counts.size])) {
    const int64_t n = pairs.entity[p];
    const int64_t m = pairs.expert[p];
    float dot = activate_pair_backward(tile, grad_hidden.row(p), weighted.row(p),
                                       selection.row(n)[m], weighted.cols);
    const float* __restrict__ q = pair_out.row(p);
    const float* __restrict__ bias = bias2.row(m);
    float bias_dot = 0;
    for (int64_t k = tile.thread_rank(); k < pair_out.cols; k += tile.size()) {
      bias_dot += q[k] * bias[k];
    }
    dot += cg::reduce(tile, bias_dot, cg::plus<float>());
    if (tile.thread_rank() == 0) grad_selection.row(n)[m] = dot;
  }
}

__global__ void routed_bias_kernel(Vector<float> grad_bias1, Matrix<float> grad_bias2,
                                   Matrix<const float> grad_hidden, Matrix<const float> pair_out,
                                   Matrix<const float> selection, PairList pairs) {
  __shared__ ColumnPartials partials;
  const int64_t strips1 = sum_strips(grad_hidden.cols);
  const int64_t strips = strips1 + sum_strips(pair_out.cols);
  for (const int64_t unit : units_of(cg::this_thread_block(), selection.cols * strips)) {
    const int64_t m = unit / strips;
    const int64_t strip = unit % strips;
    const int64_t begin = pairs.offsets[m];
    const int64_t end = pairs.offsets[m + 1];
    if (strip < strips1) {
      accumulate_column_sums(partials, grad_bias1.data + m * grad_hidden.cols, grad_hidden, begin,
                             end, strip, [](int64_t) { return 1.0f; });
    } else {
      accumulate_column_sums(partials, grad_bias2.row(m), pair_out, begin, end, strip - strips1,
                             [&](int64_t p) { return selection.row(pairs.entity[p])[m]; });
    }
  }
}

/// grad_h_n = sum over its pairs, by expert, of pair_in[p]; 0 for the weights of the others.
__global__ void combine_pairs_backward_kernel(Matrix<float> grad_student,
                                              Matrix<float> grad_selection,
                                              Matrix<const float> pair_in, PairList pairs,
                                              const int32_t* live_rows) {
  const WarpTile tile = warp_tile();
  const int64_t experts = grad_selection.cols;
  for (const int64_t n : units_of(tile, grad_student.rows)) {
    float* __restrict__ sum = grad_student.row(n);
    zero_row(tile, sum, grad_student.cols);
    if (n >= *live_rows) {
      zero_row(tile, grad_selection.row(n), experts);
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

// ---------------------------------------------------------------- counting

/// A tile counts whole rows; the integers' sum does not depend on the order of the tiles.
__global__ void count_pairs_kernel(PairCount* count, Matrix<const float> selection,
                                   const int32_t* live_rows) {
  const WarpTile tile = warp_tile();
  const int64_t rows = *live_rows;
  int64_t live = 0;
  for (const int64_t n : units_of(tile, rows)) {
    const float* __restrict__ s = selection.row(n);
    for (int64_t m = tile.thread_rank(); m < selection.cols; m += tile.size()) live += s[m] != 0;
    if (n == 0 && tile.thread_rank() == 0) count->all += rows * selection.cols;
  }
  live = cg::reduce(tile, live, cg::plus<int64_t>());
  if (tile.thread_rank() == 0 && live != 0) atomic_add(count->live, live);
}

// ---------------------------------------------------------------- loss

__global__ void reconstruction_loss_kernel(Vector<float> loss, Matrix<float> grad_reconstruction,
                                           Matrix<const float> reconstruction,
                                           Matrix<const float> teacher,
                                           ReconstructionOptions options,
                                           const int32_t* live_rows) {
  const WarpTile tile = warp_tile();
  const int64_t width = reconstruction.cols;
  for (const int64_t n : units_of(tile, reconstruction.rows)) {
    float* __restrict__ grad = grad_reconstruction.row(n);
    if (n >= *live_rows) {
      zero_row(tile, grad, width);
      if (tile.thread_rank() == 0) loss[n] = 0;
      continue;
    }
    const float* __restrict__ r = reconstruction.row(n);
    const float* __restrict__ t = teacher.row(n);
    float squares = 0;
    for (int64_t k = tile.thread_rank(); k < width; k += tile.size()) {
      squares += (r[k] - t[k]) * (r[k] - t[k]);
    }
    squares = cg::reduce(tile, squares, cg::plus<float>());
    const bool squared = options.norm == ReconstructionNorm::kSquared;
    const float distance = squared ? squares : sqrtf(squares);
    const float slope = squared ? 2.0f : (distance == 0 ? 0.0f : 1.0f / distance);
    const float factor = options.gradient_scale * options.loss_weight * slope;
    for (int64_t k = tile.thread_rank(); k < width; k += tile.size()) {
      grad[k] = factor * (r[k] - t[k]);
    }
    if (tile.thread_rank() == 0) loss[n] = options.loss_weight * distance;
  }
}

// ---------------------------------------------------------------- launchers

void require(bool fits, const char* operation, const char* what, const ExpertShape& s) {
  if (fits) return;
  throw std::invalid_argument(
      std::string(operation) + ": " + what + " does not fit E = " + std::to_string(s.experts) +
      ", D = " + std::to_string(s.student) + ", H = " + std::to_string(s.hidden) +
      ", T = " + std::to_string(s.teacher) + ", capacity = " + std::to_string(s.capacity));
}

template <class T>
bool is(Matrix<T> m, int64_t rows, int64_t cols) {
  return m.rows == rows && m.cols == cols;
}

template <class T>
void check_arrays(const char* operation, const ExpertArrays<T>& arrays, const ExpertShape& s) {
  require(is(arrays.weight1, s.experts * s.hidden, s.student) &&
              arrays.bias1.size == s.experts * s.hidden &&
              is(arrays.weight2, s.experts * s.hidden, s.teacher) &&
              is(arrays.bias2, s.experts, s.teacher),
          operation, "a parameter or its gradient", s);
}

PairList pair_list(const ExpertsWorkspace& w) {
  return {w.offsets,
          w.pair_counts,
          w.pair_entity,
          w.pair_expert,
          {w.pair_of.data, w.shape.experts, w.shape.capacity}};
}

/// So that at H = 110 a core's L2 (2 MB) holds, forward, a piece of S and the rows of W2 that it
/// meets. Backward the blocks S and G of 1,024 entities overflow it, and yet smaller slices lose:
/// every product packs its operands anew. E = 30 makes an even number of slices.
constexpr int64_t kEntitiesPerSlice = 512;
constexpr int64_t kExpertsPerSlice = 5;

/// What belongs to a slice of the experts: its parameters or gradients, and its block of a matrix
/// [N, E H] of the workspace.
template <class T>
ExpertArrays<T> arrays_of(const ExpertArrays<T>& arrays, Slice experts, int64_t hidden) {
  const int64_t begin = experts.begin * hidden;
  const int64_t units = experts.size * hidden;
  return {arrays.weight1.slice(begin, units), arrays.bias1.slice(begin, units),
          arrays.weight2.slice(begin, units), arrays.bias2.slice(experts.begin, experts.size)};
}
Matrix<float> block_of(Vector<float> hidden_units, Slice experts, const ExpertShape& s) {
  return {hidden_units.data + s.capacity * experts.begin * s.hidden, s.capacity,
          experts.size * s.hidden};
}

void stacked_forward(Matrix<float> reconstruction, Matrix<const float> student,
                     Matrix<const float> selection, const ExpertParameters& parameters,
                     const ExpertsWorkspace& workspace, const int32_t* live_rows,
                     const Stream& stream) {
  const ExpertShape& s = workspace.shape;
  const Slices entity_slices(s.capacity, kEntitiesPerSlice, live_rows);
  const Slices expert_slices(s.experts, kExpertsPerSlice);
  for_each_slice(entity_slices, [&](int64_t i) {
    const Slice entities = entity_slices[i];
    const auto rows = [&](auto matrix) { return matrix.slice(entities.begin, entities.size); };
    const GemmOptions set = {.live_rows = live_rows, .first_row = entities.begin};
    const GemmOptions add = {.beta = 1.0f, .live_rows = live_rows, .first_row = entities.begin};
    gemm(rows(reconstruction), rows(selection), Transpose::kNo, parameters.bias2, Transpose::kNo,
         set, stream);
    for (int64_t j = 0; j < expert_slices.count(); ++j) {
      const Slice experts = expert_slices[j];
      const ExpertParameters p = arrays_of(parameters, experts, s.hidden);
      const Matrix<float> weighted = rows(block_of(workspace.weighted, experts, s));
      gemm(weighted, rows(student), Transpose::kNo, p.weight1, Transpose::kYes, set, stream);
      launch("experts_stacked_forward", tiles_for(entities.size * experts.size, s.hidden), stream,
             stacked_forward_kernel, weighted, selection, p.bias1, PairSlice{entities, experts},
             live_rows);
      gemm(rows(reconstruction), weighted, Transpose::kNo, p.weight2, Transpose::kNo, add, stream);
    }
  });
}

void stacked_backward(Matrix<float> grad_student, Matrix<float> grad_selection,
                      const ExpertGradients& gradients, Matrix<const float> grad_reconstruction,
                      Matrix<const float> student, Matrix<const float> selection,
                      const ExpertParameters& parameters, const ExpertsWorkspace& workspace,
                      const int32_t* live_rows, const Stream& stream) {
  const ExpertShape& s = workspace.shape;
  const Slice entities = {0, s.capacity};
  const Slices expert_slices(s.experts, kExpertsPerSlice);
  const GemmOptions set = {.live_rows = live_rows};
  const GemmOptions add = {.beta = 1.0f, .live_rows = live_rows};
  // dL/dh of each slice; a single slice's is the whole.
  const bool whole = expert_slices.count() == 1;
  const Matrix<float> parts =
      whole ? grad_student
            : Matrix<float>{workspace.pair_in.data, expert_slices.count() * s.capacity, s.student};

  gemm(gradients.bias2, selection, Transpose::kYes, grad_reconstruction, Transpose::kNo, add,
       stream);
  gemm(grad_selection, grad_reconstruction, Transpose::kNo, parameters.bias2, Transpose::kYes, set,
       stream);
  for_each_slice(expert_slices, [&](int64_t i) {
    const Slice experts = expert_slices[i];
    const ExpertParameters p = arrays_of(parameters, experts, s.hidden);
    const ExpertGradients grad = arrays_of(gradients, experts, s.hidden);
    const Matrix<float> weighted = block_of(workspace.weighted, experts, s);
    const Matrix<float> grad_hidden = block_of(workspace.grad_hidden, experts, s);
    gemm(grad.weight2, weighted, Transpose::kYes, grad_reconstruction, Transpose::kNo, add, stream);
    gemm(grad_hidden, grad_reconstruction, Transpose::kNo, p.weight2, Transpose::kYes, set, stream);
    launch("experts_stacked_backward", tiles_for(s.capacity * experts.size, 2 * s.hidden), stream,
           stacked_backward_kernel, grad_hidden, grad_selection, weighted, selection,
           PairSlice{entities, experts}, live_rows);
    launch("experts_stacked_bias",
           blocks_for(sum_strips(grad_hidden.cols), s.capacity * kSumColumns), stream,
           stacked_bias_kernel, grad.bias1, grad_hidden, live_rows);
    gemm(grad.weight1, grad_hidden, Transpose::kYes, student, Transpose::kNo, add, stream);
    gemm(parts.slice(i * s.capacity, s.capacity), grad_hidden, Transpose::kNo, p.weight1,
         Transpose::kNo, set, stream);
  });
  if (!whole) {
    launch("experts_sum_parts", tiles_for(s.capacity, expert_slices.count() * s.student), stream,
           sum_parts_kernel, grad_student, parts, live_rows);
  }
}

void routed_forward(Matrix<float> reconstruction, Matrix<const float> student,
                    Matrix<const float> selection, const ExpertParameters& parameters,
                    const ExpertsWorkspace& workspace, const int32_t* live_rows,
                    const Stream& stream) {
  const ExpertShape& s = workspace.shape;
  const int64_t capacity = s.capacity * s.experts;
  const PairList pairs = pair_list(workspace);
  const Matrix<float> weighted = {workspace.weighted.data, capacity, s.hidden};
  const Matrix<float> pair_in = {workspace.pair_in.data, capacity, s.student};
  const Matrix<float> pair_out = {workspace.pair_out.data, capacity, s.teacher};

  launch("experts_count_by_expert", tiles_for(s.experts, s.capacity), stream,
         count_by_expert_kernel, pairs, selection, live_rows);
  launch("experts_list_pairs", tiles_for(s.experts, 2 * s.capacity), stream, list_pairs_kernel,
         pairs, selection, live_rows);
  launch("experts_gather_pairs", tiles_for(capacity, s.student), stream, gather_pairs_kernel,
         pair_in, student, pairs);
  grouped_gemm(weighted, pair_in, parameters.weight1, Transpose::kYes, s.experts, workspace.offsets,
               0.0f, stream);
  launch("experts_routed_forward", tiles_for(capacity, s.hidden), stream, routed_forward_kernel,
         weighted, selection, parameters.bias1, pairs);
  grouped_gemm(pair_out, weighted, parameters.weight2, Transpose::kNo, s.experts, workspace.offsets,
               0.0f, stream);
  launch("experts_combine_pairs", tiles_for(s.capacity, 2 * s.teacher), stream,
         combine_pairs_kernel, reconstruction, pair_out, selection, parameters.bias2, pairs,
         live_rows);
}

void routed_backward(Matrix<float> grad_student, Matrix<float> grad_selection,
                     const ExpertGradients& gradients, Matrix<const float> grad_reconstruction,
                     Matrix<const float> selection, const ExpertParameters& parameters,
                     const ExpertsWorkspace& workspace, const int32_t* live_rows,
                     const Stream& stream) {
  const ExpertShape& s = workspace.shape;
  const int64_t capacity = s.capacity * s.experts;
  const PairList pairs = pair_list(workspace);
  const Vector<const int32_t> offsets = workspace.offsets;
  const Matrix<float> weighted = {workspace.weighted.data, capacity, s.hidden};
  const Matrix<float> grad_hidden = {workspace.grad_hidden.data, capacity, s.hidden};
  const Matrix<float> pair_in = {workspace.pair_in.data, capacity, s.student};
  const Matrix<float> pair_out = {workspace.pair_out.data, capacity, s.teacher};

  launch("experts_gather_pairs", tiles_for(capacity, s.teacher), stream, gather_pairs_kernel,
         pair_out, grad_reconstruction, pairs);
  grouped_gemm_accumulate(gradients.weight2, weighted, pair_out, s.experts, offsets, stream);
  grouped_gemm(grad_hidden, pair_out, parameters.weight2, Transpose::kYes, s.experts, offsets, 0.0f,
               stream);
  launch("experts_routed_backward", tiles_for(capacity, s.hidden + s.teacher), stream,
         routed_backward_kernel, grad_hidden, grad_selection, weighted, pair_out, selection,
         parameters.bias2, pairs);
  launch("experts_routed_bias",
         blocks_for(s.experts * (sum_strips(s.hidden) + sum_strips(s.teacher)),
                    (s.capacity / s.experts + 1) * kSumColumns),
         stream, routed_bias_kernel, gradients.bias1, gradients.bias2, grad_hidden, pair_out,
         selection, pairs);
  grouped_gemm_accumulate(gradients.weight1, grad_hidden, pair_in, s.experts, offsets, stream);
  grouped_gemm(pair_in, grad_hidden, parameters.weight1, Transpose::kNo, s.experts, offsets, 0.0f,
               stream);
  launch("experts_combine_pairs_backward", tiles_for(s.capacity, s.student + s.experts), stream,
         combine_pairs_backward_kernel, grad_student, grad_selection, pair_in, pairs, live_rows);
}

/// Float arrays of a workspace start at multiples of this, for aligned vector loads.
constexpr int64_t kAlignedFloats = 64;
int64_t aligned(int64_t floats) {
  return (floats + kAlignedFloats - 1) / kAlignedFloats * kAlignedFloats;
}

}  // namespace

int64_t experts_workspace_floats(const ExpertShape& s) {
  const int64_t pairs = s.capacity * s.experts;
  return 2 * aligned(pairs * s.hidden) + aligned(pairs * s.student) + aligned(pairs * s.teacher);
}

int64_t experts_workspace_integers(const ExpertShape& s) {
  return 2 * s.experts + 1 + 3 * s.capacity * s.experts;
}

ExpertsWorkspace make_experts_workspace(const ExpertShape& s, Vector<float> floats,
                                        Vector<int32_t> integers) {
  require(
      floats.size >= experts_workspace_floats(s) && integers.size >= experts_workspace_integers(s),
      "make_experts_workspace", "the memory", s);
  const auto take = [](auto& memory, int64_t size, int64_t padded) {
    const auto part = memory.slice(0, size);
    memory = memory.slice(padded, memory.size - padded);
    return part;
  };
  const int64_t pairs = s.capacity * s.experts;
  const auto take_floats = [&](int64_t size) { return take(floats, size, aligned(size)); };
  const auto take_integers = [&](int64_t size) { return take(integers, size, size); };
  ExpertsWorkspace w;
  w.shape = s;
  w.weighted = take_floats(pairs * s.hidden);
  w.grad_hidden = take_floats(pairs * s.hidden);
  w.pair_in = take_floats(pairs * s.student);
  w.pair_out = take_floats(pairs * s.teacher);
  w.offsets = take_integers(s.experts + 1);
  w.pair_counts = take_integers(s.experts);
  w.pair_entity = take_integers(pairs);
  w.pair_expert = take_integers(pairs);
  w.pair_of = take_integers(pairs);
  return w;
}

void experts_forward(Matrix<float> reconstruction, Matrix<const float> student,
                     Matrix<const float> selection, const ExpertParameters& parameters,
                     const ExpertsWorkspace& workspace, ExpertPath path, const int32_t* live_rows,
                     const Stream& stream) {
  const ExpertShape& s = workspace.shape;
  check_arrays("experts_forward", parameters, s);
  require(is(reconstruction, s.capacity, s.teacher) && is(student, s.capacity, s.student) &&
              is(selection, s.capacity, s.experts),
          "experts_forward", "an activation", s);
  if (s.capacity == 0 || s.experts == 0) return;
  if (path == ExpertPath::kStacked) {
    stacked_forward(reconstruction, student, selection, parameters, workspace, live_rows, stream);
  } else {
    routed_forward(reconstruction, student, selection, parameters, workspace, live_rows, stream);
  }
}

void experts_backward(Matrix<float> grad_student, Matrix<float> grad_selection,
                      const ExpertGradients& gradients, Matrix<const float> grad_reconstruction,
                      Matrix<const float> student, Matrix<const float> selection,
                      const ExpertParameters& parameters, const ExpertsWorkspace& workspace,
                      ExpertPath path, const int32_t* live_rows, const Stream& stream) {
  const ExpertShape& s = workspace.shape;
  check_arrays("experts_backward", parameters, s);
  check_arrays("experts_backward", gradients, s);
  require(is(grad_student, s.capacity, s.student) && is(grad_selection, s.capacity, s.experts) &&
              is(grad_reconstruction, s.capacity, s.teacher) &&
              is(student, s.capacity, s.student) && is(selection, s.capacity, s.experts),
          "experts_backward", "an activation or its gradient", s);
  if (s.capacity == 0 || s.experts == 0) return;
  if (path == ExpertPath::kStacked) {
    stacked_backward(grad_student, grad_selection, gradients, grad_reconstruction, student,
                     selection, parameters, workspace, live_rows, stream);
  } else {
    routed_backward(grad_student, grad_selection, gradients, grad_reconstruction, selection,
                    parameters, workspace, live_rows, stream);
  }
}

void count_pairs(PairCount* count, Matrix<const float> selection, const int32_t* live_rows,
                 const Stream& stream) {
  if (selection.size() == 0) return;
  launch("count_pairs", tiles_for(selection.rows, selection.cols), stream, count_pairs_kernel,
         count, selection, live_rows);
}

void reconstruction_loss(Vector<float> loss, Matrix<float> grad_reconstruction,
                         Matrix<const float> reconstruction, Matrix<const float> teacher,
                         ReconstructionOptions options, const int32_t* live_rows,
                         const Stream& stream) {
  const auto same = [&](Matrix<const float> m) {
    return m.rows == reconstruction.rows && m.cols == reconstruction.cols;
  };
  if (loss.size != reconstruction.rows || !same(grad_reconstruction) || !same(teacher)) {
    throw std::invalid_argument("reconstruction_loss: loss [" + std::to_string(loss.size) +
                                "], gradient, reconstruction and teacher must share [" +
                                std::to_string(reconstruction.rows) + ", " +
                                std::to_string(reconstruction.cols) + "]");
  }
  if (loss.size == 0) return;
  launch("reconstruction_loss", tiles_for(loss.size, 2 * reconstruction.cols), stream,
         reconstruction_loss_kernel, loss, grad_reconstruction, reconstruction, teacher, options,
         live_rows);
}

}  // namespace derrd
