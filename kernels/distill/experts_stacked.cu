// Mixture of experts as products of the stacked matrices (the mathematics: experts.cu).
//
// Since sum_m s_m W2_m^T A_m = [S_1 .. S_E] W2, the whole mixture is products E H = 3300 wide, and
// no [N, E, T] intermediate exists.
//
// On a GPU there is one slice of the entities and one of the experts: the loops over slices run
// once, a slice is the whole matrix, and a launch has the slices of all passes. Read everything
// below in this way.
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
// Shapes: as in experts.cu. Mapping: a tile per pair.
// Bytes: one slice 16 N E H forward, 32 backward; sliced 4 (S) and 8 (S, Z). The 6 N E H (D + T)
// flops of the products are the limit.
//
// Trap: inactive rows of S and Z are set to 0, for the products of the backward pass may sum over
// them.

#include "kernels/distill/experts_stacked.h"

#include "kernels/common/rows.h"
#include "kernels/distill/expert_activation.h"
#include "kernels/models/linear.h"
#include "kernels/platform/call_units.h"
#include "kernels/platform/execution.h"
#include "kernels/platform/gemm.h"
#include "kernels/platform/slices.h"

namespace derrd {

namespace {

/// A slice of a pass: consecutive entities (rows) by consecutive experts (H columns each).
struct StackedSlice {
  Slice entities, experts;
  Matrix<float> weighted;             ///< [entities, experts * H] W1 h, then S
  Matrix<float> grad_hidden;          ///< likewise: G, then Z
  Matrix<const float> selection;      ///< s of the whole pass [N, E]
  Matrix<float> grad_selection = {};  ///< dL/ds of the whole pass [N, E]
  Vector<const float> bias1;          ///< of the slice's experts
  ActiveRows active;

