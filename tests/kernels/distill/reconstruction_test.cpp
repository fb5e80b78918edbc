#include "kernels/distill/reconstruction.h"

#include <limits>
#include <stdexcept>

#include "tests/kernels/support.h"

namespace derrd::test::reconstruction_test {
namespace {

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
