#pragma once

#include <cstdint>
#include <vector>

#include "kernels/models/linear.h"
#include "kernels/platform/memory.h"
#include "kernels/platform/views.h"

namespace derrd {

/// A hidden layer, relu(x weight^T + bias), with its gradients where it is trained.
struct HiddenLayer {
  Matrix<const float> weight;  ///< [n, k]
  Vector<const float> bias;    ///< [n]
  Matrix<float> grad_weight;   ///< accumulated
  Vector<float> grad_bias;     ///< accumulated
};

/// Returns the widths of a perceptron's hidden layers, which reads vectors of `dim` from a user and
/// from an item. Each layer is half as wide as its input: dim, dim / 2, ...
/// @throws Error if a layer would have no unit.
std::vector<int64_t> hidden_widths(int64_t dim, int64_t layers);

/// Outputs of a perceptron's hidden layers for many rows. The caller fills in the first layer's;
/// the others follow from them.
class HiddenRows {
 public:
  enum class Purpose { kScore, kTrain };

  HiddenRows() = default;
  /// @param capacity largest number of rows
  /// @param purpose for training, memory for gradients is allocated too
  HiddenRows(int64_t capacity, std::vector<int64_t> widths, Purpose purpose);

  /// Returns the bytes of device memory that rows take; the parameters are the constructor's.
  static int64_t device_bytes(int64_t capacity, const std::vector<int64_t>& widths,
                              Purpose purpose);

  int64_t capacity() const { return capacity_; }
  Matrix<float> first(int64_t rows) const { return values_.front().matrix(rows, widths_.front()); }
  Matrix<float> last(int64_t rows) const { return values_.back().matrix(rows, widths_.back()); }
  Matrix<float> grad_first(int64_t rows) const {
    return gradients_.front().matrix(rows, widths_.front());
  }
  Matrix<float> grad_last(int64_t rows) const {
    return gradients_.back().matrix(rows, widths_.back());
  }

  /// Computes last() from first().
  /// @param layers the layers behind the first
  void forward(const std::vector<HiddenLayer>& layers, int64_t rows, ActiveRows active,
               const Stream& stream) const;
  /// Computes grad_first() from grad_last(), by the layers' outputs; the layers' gradients
  /// accumulate.
  void backward(const std::vector<HiddenLayer>& layers, int64_t rows, ActiveRows active,
                const Stream& stream) const;

 private:
  LinearCall call(const HiddenLayer& layer, size_t l, int64_t rows, ActiveRows active) const;

  int64_t capacity_ = 0;
  std::vector<int64_t> widths_;
  std::vector<DeviceArray<float>> values_, gradients_;  // [capacity, width] by layer
};

}  // namespace derrd
