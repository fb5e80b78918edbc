#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/platform/memory.h"
#include "kernels/random_key.h"
#include "kernels/views.h"

namespace derrd {

/// Names one parameter matrix within Parameters.
struct ParameterId {
  int64_t index = -1;
};

/// All trainable numbers of a run in one arena: values, gradients and Adam's two moments, each
/// contiguous, so that the optimizer is one launch over flat arrays. Matrices are declared first,
/// in an order that is part of the run's result (initial values are drawn by position), then the
/// memory is allocated once.
class Parameters {
 public:
  /// How a matrix starts out.
  struct Initial {
    enum class Kind { kNormal, kUniform };
    Kind kind = Kind::kNormal;
    float scale = 0.0f;  ///< standard deviation, or the bound of the uniform distribution
  };

  /// Declares a matrix [rows, cols]; a vector has one row.
  /// @throws std::logic_error after allocate().
  ParameterId declare(std::string name, int64_t rows, int64_t cols, Initial initial);

  /// Allocates the arena, draws the initial values and zeroes the rest.
  void allocate(uint64_t seed, const Stream& stream);

  Matrix<float> value(ParameterId id) const { return matrix(values_, id); }
  Matrix<float> gradient(ParameterId id) const { return matrix(gradients_, id); }

  Vector<float> values() const { return values_.view(); }
  Vector<float> gradients() const { return gradients_.view(); }
  Vector<float> first_moments() const { return first_moments_.view(); }
  Vector<float> second_moments() const { return second_moments_.view(); }

  /// Numbers in all declared matrices together, padding not counted.
  int64_t count() const;
  /// The same for the matrices whose names begin with `prefix`.
  int64_t count(std::string_view prefix) const;

 private:
  struct Declared {
    std::string name;
    int64_t rows, cols, offset;
    Initial initial;
  };
  Matrix<float> matrix(const DeviceArray<float>& array, ParameterId id) const;

  std::vector<Declared> declared_;
  int64_t size_ = 0;
  bool allocated_ = false;
  DeviceArray<float> values_, gradients_, first_moments_, second_moments_;
};

}  // namespace derrd
