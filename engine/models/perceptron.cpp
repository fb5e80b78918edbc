#include "engine/models/perceptron.h"

#include <fmt/format.h>

#include <numeric>
#include <utility>

#include "data/error.h"

namespace derrd {

std::vector<int64_t> hidden_widths(int64_t dim, int64_t layers) {
  std::vector<int64_t> widths;
  for (int64_t width = dim; static_cast<int64_t>(widths.size()) < layers; width /= 2) {
    if (width == 0) {
      throw Error(fmt::format(
          "with a dimension of {}, hidden layer {} has no unit, as each is half as wide "
          "as the one before; take fewer layers or a larger dimension",
          dim, widths.size() + 1));
    }
    widths.push_back(width);
  }
  return widths;
}

HiddenRows::HiddenRows(int64_t capacity, std::vector<int64_t> widths, Purpose purpose)
    : capacity_(capacity), widths_(std::move(widths)) {
  for (const int64_t width : widths_) {
    values_.emplace_back(capacity * width);
    if (purpose == Purpose::kTrain) gradients_.emplace_back(capacity * width);
  }
}

int64_t HiddenRows::device_bytes(int64_t capacity, const std::vector<int64_t>& widths,
                                 Purpose purpose) {
  const int64_t width = std::accumulate(widths.begin(), widths.end(), int64_t{0});
  const int64_t arrays = purpose == Purpose::kTrain ? 2 : 1;
  return arrays * capacity * width * static_cast<int64_t>(sizeof(float));
}

LinearCall HiddenRows::call(const HiddenLayer& layer, size_t l, int64_t rows,
                            ActiveRows active) const {
  return {.in = values_[l].matrix(rows, widths_[l]),
          .weight = layer.weight,
          .bias = layer.bias,
          .activation = Activation::kRelu,
          .active = active};
}

void HiddenRows::forward(const std::vector<HiddenLayer>& layers, int64_t rows, ActiveRows active,
                         const Stream& stream) const {
  for (size_t l = 0; l < layers.size(); ++l) {
    linear_forward(values_[l + 1].matrix(rows, widths_[l + 1]), call(layers[l], l, rows, active),
                   stream);
  }
}

void HiddenRows::backward(const std::vector<HiddenLayer>& layers, int64_t rows, ActiveRows active,
                          const Stream& stream) const {
  for (size_t l = layers.size(); l-- > 0;) {
    linear_backward({.in = gradients_[l].matrix(rows, widths_[l]),
                     .weight = layers[l].grad_weight,
                     .bias = layers[l].grad_bias},
                    gradients_[l + 1].matrix(rows, widths_[l + 1]),
                    values_[l + 1].matrix(rows, widths_[l + 1]), call(layers[l], l, rows, active),
                    stream);
  }
}

}  // namespace derrd
