#pragma once

#include <vector>

#include "kernels/distill/experts.h"
#include "kernels/distill/reconstruction.h"
#include "tests/cases/support.h"

namespace derrd::cases {

/// A mixture of experts with the memory of a training step.
/// @tparam Array owns workspace and outputs: DeviceArray, or Guarded in tests
template <template <class> class Array>
struct ExpertsCase {
  /// Random vectors and parameters of standard deviation `scale`; gradients of parameters begin
  /// with 0.
  /// @param active number of entities in the batch
  /// @param weights selection [capacity, E]
  ExpertsCase(const ExpertShape& s, int32_t active, const std::vector<float>& weights, float scale)
      : shape(s),
        count(active),
        student(random_array(s.capacity * s.student, 1, scale)),
        teacher(random_array(s.capacity * s.teacher, 2, scale)),
        weight1(random_array(hidden() * s.student, 3, scale)),
        bias1(random_array(hidden(), 4, scale)),
        weight2(random_array(hidden() * s.teacher, 5, scale)),
        bias2(random_array(s.experts * s.teacher, 6, scale)),
        device_count(to_device<int32_t>({active})),
        selection(weights.size()),
        floats(experts_workspace_floats(s)),
        integers(experts_workspace_integers(s)),
        reconstruction(teacher.size()),
        loss(s.capacity),
        grad_reconstruction(teacher.size()),
        grad_student(student.size()),
        grad_selection(selection.size()),
        grad_weight1(weight1.size()),
        grad_bias1(bias1.size()),
        grad_weight2(weight2.size()),
        grad_bias2(bias2.size()) {
    copy_to_device(selection.data(), weights.data(),
                   selection.size() * static_cast<int64_t>(sizeof(float)), stream());
    for (const Array<float>* grad : {&grad_weight1, &grad_bias1, &grad_weight2, &grad_bias2}) {
      fill_zero(grad->data(), grad->size() * static_cast<int64_t>(sizeof(float)), stream());
    }
  }

  /// Hidden units of all experts.
  int64_t hidden() const { return shape.experts * shape.hidden; }
  /// A matrix with one row per entity.
  template <class AnyArray>
  Matrix<float> rows(const AnyArray& array, int64_t cols) const {
    return array.matrix(shape.capacity, cols);
  }
  ExpertsCall call(ExpertPath path) const {
    return {.student = rows(student, shape.student),
            .selection = rows(selection, shape.experts),
            .parameters = {weight1.matrix(hidden(), shape.student), bias1.view(),
                           weight2.matrix(hidden(), shape.teacher),
                           bias2.matrix(shape.experts, shape.teacher)},
            .workspace = make_experts_workspaces(shape, floats.view(), integers.view())[0],
            .path = path,
            .active = device_count.data()};
  }
  ReconstructionCall reconstruction_call(const ReconstructionOptions& options = {}) const {
    return {.loss = loss.view(),
            .grad_reconstruction = rows(grad_reconstruction, shape.teacher),
            .reconstruction = rows(reconstruction, shape.teacher),
            .teacher = rows(teacher, shape.teacher),
            .options = options,
            .active = device_count.data()};
  }
  ExpertsGradients gradients() const {
    return {.student = rows(grad_student, shape.student),
            .selection = rows(grad_selection, shape.experts),
            .parameters = {grad_weight1.matrix(hidden(), shape.student), grad_bias1.view(),
                           grad_weight2.matrix(hidden(), shape.teacher),
                           grad_bias2.matrix(shape.experts, shape.teacher)}};
  }
  /// Forward pass, loss and backward pass.
  void step(ExpertPath path, const ReconstructionOptions& options = {}) const {
    const ExpertsCall pass = call(path);
    experts_forward(ExpertsForward{rows(reconstruction, shape.teacher), pass}, stream());
    reconstruction_loss(reconstruction_call(options), stream());
    experts_backward(ExpertsBackward{gradients(), rows(grad_reconstruction, shape.teacher), pass},
                     stream());
  }
  /// Work of the products alone, three of each layer, over `pairs` pairs.
  Work work(int64_t pairs) const {
    return {.flops =
                6.0 * static_cast<double>(pairs * shape.hidden * (shape.student + shape.teacher))};
  }

  ExpertShape shape;
  int32_t count;  ///< entities of the batch
  DeviceArray<float> student, teacher, weight1, bias1, weight2, bias2;
  DeviceArray<int32_t> device_count;
  Array<float> selection, floats;
  Array<int32_t> integers;
  Array<float> reconstruction, loss, grad_reconstruction, grad_student, grad_selection,
      grad_weight1, grad_bias1, grad_weight2, grad_bias2;
};

}  // namespace derrd::cases
