#pragma once

#include <utility>

#include "kernels/distill/gumbel_softmax.h"
#include "tests/cases/support.h"

namespace derrd::cases {

/// A gate over `count` entities, whose rows begin at row `begin` of the epoch, and its outputs.
/// @tparam Array owns the outputs: DeviceArray, or Guarded in tests
template <template <class> class Array>
struct GumbelSoftmaxCase {
  struct Shape {
    int64_t capacity;
    int32_t count;
    int64_t experts;
    int32_t begin = 0;
  };

  /// @param values logits [capacity, E]
  GumbelSoftmaxCase(const Shape& s, EpochState state, DeviceArray<float> values)
      : shape(s),
        logits(std::move(values)),
        cursor(to_device<BatchCursor>({{3, s.begin, s.count}})),
        epoch(to_device<EpochState>({state})),
        weight(logits.size()),
        probability(logits.size()),
        grad_logits(logits.size()) {}

  GumbelSoftmaxCall call(const GumbelOptions& options = {}) const {
    return {.logits = matrix(logits),
            .rows = {{}, {}, {}, cursor.data(), shape.capacity},
            .options = options,
            .epoch = epoch.data()};
  }
  void forward(const GumbelOptions& options = {}) const {
    gumbel_softmax_forward(GumbelSoftmaxForward{matrix(weight), matrix(probability), call(options)},
                           stream());
  }
  void backward(const DeviceArray<float>& grad_weight) const {
    gumbel_softmax_backward(GumbelSoftmaxBackward{matrix(grad_logits), matrix(grad_weight),
                                                  matrix(weight), matrix(probability), call()},
                            stream());
  }
  template <class AnyArray>
  Matrix<float> matrix(const AnyArray& array) const {
    return array.matrix(shape.capacity, shape.experts);
  }

  Work forward_work() const { return {.bytes = 12.0 * static_cast<double>(logits.size())}; }
  Work backward_work() const { return {.bytes = 16.0 * static_cast<double>(logits.size())}; }

  Shape shape;
  DeviceArray<float> logits;
  DeviceArray<BatchCursor> cursor;
  DeviceArray<EpochState> epoch;
  Array<float> weight, probability, grad_logits;
};

}  // namespace derrd::cases
