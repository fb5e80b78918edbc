#pragma once

#include "kernels/distill/slot_hidden.h"
#include "tests/cases/slots.h"

namespace derrd::cases {

/// Slots as pairs with the values of a perceptron's hidden layer, and the output layer.
struct SlotHiddenCase : IndexedSlots {
  SlotHiddenCase(int64_t other_rows, int64_t width, SlotsCase slots_case)
      : IndexedSlots(other_rows, std::move(slots_case)),
        cols(width),
        pairs(capacity * slots),
        hidden(random_array(pairs * cols, 5)),
        weight(random_array(cols, 7)),
        bias(random_array(1, 8)) {}

  SlotOutputCall output_call() const {
    return {.hidden = hidden.matrix(pairs, cols),
            .weight = weight.view(),
            .bias = bias.view(),
            .batch = batch()};
  }
  SlotHiddenCall hidden_call() const {
    return {.hidden = hidden.matrix(pairs, cols), .batch = batch(), .index = index()};
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
  DeviceArray<float> hidden, weight, bias;
};

}  // namespace derrd::cases
