#include "engine/parameters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "engine/distill/de/de.h"
#include "engine/models/bpr.h"

namespace derrd::test::parameters_test {
namespace {

const Stream& stream() {
  static const Stream instance;
  return instance;
}

// Table 3 of the paper, its phantom user and item included.
TEST(Parameters, CountsOfBpr) {
  const auto count = [](int64_t users, int64_t items, int64_t dim) {
    Parameters parameters;
    const BprModel model(users, items, dim, 1024, parameters);
    return parameters.count();
  };
  EXPECT_EQ(count(5220, 25182, 200), 6'080'400);
  EXPECT_EQ(count(5220, 25182, 100), 3'040'200);
  EXPECT_EQ(count(5220, 25182, 20), 608'040);
  EXPECT_EQ(count(19466, 28594, 200), 9'612'000);
  EXPECT_EQ(count(19466, 28594, 100), 4'806'000);
  EXPECT_EQ(count(19466, 28594, 20), 961'200);
}

TEST(Parameters, CountsOfExpertsAndGates) {
  Parameters parameters;
  const BprModel student(1, 1, 20, 1, parameters);
  const DeviceArray<float> vector(200);
  const EmbeddingTables teacher = {vector.matrix(1, 200)};
  const DeLoss de(1.0, {}, {teacher, teacher}, student, 1, parameters);
  EXPECT_EQ(parameters.count("de.user.expert.") + parameters.count("de.item.expert."), 1'470'600);
  EXPECT_EQ(parameters.count("de.user.gate.") + parameters.count("de.item.gate."), 12'060);
  EXPECT_EQ(parameters.count("de."), 1'470'600 + 12'060);
}

/// The largest size of a matrix's numbers, and the root of the mean of their squares.
struct Spread {
  double largest = 0, deviation = 0;
};
Spread spread_of(Matrix<const float> matrix) {
  std::vector<float> values(static_cast<size_t>(matrix.size()));
  copy_to_host(values.data(), matrix.data, matrix.size() * 4, stream());
  Spread spread;
  for (const float v : values) {
    spread.largest = std::max(spread.largest, std::abs(static_cast<double>(v)));
    spread.deviation += static_cast<double>(v) * v / static_cast<double>(values.size());
  }
  spread.deviation = std::sqrt(spread.deviation);
  return spread;
}

// Embeddings as the authors' program's, experts and gates as PyTorch's linear layers, of which each
// is uniform in +-1/sqrt(numbers that it reads), biases too.
TEST(Parameters, StartAsThePapers) {
  Parameters parameters;
  const BprModel student(300, 400, 20, 1, parameters);
  const DeviceArray<float> vector(200);
  const EmbeddingTables teacher = {vector.matrix(1, 200)};
  const DeLoss de(1.0, {}, {teacher, teacher}, student, 1, parameters);
  parameters.allocate(3, stream());
  for (const int64_t table : {0, 1}) {
    EXPECT_NEAR(spread_of(parameters.value({table})).deviation, 0.01, 3e-4) << table;
  }
  // Gate [E, T] and [1, E], first layers [E H, D] and [1, E H], second ones [E H, T] and [E, T].
  const double reads[] = {200, 200, 20, 20, 110, 110};
  for (int64_t side = 0; side < 2; ++side) {
    for (int64_t m = 0; m < 6; ++m) {
      const Matrix<const float> matrix = parameters.value({2 + 6 * side + m});
      const double bound = 1 / std::sqrt(reads[m]);
      const Spread spread = spread_of(matrix);
      EXPECT_LE(spread.largest, bound) << m;
      // Of n uniform numbers: the deviation's own relative error is below 1 / sqrt(n).
      EXPECT_NEAR(spread.deviation, bound / std::sqrt(3.0),
                  3 * bound / std::sqrt(static_cast<double>(matrix.size())))
          << m;
    }
  }
}

TEST(Parameters, MatricesDoNotOverlapAndStartAsDeclared) {
  Parameters parameters;
  using Kind = Parameters::Initial::Kind;
  const ParameterId a = parameters.declare("a", 3, 5, {Kind::kUniform, 0.5f});
  const ParameterId b = parameters.declare("b", 1, 1, {Kind::kUniform, 0.0f});
  const ParameterId c = parameters.declare("c", 100, 100, {Kind::kNormal, 2.0f});
  parameters.allocate(1, stream());
  EXPECT_EQ(parameters.count(), 15 + 1 + 10000);
  EXPECT_GE(parameters.value(b).data, parameters.value(a).data + 15);
  EXPECT_GE(parameters.value(c).data, parameters.value(b).data + 1);
  EXPECT_EQ(parameters.gradient(c).data - parameters.gradients().data,
            parameters.value(c).data - parameters.values().data);

  std::vector<float> host(static_cast<size_t>(parameters.values().size));
  const auto read = [&](Vector<const float> v) {
    copy_to_host(host.data(), v.data, v.size * 4, stream());
  };
  read(parameters.values());
  const auto offset = parameters.value(c).data - parameters.values().data;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < 10000; ++i) {
    const double x = host[static_cast<size_t>(offset + i)];
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / 10000, 0, 5 * 2.0 / 100);           // five standard errors of the mean
  EXPECT_NEAR(squares / 10000, 4, 5 * 4 * 0.01414214);  // and of the variance
  for (int i = 0; i < 15; ++i) EXPECT_LT(std::abs(host[static_cast<size_t>(i)]), 0.5f);
  read(parameters.gradients());
  for (const float g : host) ASSERT_EQ(g, 0.0f);
}

TEST(Parameters, SameSeedSameBitsAndLaterDeclarationsChangeNothing) {
  const auto first_values = [](uint64_t seed, bool more) {
    Parameters parameters;
    const ParameterId a = parameters.declare("a", 7, 9, {Parameters::Initial::Kind::kNormal, 1.0f});
    if (more) parameters.declare("b", 4, 4, {Parameters::Initial::Kind::kUniform, 1.0f});
    parameters.allocate(seed, stream());
    std::vector<float> host(63);
    copy_to_host(host.data(), parameters.value(a).data, 63 * 4, stream());
    return host;
  };
  EXPECT_EQ(first_values(5, false), first_values(5, true));
  EXPECT_NE(first_values(5, false), first_values(6, false));
}

TEST(Parameters, DeclaringAfterAllocationIsAMistake) {
  Parameters parameters;
  parameters.declare("a", 1, 1, {});
  parameters.allocate(0, stream());
  EXPECT_THROW(parameters.declare("b", 1, 1, {}), std::logic_error);
}

}  // namespace
}  // namespace derrd::test::parameters_test
