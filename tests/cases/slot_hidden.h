#pragma once

#include "kernels/distill/slot_hidden.h"
#include "tests/cases/slots.h"

namespace derrd::cases {

/// Slots as pairs, with the values of a perceptron's hidden layer, the output layer and all
/// outputs.
/// @tparam Array owns the outputs: DeviceArray, or Guarded in tests
template <template <class> class Array>
struct SlotHiddenCase : IndexedSlots {
  /// Random values; outputs that accumulate begin with 0.
  SlotHiddenCase(int64_t other_rows, int64_t width, SlotsCase slots_case)
      : IndexedSlots(other_rows, std::move(slots_case)),
        cols(width),
        pairs(capacity * slots),
        hidden(random_array(pairs * cols, 5)),
        weight(random_array(cols, 7)),
        bias(random_array(1, 8)),
        grad_score(random_array(pairs, 4)),
        positions(pairs),
        rows(pairs),
        active(1),
        score(pairs),
        grad_hidden(pairs * cols),
        grad_weight(cols),
        grad_bias(1),
        sums(capacity * (cols + 1)),
        grad_anchor_part(capacity * cols),
        grad_other_part(others * cols) {
    for (const Array<float>* output : {&score, &grad_weight, &grad_bias}) {
      fill_zero(output->data(), output->size() * static_cast<int64_t>(sizeof(float)), stream());
    }
  }

  SlotOutputCall output_call() const {
    return {.hidden = hidden.matrix(pairs, cols),
            .weight = weight.view(),
            .bias = bias.view(),
            .batch = batch()};
  }
  SlotHiddenCall hidden_call() const {
    return {.hidden = hidden.matrix(pairs, cols), .batch = batch(), .index = index()};
  }
  void locate() const {
    locate_slots({positions.view(), rows.view(), active.data()}, batch(), stream());
  }
  void output_forward() const {
    slot_output_forward(score.matrix(capacity, slots), output_call(), stream());
  }
  void output_backward() const {
    slot_output_backward({.hidden = grad_hidden.matrix(pairs, cols),
                          .weight = grad_weight.view(),
                          .bias = grad_bias.view(),
                          .sums = sums.matrix(capacity, cols + 1)},
                         grad_score.matrix(capacity, slots), output_call(), stream());
  }
  /// Takes the gradient of the hidden values that output_backward writes.
  void hidden_backward() const {
    slot_hidden_backward(grad_anchor_part.matrix(capacity, cols),
                         grad_other_part.matrix(others, cols), grad_hidden.matrix(pairs, cols),
                         hidden_call(), stream());
  }

  /// Bytes of the hidden values of the batch's slots.
  double vector_bytes() const { return 4 * batch_slots() * static_cast<double>(cols); }
  Work locate_work() const { return {.bytes = 12 * batch_slots()}; }
  Work output_forward_work() const {
    return {.bytes = vector_bytes() + 12 * batch_slots(), .flops = vector_bytes() / 2};
  }
  Work output_backward_work() const {
    return {.bytes = 2 * vector_bytes() + 8 * batch_slots(), .flops = 0.75 * vector_bytes()};
  }
  Work hidden_backward_work() const {
    const auto parts = static_cast<double>((batch_rows.capacity + others) * cols);
    return {.bytes = 4 * (vector_bytes() + parts) + walk_bytes(), .flops = vector_bytes() / 2};
  }

  int64_t cols, pairs;
  DeviceArray<float> hidden, weight, bias, grad_score;
  Array<int32_t> positions, rows, active;
  Array<float> score, grad_hidden, grad_weight, grad_bias, sums, grad_anchor_part, grad_other_part;
};

}  // namespace derrd::cases
