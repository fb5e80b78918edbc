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
// Mapping: a tile per pair (gathering, activation), per entity (sums over its pairs), and per strip
// of an expert's columns (biases, column_sums.h); h is gathered by the tiles that list the pairs.
// Bytes: 12 (D + T) P gathered and summed, beside the 6 P H (D + T) flops of the products, which
// are the limit. So a routed pair costs about a fifth more than a stacked one.
//
// Trap: only the device knows P. Launches are sized for two pairs an entity, as a launch for all N
// E would be of idle tiles for the most part; memory is for all.

#include "kernels/distill/experts_routed.h"

#include <algorithm>

#include "kernels/common/column_sums.h"
#include "kernels/common/row_lanes.h"
#include "kernels/common/rows.h"
#include "kernels/distill/expert_activation.h"
#include "kernels/platform/call_units.h"
#include "kernels/platform/execution.h"
#include "kernels/platform/gemm.h"

namespace derrd {

namespace {

/// Number of active pairs.
__device__ __forceinline__ int64_t size_of(const ExpertPairs& pairs) {
  return pairs.offsets[pairs.offsets.size - 1];
}

/// Memory of the workspace as matrices of one row per pair.
struct PairMatrices {
  int64_t capacity;  ///< largest number of pairs
  Matrix<float> weighted, grad_hidden, in, out;
};
DERRD_HOST_DEVICE inline PairMatrices pair_matrices(const ExpertsWorkspace& w) {
  const ExpertShape& s = w.shape;
  const int64_t pairs = s.capacity * s.experts;
  return {pairs,
          {w.weighted.data, pairs, s.hidden},
          {w.grad_hidden.data, pairs, s.hidden},
          {w.pair_in.data, pairs, s.student},
          {w.pair_out.data, pairs, s.teacher}};
}

/// Units of the kernels: a pass's active pairs, or its entities.
struct PairsOf {
  template <class Pass>
  __device__ __forceinline__ int64_t operator()(const Pass& pass) const {
    return size_of(pass.call.workspace.pairs);
  }
};
struct EntitiesOf {
  template <class Pass>
  __device__ __forceinline__ int64_t operator()(const Pass& pass) const {
    return pass.call.workspace.shape.capacity;
  }
};

/// out[p] = rows[entity of p].
struct PairGathering {
  Matrix<float> out;
  Matrix<const float> rows;
  ExpertPairs pairs;
};
__global__ void gather_pairs_kernel(const __grid_constant__ CallList<PairGathering> calls) {
  const WarpTile tile = warp_tile();
  const auto units = [](const PairGathering& call) { return size_of(call.pairs); };
  for_each_unit(tile, calls, units, [&](const PairGathering& call, int64_t p) {
    copy_row(tile, call.out.row(p), call.rows.row(call.pairs.entity[p]), call.out.cols);
  });
}

__global__ void routed_forward_kernel(const __grid_constant__ CallList<ExpertsForward> passes) {
  const WarpTile tile = warp_tile();
  for_each_unit(tile, passes, PairsOf{}, [&](const ExpertsForward& pass, int64_t p) {
    const ExpertsCall& call = pass.call;
    const Matrix<float> weighted = pair_matrices(call.workspace).weighted;
    const int64_t m = call.workspace.pairs.expert[p];
    activate_pair(tile, weighted.row(p), call.parameters.bias1.data + m * weighted.cols,
                  call.workspace.pairs.weight[p], weighted.cols);
  });
}

/// Calls f(m, p) in all lanes of the tile for each active pair of an entity, in order of the
/// experts m, and clear(m) in one lane for each expert of an inactive one.
template <class Function, class Clear>
__device__ __forceinline__ void for_each_pair(const WarpTile& tile, const ExpertPairs& pairs,
                                              int64_t entity, Function f, Clear clear) {
  const int64_t experts = pairs.of.cols;
  const int32_t* __restrict__ of_entity = pairs.of.row(entity);
  for (int64_t first = 0; first < experts; first += tile.size()) {
    const int64_t m = first + tile.thread_rank();
    const int32_t own = m < experts ? of_entity[m] : -1;
    if (own < 0 && m < experts) clear(m);
    for (unsigned left = tile.ballot(own >= 0); left != 0; left &= left - 1) {
      const auto lane = static_cast<unsigned>(count_bits(~left & (left - 1)));  // its lowest bit
      f(first + lane, tile.shfl(own, lane));
    }
  }
}

/// R_n = sum over its pairs, by expert, of pair_out[p] + s b2_m. An element of a row is a float or
/// a quad.
template <class Element>
__global__ void combine_pairs_kernel(const __grid_constant__ CallList<ExpertsForward> passes) {
  const WarpTile tile = warp_tile();
  for_each_unit(tile, passes, EntitiesOf{}, [&](const ExpertsForward& pass, int64_t n) {
    const auto& [reconstruction, call] = pass;
    Element* __restrict__ sum = elements_of<Element>(reconstruction.row(n));
    const int cols = elements_in<Element>(reconstruction.cols);
    for (int k = tile.thread_rank(); k < cols; k += tile.size()) sum[k] = Element{};
    if (n >= call.active.of(reconstruction.rows)) return;
    const Matrix<const float> pair_out = pair_matrices(call.workspace).out;
    const auto add = [&](int64_t m, int64_t p) {
      const float s = call.workspace.pairs.weight[p];
      const Element* __restrict__ out = elements_of<Element>(pair_out.row(p));
      const Element* __restrict__ bias = elements_of<Element>(call.parameters.bias2.row(m));
      for (int k = tile.thread_rank(); k < cols; k += tile.size()) sum[k] += out[k] + s * bias[k];
    };
    for_each_pair(tile, call.workspace.pairs, n, add, [](int64_t) {});
  });
}

/// G becomes Z, beside the pairs' Q in `pair_out`. Writes the entries of dL/ds at active pairs.
template <class Element>
__global__ void routed_backward_kernel(const __grid_constant__ CallList<ExpertsBackward> passes) {
  const WarpTile tile = warp_tile();
  for_each_unit(tile, passes, PairsOf{}, [&](const ExpertsBackward& pass, int64_t p) {
    const ExpertsCall& call = pass.call;
    const PairMatrices of_pairs = pair_matrices(call.workspace);
    const int64_t n = call.workspace.pairs.entity[p];
    const int64_t m = call.workspace.pairs.expert[p];
    float sum = activate_pair_backward(tile, of_pairs.grad_hidden.row(p), of_pairs.weighted.row(p),
                                       call.workspace.pairs.weight[p], of_pairs.weighted.cols);
    const Element* __restrict__ q = elements_of<Element>(of_pairs.out.row(p));
    const Element* __restrict__ bias = elements_of<Element>(call.parameters.bias2.row(m));
    const int cols = elements_in<Element>(of_pairs.out.cols);
    float bias_dot = 0;
    for (int k = tile.thread_rank(); k < cols; k += tile.size()) bias_dot += dot(q[k], bias[k]);
    sum += cg::reduce(tile, bias_dot, cg::plus<float>());
    if (tile.thread_rank() == 0) pass.gradients.selection.row(n)[m] = sum;
  });
}

__global__ void routed_bias_kernel(const __grid_constant__ CallList<ExpertsBackward> passes) {
  __shared__ ColumnPartials partials;
  const auto target = [](const ExpertsBackward& pass) {
    return pass.gradients.parameters.bias1.data;
  };
  const auto units = [&](const ExpertsBackward& pass) {
    const ExpertShape& s = pass.call.workspace.shape;
    return begins_sum(passes, pass, target)
               ? s.experts * (column_strips(s.hidden) + column_strips(s.teacher))
               : int64_t{0};
  };
  const WarpTile tile = warp_tile();
  for_each_unit(tile, passes, units, [&](const ExpertsBackward& first, int64_t unit) {
    const ExpertShape& s = first.call.workspace.shape;
    const int64_t strips1 = column_strips(s.hidden);
    const int64_t strips = strips1 + column_strips(s.teacher);
    const int64_t m = unit / strips;
    const int64_t strip = unit % strips;
    for_each_summand(passes, first, target, [&](const ExpertsBackward& pass) {
      const ExpertParameterGradients& grad = pass.gradients.parameters;
      const ExpertPairs& pairs = pass.call.workspace.pairs;
      const PairMatrices of_pairs = pair_matrices(pass.call.workspace);
      const RowRange rows = {pairs.offsets[m], pairs.offsets[m + 1]};
      if (strip < strips1) {
        accumulate_column_sums(tile, partials, grad.bias1.slice(m * s.hidden, s.hidden),
                               of_pairs.grad_hidden, rows, strip, [](int64_t) { return 1.0f; });
      } else {
        accumulate_column_sums(tile, partials, {grad.bias2.row(m), s.teacher}, of_pairs.out, rows,
                               strip - strips1, [&](int64_t p) { return pairs.weight[p]; });
      }
    });
  });
}

/// dL/dh_n = sum over its pairs, by expert, of pair_in[p]. Clears dL/ds at other pairs.
__global__ void combine_pairs_backward_kernel(
    const __grid_constant__ CallList<ExpertsBackward> passes) {
  const WarpTile tile = warp_tile();
  for_each_unit(tile, passes, EntitiesOf{}, [&](const ExpertsBackward& pass, int64_t n) {
    const Matrix<float> grad_student = pass.gradients.student;
    const Matrix<float> grad_selection = pass.gradients.selection;
    const ExpertPairs& pairs = pass.call.workspace.pairs;
    const int64_t experts = grad_selection.cols;
    float* __restrict__ sum = grad_student.row(n);
    fill_row(tile, sum, grad_student.cols, 0.0f);
    if (n >= pass.call.active.of(grad_student.rows)) {
      fill_row(tile, grad_selection.row(n), experts, 0.0f);
      return;
    }
    const Matrix<const float> pair_in = pair_matrices(pass.call.workspace).in;
    float* __restrict__ grad_s = grad_selection.row(n);
    const auto add = [&](int64_t, int64_t p) {
      const float* __restrict__ part = pair_in.row(p);
      for (int64_t k = tile.thread_rank(); k < grad_student.cols; k += tile.size()) {
        sum[k] += part[k];
      }
    };
    for_each_pair(tile, pairs, n, add, [&](int64_t m) { grad_s[m] = 0; });
  });
}

/// Geometry of a tile per unit, units(shape) of them in each pass.
template <class Pass, class Units>
Geometry tiles_of(const CallList<Pass>& passes, Units units, int64_t elements) {
  const auto of_pass = [&](const Pass& pass) { return units(pass.call.workspace.shape); };
  return tiles_for(total_units(passes, of_pass), elements);
}

/// Whether the rows of a pass's outputs, and of `outputs`, are quads.
bool outputs_are_quads(const ExpertsCall& call, Matrix<const float> outputs) {
  return are_quads(outputs.cols,
                   {outputs.data, call.workspace.pair_out.data, call.parameters.bias2.data});
}

/// Late in training; more pairs than that are dealt out to the same tiles.
int64_t pairs_of(const ExpertShape& s) { return 2 * s.capacity; }
int64_t entities_of(const ExpertShape& s) { return s.capacity; }

}  // namespace

void routed_experts_forward(const CallList<ExpertsForward>& passes, const Stream& stream) {
  const ExpertShape& s = passes[0].call.workspace.shape;
  list_pairs(passes.map([](const ExpertsForward& pass) {
    const ExpertsCall& call = pass.call;
    return PairListing{call.workspace.pairs, pair_matrices(call.workspace).in, call.student,
                       call.selection, call.active};
  }),
             stream);
  grouped_gemm(passes.map([](const ExpertsForward& pass) {
    const ExpertsWorkspace& w = pass.call.workspace;
    return GroupedProduct{pair_matrices(w).weighted, pair_matrices(w).in,
                          transpose(pass.call.parameters.weight1), w.pairs.offsets};
  }),
               stream);
  launch("experts_routed_forward", tiles_of(passes, pairs_of, s.hidden), stream,
         routed_forward_kernel, passes);
  grouped_gemm(passes.map([](const ExpertsForward& pass) {
    const ExpertsWorkspace& w = pass.call.workspace;
    return GroupedProduct{pair_matrices(w).out, pair_matrices(w).weighted,
                          pass.call.parameters.weight2, w.pairs.offsets};
  }),
               stream);
  const bool quads = std::all_of(passes.begin(), passes.end(), [](const ExpertsForward& pass) {
    return outputs_are_quads(pass.call, pass.reconstruction);
  });
  launch("experts_combine_pairs", tiles_of(passes, entities_of, 2 * s.teacher), stream,
         quads ? combine_pairs_kernel<Quad> : combine_pairs_kernel<float>, passes);
}

void routed_experts_backward(const CallList<ExpertsBackward>& passes, const Stream& stream) {
  const ExpertShape& s = passes[0].call.workspace.shape;
  // The grouped products of all passes, made of a pass's pairs, parameters and their gradients.
  const auto products = [&](auto product) {
    return passes.map([&](const ExpertsBackward& pass) {
      const ExpertsWorkspace& w = pass.call.workspace;
      GroupedProduct made =
          product(pair_matrices(w), pass.call.parameters, pass.gradients.parameters);
      made.offsets = w.pairs.offsets;
      return made;
    });
  };
  using Of = PairMatrices;
  using Parameters = ExpertParameters;
  using Gradients = ExpertParameterGradients;

  launch("experts_gather_pairs", tiles_of(passes, pairs_of, s.teacher), stream, gather_pairs_kernel,
         passes.map([](const ExpertsBackward& pass) {
           const ExpertsWorkspace& w = pass.call.workspace;
           return PairGathering{pair_matrices(w).out, pass.grad_reconstruction, w.pairs};
         }));
  grouped_gemm_accumulate(products([](const Of& of, const Parameters&, const Gradients& grad) {
                            return GroupedProduct{grad.weight2, of.weighted, of.out};
                          }),
                          stream);
  grouped_gemm(products([](const Of& of, const Parameters& p, const Gradients&) {
                 return GroupedProduct{of.grad_hidden, of.out, transpose(p.weight2)};
               }),
               stream);
  const bool quads = std::all_of(passes.begin(), passes.end(), [](const ExpertsBackward& pass) {
    return outputs_are_quads(pass.call, pass.grad_reconstruction);
  });
  launch("experts_routed_backward", tiles_of(passes, pairs_of, s.hidden + s.teacher), stream,
         quads ? routed_backward_kernel<Quad> : routed_backward_kernel<float>, passes);
  const int64_t strips = s.experts * (column_strips(s.hidden) + column_strips(s.teacher));
  launch("experts_routed_bias",
         tiles_for(passes.count * strips, (s.capacity / s.experts + 1) * kStripColumns), stream,
         routed_bias_kernel, passes);
  grouped_gemm_accumulate(products([](const Of& of, const Parameters&, const Gradients& grad) {
                            return GroupedProduct{grad.weight1, of.grad_hidden, of.in};
                          }),
                          stream);
  grouped_gemm(products([](const Of& of, const Parameters& p, const Gradients&) {
                 return GroupedProduct{of.in, of.grad_hidden, p.weight1};
               }),
               stream);
  launch("experts_combine_pairs_backward", tiles_of(passes, entities_of, s.student + s.experts),
         stream, combine_pairs_backward_kernel, passes);
}

}  // namespace derrd