  DERRD_HOST_DEVICE int64_t pairs() const { return entities.size * experts.size; }
};
struct SlicePairs {
  __device__ __forceinline__ int64_t operator()(const StackedSlice& slice) const {
    return slice.pairs();
  }
};

/// A tile's pair.
struct SlicedPair {
  int64_t row;     ///< row in the slice's matrices
  int64_t first;   ///< column of the expert's first hidden unit in them
  int64_t number;  ///< n * E + m
  float s;         ///< weight; 0 for an inactive entity
};
__device__ __forceinline__ SlicedPair sliced_pair(const StackedSlice& slice, int64_t unit,
                                                  int64_t hidden) {
  const int64_t row = unit / slice.experts.size;
  const int64_t expert = unit % slice.experts.size;
  const int64_t n = slice.entities.begin + row;
  const int64_t number = n * slice.selection.cols + slice.experts.begin + expert;
  const bool active = n < slice.active.of(slice.selection.rows);
  return {row, expert * hidden, number, active ? slice.selection.data[number] : 0.0f};
}

__global__ void stacked_forward_kernel(const __grid_constant__ CallList<StackedSlice> slices) {
  const WarpTile tile = warp_tile();
  for_each_unit(tile, slices, SlicePairs{}, [&](const StackedSlice& slice, int64_t unit) {
    const int64_t hidden = slice.weighted.cols / slice.experts.size;
    const SlicedPair pair = sliced_pair(slice, unit, hidden);
    float* row = slice.weighted.row(pair.row) + pair.first;
    if (pair.s == 0) {
      fill_row(tile, row, hidden, 0.0f);
    } else {
      activate_pair(tile, row, slice.bias1.data + pair.first, pair.s, hidden);
    }
  });
}

/// dL/ds holds Q b2^T before.
__global__ void stacked_backward_kernel(const __grid_constant__ CallList<StackedSlice> slices) {
  const WarpTile tile = warp_tile();
  for_each_unit(tile, slices, SlicePairs{}, [&](const StackedSlice& slice, int64_t unit) {
    const int64_t hidden = slice.weighted.cols / slice.experts.size;
    const SlicedPair pair = sliced_pair(slice, unit, hidden);
    float* row = slice.grad_hidden.row(pair.row) + pair.first;
    float* grad_s = slice.grad_selection.data + pair.number;
    if (pair.s == 0) {
      fill_row(tile, row, hidden, 0.0f);
      if (tile.thread_rank() == 0) *grad_s = 0;
    } else {
      const float dot = activate_pair_backward(tile, row, slice.weighted.row(pair.row) + pair.first,
                                               pair.s, hidden);
      if (tile.thread_rank() == 0) *grad_s += dot;
    }
  });
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
/// The slice of a pass, without its dL/ds.
StackedSlice slice_of(const ExpertsCall& call, Slice entities, Slice experts) {
  const ExpertShape& s = call.workspace.shape;
  const auto block = [&](Vector<float> hidden_units) {
    return Matrix<float>{hidden_units.data + s.capacity * experts.begin * s.hidden, s.capacity,
                         experts.size * s.hidden}
        .slice(entities.begin, entities.size);
  };
  return {.entities = entities,
          .experts = experts,
          .weighted = block(call.workspace.weighted),
          .grad_hidden = block(call.workspace.grad_hidden),
          .selection = call.selection,
          .bias1 = arrays_of(call.parameters, experts, s.hidden).bias1,
          .active = call.active};
}
Slices slices_of_entities(const ExpertsCall& call) {
  return {call.workspace.shape.capacity, kEntitiesPerSlice, call.active};
}
Slices slices_of_experts(const ExpertsCall& call) {
  return {call.workspace.shape.experts, kExpertsPerSlice};
}
int64_t pairs_in_slice(const StackedSlice& slice) { return slice.pairs(); }

/// Forward passes that run together: of several passes, each is one slice.
void forward(const CallList<ExpertsForward>& passes, const Stream& stream) {
  for_each_slice(slices_of_entities(passes[0].call), [&](int64_t i) {
    // Products of the slice's entities, made of a pass's matrices by f(pass, rows).
    const auto multiply = [&](float beta, auto f) {
      gemm(passes.map([&](const ExpertsForward& pass) {
        const Slice entities = slices_of_entities(pass.call)[i];
        Product product = f(pass, [&](auto m) { return m.slice(entities.begin, entities.size); });
        product.options = {beta, pass.call.active, entities.begin};
        return product;
      }),
           stream);
    };
    multiply(0.0f, [](const ExpertsForward& pass, auto rows) {
      return Product{rows(pass.reconstruction), rows(pass.call.selection),
                     pass.call.parameters.bias2};
    });
    for (int64_t j = 0; j < slices_of_experts(passes[0].call).count(); ++j) {
      const auto slice = [&](const ExpertsForward& pass) {
        return slice_of(pass.call, slices_of_entities(pass.call)[i],
                        slices_of_experts(pass.call)[j]);
      };
      const auto parameters = [&](const ExpertsForward& pass) {
        return arrays_of(pass.call.parameters, slices_of_experts(pass.call)[j],
                         pass.call.workspace.shape.hidden);
      };
      multiply(0.0f, [&](const ExpertsForward& pass, auto rows) {
        return Product{slice(pass).weighted, rows(pass.call.student),
                       transpose(parameters(pass).weight1)};
      });
      const CallList<StackedSlice> slices = passes.map(slice);
      launch("experts_stacked_forward",
             tiles_for(total_units(slices, pairs_in_slice), passes[0].call.workspace.shape.hidden),
             stream, stacked_forward_kernel, slices);
      multiply(1.0f, [&](const ExpertsForward& pass, auto rows) {
        return Product{rows(pass.reconstruction), slice(pass).weighted, parameters(pass).weight2};
      });
    }
  });
}

/// Backward passes that run together: of several passes, each is one slice.
void backward(const CallList<ExpertsBackward>& passes, const Stream& stream) {
  const auto multiply = [&](float beta, auto f) {
    gemm(passes.map([&](const ExpertsBackward& pass) {
      Product product = f(pass);
      product.options = {beta, pass.call.active};
      return product;
    }),
         stream);
  };
  multiply(1.0f, [](const ExpertsBackward& pass) {
    return Product{pass.gradients.parameters.bias2, transpose(pass.call.selection),
                   pass.grad_reconstruction};
  });
  multiply(0.0f, [](const ExpertsBackward& pass) {
    return Product{pass.gradients.selection, pass.grad_reconstruction,
                   transpose(pass.call.parameters.bias2)};
  });

  // dL/dh of each slice; a single slice's is the whole.
  const Slices expert_slices = slices_of_experts(passes[0].call);
  const bool whole = expert_slices.count() == 1;
  const auto part_of = [&](const ExpertsBackward& pass, int64_t j) {
    const ExpertShape& s = pass.call.workspace.shape;
    const Matrix<float> parts = {pass.call.workspace.pair_in.data,
                                 expert_slices.count() * s.capacity, s.student};
    return whole ? pass.gradients.student : parts.slice(j * s.capacity, s.capacity);
  };
  for_each_slice(expert_slices, [&](int64_t j) {
    const auto slice = [&](const ExpertsBackward& pass) {
      StackedSlice made = slice_of(pass.call, {0, pass.call.workspace.shape.capacity},
                                   slices_of_experts(pass.call)[j]);
      made.grad_selection = pass.gradients.selection;
      return made;
    };
    const auto arrays = [&](const ExpertsBackward& pass, const auto& all) {
      return arrays_of(all, slices_of_experts(pass.call)[j], pass.call.workspace.shape.hidden);
    };
    multiply(1.0f, [&](const ExpertsBackward& pass) {
      return Product{arrays(pass, pass.gradients.parameters).weight2,
                     transpose(slice(pass).weighted), pass.grad_reconstruction};
    });
    multiply(0.0f, [&](const ExpertsBackward& pass) {
      return Product{slice(pass).grad_hidden, pass.grad_reconstruction,
                     transpose(arrays(pass, pass.call.parameters).weight2)};
    });
    const CallList<StackedSlice> slices = passes.map(slice);
    launch(
        "experts_stacked_backward",
        tiles_for(total_units(slices, pairs_in_slice), 2 * passes[0].call.workspace.shape.hidden),
        stream, stacked_backward_kernel, slices);
    accumulate_bias(passes.map([&](const ExpertsBackward& pass) {
      return BiasGradient{arrays(pass, pass.gradients.parameters).bias1, slice(pass).grad_hidden,
                          pass.call.active};
    }),
                    stream);
    multiply(1.0f, [&](const ExpertsBackward& pass) {
      return Product{arrays(pass, pass.gradients.parameters).weight1,
                     transpose(slice(pass).grad_hidden), pass.call.student};
    });
    multiply(0.0f, [&](const ExpertsBackward& pass) {
      return Product{part_of(pass, j), slice(pass).grad_hidden,
                     arrays(pass, pass.call.parameters).weight1};
    });
  });
  if (whole) return;
  for (const auto& [gradients, grad_reconstruction, call] : passes) {
    const ExpertShape& s = call.workspace.shape;
    launch(
        "experts_sum_parts", tiles_for(s.capacity, expert_slices.count() * s.student), stream,
        sum_parts_kernel, gradients.student,
        Matrix<float>{call.workspace.pair_in.data, expert_slices.count() * s.capacity, s.student},
        call.active);
  }
}

}  // namespace

void stacked_experts_forward(const CallList<ExpertsForward>& passes, const Stream& stream) {
  run_calls(passes, [&](const CallList<ExpertsForward>& together) { forward(together, stream); });
}

void stacked_experts_backward(const CallList<ExpertsBackward>& passes, const Stream& stream) {
  run_calls(passes, [&](const CallList<ExpertsBackward>& together) { backward(together, stream); });
}

}  // namespace derrd
