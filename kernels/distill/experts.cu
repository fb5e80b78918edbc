// Mixture of experts of Distillation Experts (DE-RRD, equations 4, 6 and 7), on two exact paths.
//
//   forward    A_m = relu(W1_m h + b1_m)   S_m = s_m A_m   R = sum_m (W2_m^T S_m + s_m b2_m)
//   backward   Q = dL/dR                   G_m = W2_m Q    Z_m = s_m G_m where S_m > 0, else 0
//              dL/ds_m = A_m . G_m + b2_m . Q = (S_m . G_m) / s_m + b2_m . Q
//              dL/dW2_m += S_m Q^T         dL/db2_m += s_m Q
//              dL/dW1_m += Z_m h^T         dL/db1_m += Z_m        dL/dh = sum_m W1_m^T Z_m
//
// Shapes: h [N, D], s [N, E], R and Q [N, T]; W1 [E H, D], b1 [E H], W2 [E H, T], b2 [E, T].
//
// experts_stacked.cu computes every expert for every entity, as products of the stacked matrices;
// experts_routed.cu only the active pairs (entity, expert). This file has the entry points and the
// workspace that both paths use.
//
// Only S is kept, not A: only dL/ds asks for A, and with s > 0 both have one sign. A product s A
// below 1.2e-38 may become 0 (subnormal). What dL/ds then lacks, the softmax multiplies by s; Z
// lacks s G.
//
// Trap: 0 * infinity. Where s = 0 both paths write 0 without multiplying.

#include "kernels/distill/experts.h"

#include <stdexcept>
#include <string>

#include "kernels/distill/experts_routed.h"
#include "kernels/distill/experts_stacked.h"

namespace derrd {

namespace {

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

void check_call(const char* operation, const ExpertsCall& call) {
  const ExpertShape& s = call.workspace.shape;
  check_arrays(operation, call.parameters, s);
  require(is(call.student, s.capacity, s.student) && is(call.selection, s.capacity, s.experts),
          operation, "student or selection", s);
}

template <class Pass>
bool has_pairs(const Pass& pass) {
  const ExpertShape& s = pass.call.workspace.shape;
  return s.capacity * s.experts > 0;
}

/// Float arrays of a workspace start at multiples of this, for aligned vector loads.
constexpr int64_t kAlignedFloats = 64;
int64_t aligned(int64_t floats) {
  return (floats + kAlignedFloats - 1) / kAlignedFloats * kAlignedFloats;
}

}  // namespace

int64_t experts_workspace_floats(const ExpertShape& s) {
  const int64_t pairs = s.capacity * s.experts;
  return 2 * aligned(pairs * s.hidden) + aligned(pairs * s.student) + aligned(pairs * s.teacher) +
         aligned(pairs);
}

int64_t experts_workspace_integers(const ExpertShape& s) {
  return (ExpertPairs::kParts + 1) * s.experts + 1 + 3 * s.capacity * s.experts;
}

CallList<ExpertsWorkspace> make_experts_workspaces(const CallList<ExpertShape>& shapes,
                                                   Vector<float> floats, Vector<int32_t> integers) {
  constexpr const char* kName = "make_experts_workspaces";
  require(floats.size >= total_units(shapes, experts_workspace_floats) &&
              integers.size >= total_units(shapes, experts_workspace_integers),
          kName, "the memory", shapes[0]);
  const auto take = [](auto& memory, int64_t size, int64_t padded) {
    const auto part = memory.slice(0, size);
    memory = memory.slice(padded, memory.size - padded);
    return part;
  };
  CallList<ExpertsWorkspace> workspaces = shapes.map([](const ExpertShape& shape) {
    ExpertsWorkspace w;
    w.shape = shape;
    return w;
  });
  const auto take_floats = [&](Vector<float> ExpertsWorkspace::*array, auto width) {
    for (ExpertsWorkspace& w : workspaces) {
      const int64_t size = w.shape.capacity * w.shape.experts * width(w.shape);
      w.*array = take(floats, size, aligned(size));
    }
  };
  const auto hidden = [](const ExpertShape& s) { return s.hidden; };
  take_floats(&ExpertsWorkspace::weighted, hidden);
  take_floats(&ExpertsWorkspace::grad_hidden, hidden);
  take_floats(&ExpertsWorkspace::pair_in, [](const ExpertShape& s) { return s.student; });
  take_floats(&ExpertsWorkspace::pair_out, [](const ExpertShape& s) { return s.teacher; });
  for (ExpertsWorkspace& w : workspaces) {
    const ExpertShape& s = w.shape;
    const auto take_integers = [&](int64_t size) { return take(integers, size, size); };
    w.pairs.offsets = take_integers(s.experts + 1);
    w.pairs.counts = take_integers(s.experts * ExpertPairs::kParts);
    w.pairs.entity = take_integers(s.capacity * s.experts);
    w.pairs.expert = take_integers(s.capacity * s.experts);
    w.pairs.weight = take(floats, s.capacity * s.experts, aligned(s.capacity * s.experts));
    w.pairs.of = {take_integers(s.capacity * s.experts).data, s.capacity, s.experts};
  }
  return workspaces;
}

void experts_forward(const CallList<ExpertsForward>& calls, const Stream& stream) {
  constexpr const char* kName = "experts_forward";
  for (const auto& [reconstruction, call] : calls) {
    const ExpertShape& s = call.workspace.shape;
    check_call(kName, call);
    require(is(reconstruction, s.capacity, s.teacher), kName, "reconstruction", s);
    require(call.path == calls[0].call.path, kName, "the path", s);
  }
  const auto filled = calls.filter(has_pairs<ExpertsForward>);
  if (filled.count == 0) return;
  if (filled[0].call.path == ExpertPath::kStacked) {
    stacked_experts_forward(filled, stream);
  } else {
    routed_experts_forward(filled, stream);
  }
}

void experts_backward(const CallList<ExpertsBackward>& calls, const Stream& stream) {
  constexpr const char* kName = "experts_backward";
  for (const auto& [gradients, grad_reconstruction, call] : calls) {
    const ExpertShape& s = call.workspace.shape;
    check_call(kName, call);
    check_arrays(kName, gradients.parameters, s);
    require(is(gradients.student, s.capacity, s.student) &&
                is(gradients.selection, s.capacity, s.experts) &&
                is(grad_reconstruction, s.capacity, s.teacher),
            kName, "a gradient", s);
    require(call.path == calls[0].call.path, kName, "the path", s);
  }
  const auto filled = calls.filter(has_pairs<ExpertsBackward>);
  if (filled.count == 0) return;
  if (filled[0].call.path == ExpertPath::kStacked) {
    stacked_experts_backward(filled, stream);
  } else {
    routed_experts_backward(filled, stream);
  }
}

}  // namespace derrd
