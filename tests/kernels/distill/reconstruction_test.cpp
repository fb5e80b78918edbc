#include "kernels/distill/reconstruction.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "tests/kernels/support.h"

namespace derrd::test::reconstruction_test {
namespace {

/// Random rows, the last of which is NaN.
std::vector<float> rows_and_nan(int64_t rows, int64_t cols, uint64_t seed) {
  std::vector<float> values = random_normal(rows * cols, seed);
  std::fill(values.end() - cols, values.end(), std::numeric_limits<float>::quiet_NaN());
  return values;
}

/// Entities of a call: all rows but the last are active.
struct Entities {
  Entities(int64_t n, int64_t width, uint64_t seed)
      : size(n),
        cols(width),
        r(rows_and_nan(n, width, seed)),
        t(rows_and_nan(n, width, seed + 1)),
        reconstruction(r),
        teacher(t),
        loss(n),
        grad(n * width),
        active({static_cast<int32_t>(n - 1)}) {}

  ReconstructionCall call(const ReconstructionOptions& options) const {
    return {.loss = loss.view(),
            .grad_reconstruction = grad.matrix(size, cols),
            .reconstruction = reconstruction.matrix(size, cols),
            .teacher = teacher.matrix(size, cols),
            .options = options,
            .active = active.data()};
  }

  /// Compares loss and gradient with equations 6 and 7 in double precision.
  void expect_equations(const ReconstructionOptions& options) const {
    std::vector<double> losses, gradient;
    for (int64_t n = 0; n < size; ++n) {
      const bool is_active = n + 1 < size;
      std::vector<double> difference;
      double squares = 0;
      for (int64_t k = 0; k < cols; ++k) {
        const auto i = static_cast<size_t>(n * cols + k);
        difference.push_back(is_active ? double{r[i]} - double{t[i]} : 0.0);
        squares += difference.back() * difference.back();
      }
      const bool squared = options.norm == ReconstructionNorm::kSquared;
      const double slope = squared ? 2 : 1 / std::sqrt(squares);
      losses.push_back(options.loss_weight * (squared ? squares : std::sqrt(squares)));
      for (const double d : difference) {
        gradient.push_back(
            is_active ? double{options.gradient_scale} * options.loss_weight * slope * d : 0.0);
      }
    }
    EXPECT_TRUE(close(loss.host(), losses, 0, 1e-5));
    EXPECT_TRUE(close(grad.host(), gradient, 1e-7, 1e-5));
    EXPECT_EQ(loss.host().back(), 0.0f);
  }

  int64_t size, cols;
  std::vector<float> r, t;
  Guarded<float> reconstruction, teacher, loss, grad;
  Guarded<int32_t> active;
};

// Rows of 32, 64 and 200 floats are whole quads, which a GPU reads four rows at a time.
TEST(ReconstructionLoss, MatchesTheEquations) {
  for (const int64_t cols : {1, 5, 32, 33, 64, 200}) {
    for (const ReconstructionNorm norm :
         {ReconstructionNorm::kSquared, ReconstructionNorm::kEuclidean}) {
      const ReconstructionOptions options = {norm, 0.5f, 3.0f};
      const Entities few(2, cols, 1), many(11, cols, 3);
      CallList<ReconstructionCall> calls = few.call(options);
      calls.add(many.call(options));
      reconstruction_loss(calls, stream());
      few.expect_equations(options);
      many.expect_equations(options);
    }
  }
}

TEST(ReconstructionLoss, EuclideanDistanceZeroHasNoGradient) {
  const Guarded<float> vector(random_normal(5, 1));
  const Guarded<float> loss(1);
  const Guarded<float> grad(5);
  const Guarded<int32_t> active({1});
  reconstruction_loss(ReconstructionCall{.loss = loss.view(),
                                         .grad_reconstruction = grad.matrix(1, 5),
                                         .reconstruction = vector.matrix(1, 5),
                                         .teacher = vector.matrix(1, 5),
                                         .options = {ReconstructionNorm::kEuclidean},
                                         .active = active.data()},
                      stream());
  EXPECT_EQ(loss.host()[0], 0.0f);
  EXPECT_EQ(grad.host(), std::vector<float>(5, 0.0f));
}

TEST(ReconstructionLoss, KeepsNanOfTheTeacher) {
  std::vector<float> t = random_normal(10, 1);
  t[2] = std::numeric_limits<float>::quiet_NaN();
  const Guarded<float> teacher(t);
  const Guarded<float> reconstruction(random_normal(10, 2));
  const Guarded<float> loss(2);
  const Guarded<float> grad(10);
  const Guarded<int32_t> active({2});
  reconstruction_loss(ReconstructionCall{.loss = loss.view(),
                                         .grad_reconstruction = grad.matrix(2, 5),
                                         .reconstruction = reconstruction.matrix(2, 5),
                                         .teacher = teacher.matrix(2, 5),
                                         .active = active.data()},
                      stream());
  EXPECT_TRUE(std::isnan(loss.host()[0]));
  EXPECT_FALSE(std::isnan(loss.host()[1]));
}

TEST(ReconstructionLoss, RejectsBadShapes) {
  const Guarded<float> memory(100);
  const auto call = [&](int64_t losses, int64_t rows, int64_t cols) {
    reconstruction_loss(ReconstructionCall{.loss = memory.view().slice(0, losses),
                                           .grad_reconstruction = memory.matrix(8, cols),
                                           .reconstruction = memory.matrix(8, 6),
                                           .teacher = memory.matrix(rows, 6)},
                        stream());
  };
  EXPECT_THROW(call(7, 8, 6), std::invalid_argument);
  EXPECT_THROW(call(8, 6, 6), std::invalid_argument);
  EXPECT_THROW(call(8, 8, 5), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::reconstruction_test
