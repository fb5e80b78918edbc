#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "tests/cases/experts.h"
#include "tests/kernels/support.h"
#include "tests/oracles/experts.h"

namespace derrd::test {

constexpr ExpertPath kPaths[] = {ExpertPath::kStacked, ExpertPath::kRouted};
inline const char* name_of(ExpertPath path) {
  return path == ExpertPath::kStacked ? "stacked" : "routed";
}

/// The first `count` values.
inline std::vector<float> first(std::vector<float> values, int64_t count) {
  values.resize(static_cast<size_t>(count));
  return values;
}

/// A mixture in which NaN stands wherever a pass may not read.
struct Mixture : cases::ExpertsCase<Guarded> {
  Mixture(const ExpertShape& s, int32_t active, double active_share)
      : ExpertsCase(s, active, random_selection(s, active, active_share), 1.0f) {
    constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
    floats.set(std::vector<float>(static_cast<size_t>(floats.size()), kNaN));
    std::vector<float> vectors = teacher.to_host(stream());
    std::fill(vectors.begin() + count * s.teacher, vectors.end(), kNaN);
    teacher = cases::to_device(vectors);
  }
  /// Weights in (0, 1), about `share` of them not 0; unless all are, entity 0 has none and entity 1
  /// exactly one.
  static std::vector<float> random_selection(const ExpertShape& s, int64_t active, double share) {
    std::mt19937_64 generator(11);
    std::uniform_real_distribution<float> uniform(0.01f, 1.0f);
    std::bernoulli_distribution drawn(share);
    std::vector<float> weights(static_cast<size_t>(s.capacity * s.experts));
    for (int64_t n = 0; n < active; ++n) {
      for (int64_t m = 0; m < s.experts; ++m) {
        const bool chosen = n == 0 ? share == 1 : n == 1 ? m == s.experts / 2 : drawn(generator);
        const float weight = uniform(generator);
        if (chosen) weights[static_cast<size_t>(n * s.experts + m)] = weight;
      }
    }
    return weights;
  }

  oracle::Mixture plain() const {
    const auto host = [](const DeviceArray<float>& array) {
      return to_double(array.to_host(stream()));
    };
    const auto active = [&](const std::vector<float>& values, int64_t cols) {
      return to_double(first(values, count * cols));
    };
    return {count,
            shape.experts,
            shape.student,
            shape.hidden,
            shape.teacher,
            active(student.to_host(stream()), shape.student),
            active(teacher.to_host(stream()), shape.teacher),
            active(selection.host(), shape.experts),
            host(weight1),
            host(bias1),
            host(weight2),
            host(bias2)};
  }
  static constexpr const char* kResults[] = {"reconstruction", "loss",         "grad_student",
                                             "grad_selection", "grad_weight1", "grad_bias1",
                                             "grad_weight2",   "grad_bias2"};
  static constexpr size_t kFirstGradient = 2;
  static constexpr size_t kFirstParameter = 4;
  /// Everything that a step computes of the active rows: the arrays that kResults names.
  std::vector<std::vector<float>> results() const {
    return {first(reconstruction.host(), count * shape.teacher),
            first(loss.host(), count),
            first(grad_student.host(), count * shape.student),
            first(grad_selection.host(), count * shape.experts),
            grad_weight1.host(),
            grad_bias1.host(),
            grad_weight2.host(),
            grad_bias2.host()};
  }
};

/// Mixture::results() in double; gradients of the sum of the losses.
inline std::vector<std::vector<double>> results_of(const oracle::Mixture& plain) {
  const oracle::MixtureForward forward = oracle::mixture_forward(plain);
  const oracle::MixtureGradients grad = oracle::mixture_backward(plain);
  return {forward.reconstruction, forward.loss, grad.student, grad.selection,
          grad.weight1,           grad.bias1,   grad.weight2, grad.bias2};
}

inline double largest(const std::vector<double>& values) {
  double size = 0;
  for (const double v : values) size = std::max(size, std::abs(v));
  return size;
}

/// Compares arrays that are sums of up to E H = 1000 terms each. Their errors have random sign and
/// a few roundings (6e-8) of the array's largest value each; 1e-5 of it holds what occurs.
inline ::testing::AssertionResult agree(const std::vector<float>& actual,
                                        const std::vector<double>& expected) {
  constexpr double kTolerance = 1e-5;
  return close(actual, expected, kTolerance * (largest(expected) + 1e-30), kTolerance);
}

}  // namespace derrd::test
