#include "kernels/common/elementary.h"

#include "tests/kernels/support.h"

namespace derrd::test::elementary_test {
namespace {

__global__ void evaluate_kernel(Vector<float> exponentials, Vector<float> logarithms,
                                Vector<const float> x) {
  for (const int64_t i : units_of(SingleThread{}, x.size)) {
    exponentials[i] = exp_vectorized(x[i]);
    logarithms[i] = log_vectorized(x[i]);
  }
}

struct Values {
  std::vector<float> exponentials, logarithms;
};
Values evaluate(const std::vector<float>& x) {
  const Guarded<float> device_x(x);
  const Guarded<float> exponentials(device_x.size());
  const Guarded<float> logarithms(device_x.size());
  launch("evaluate", threads_for(device_x.size()), stream(), evaluate_kernel, exponentials.view(),
         logarithms.view(), device_x.const_view());
  return {exponentials.host(), logarithms.host()};
}

TEST(Elementary, ExponentialIsAccurate) {
  std::vector<float> x;
  for (float value = -87.3365f; value <= 88.0f; value += 0.0131f) x.push_back(value);
  const Values values = evaluate(x);
  for (size_t i = 0; i < x.size(); ++i) {
    const double exact = std::exp(static_cast<double>(x[i]));
    ASSERT_LE(std::abs(values.exponentials[i] - exact), 3e-7 * exact) << x[i];
    ASSERT_GE(values.exponentials[i], std::numeric_limits<float>::min()) << x[i];
  }
}

TEST(Elementary, ExponentialAtTheEdges) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const Values values = evaluate({0.0f, -0.0f, -87.337f, -104.0f, -1e12f, -infinity, nan});
  EXPECT_EQ(values.exponentials[0], 1.0f);
  EXPECT_EQ(values.exponentials[1], 1.0f);
  for (size_t i = 2; i < 6; ++i) EXPECT_EQ(values.exponentials[i], 0.0f) << i;
  EXPECT_TRUE(std::isnan(values.exponentials[6]));
  EXPECT_TRUE(std::isnan(values.logarithms[6]));
}

// Relative accuracy also next to 1, where -log(u) of the largest uniform numbers lies.
TEST(Elementary, LogarithmIsAccurate) {
  std::vector<float> x = {1.0f, 0x1p-24f, 0x1p-126f, 1e-10f, 1.0f - 0x1p-24f, 1.0f + 0x1p-23f};
  for (float value = 1e-12f; value < 1e12f; value *= 1.00731f) x.push_back(value);
  for (int i = 1; i < 2000; ++i) x.push_back(1.0f - static_cast<float>(i) * 0x1p-14f);
  const Values values = evaluate(x);
  EXPECT_EQ(values.logarithms[0], 0.0f);
  for (size_t i = 0; i < x.size(); ++i) {
    if (x[i] <= 0) continue;
    const double exact = std::log(static_cast<double>(x[i]));
    ASSERT_LE(std::abs(values.logarithms[i] - exact), 2e-7 * std::abs(exact)) << x[i];
  }
}

}  // namespace
}  // namespace derrd::test::elementary_test
