#include "engine/parameters.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "engine/distill/de/de.h"
#include "engine/models/bpr.h"
#include "engine/models/catalogue.h"
#include "engine/models/neumf.h"
#include "tests/to_host.h"

namespace derrd::test::parameters_test {
namespace {

// Table 3 of the paper, its phantom user and item included.
TEST(Parameters, CountsOfModels) {
  const auto count = [](std::string_view kind, int64_t users, int64_t items, int64_t dim) {
    Parameters parameters;
    make_model(kind, users, items, {.dim = dim, .batch_size = 1}, parameters);
    return parameters.count();
  };
  EXPECT_EQ(count("bpr", 5220, 25182, 200), 6'080'400);
  EXPECT_EQ(count("bpr", 5220, 25182, 100), 3'040'200);
  EXPECT_EQ(count("bpr", 5220, 25182, 20), 608'040);
  EXPECT_EQ(count("bpr", 19466, 28594, 200), 9'612'000);
  EXPECT_EQ(count("bpr", 19466, 28594, 100), 4'806'000);
  EXPECT_EQ(count("bpr", 19466, 28594, 20), 961'200);
  EXPECT_EQ(count("neumf", 5220, 25182, 250), 15'326'751);
  EXPECT_EQ(count("neumf", 5220, 25182, 125), 7'632'126);
  EXPECT_EQ(count("neumf", 5220, 25182, 25), 1'521'426);
  EXPECT_EQ(count("neumf", 19466, 28594, 250), 24'155'751);
  EXPECT_EQ(count("neumf", 19466, 28594, 125), 12'046'626);
  EXPECT_EQ(count("neumf", 19466, 28594, 25), 2'404'326);
}

/// A student of dimension 20 with experts for a teacher of dimension 200.
struct StudentWithExperts {
  StudentWithExperts(int64_t users, int64_t items)
      : student(users, items, 20, 1, parameters),
        de(1.0, {}, {teacher, teacher}, student, 1, parameters) {}
  Parameters parameters;
  BprModel student;
  DeviceArray<float> vector{200};
  EmbeddingTables teacher = {vector.matrix(1, 200)};
  DeLoss de;
};

TEST(Parameters, CountsOfExpertsAndGates) {
  const StudentWithExperts s(1, 1);
  const auto count = [&](const char* what) { return s.parameters.count(what); };
  EXPECT_EQ(count("de.user.expert.") + count("de.item.expert."), 1'470'600);
  EXPECT_EQ(count("de.user.gate.") + count("de.item.gate."), 12'060);
  EXPECT_EQ(count("de."), 1'470'600 + 12'060);
}

/// The root of the mean of the squares of a matrix's numbers.
double deviation(const std::vector<float>& values) {
  double squares = 0;
  for (const float v : values) squares += double{v} * v;
  return std::sqrt(squares / static_cast<double>(values.size()));
}
void expect_uniform(const std::vector<float>& values, double bound, const std::string& name) {
  for (const float v : values) ASSERT_LE(std::abs(v), bound) << name;
  // n uniform numbers: the deviation's own relative error is below 1 / sqrt(n).
  EXPECT_NEAR(deviation(values), bound / std::sqrt(3.0),
              3 * bound / std::sqrt(static_cast<double>(values.size())))
      << name;
}

// Embeddings as in the authors' program, experts and gates as in PyTorch's linear layers: each is
// uniform in +-1/sqrt(numbers that it reads), biases too.
TEST(Parameters, BprAndExpertsStartAsThePapers) {
  StudentWithExperts s(300, 400);
  s.parameters.allocate(3, stream());
  const auto values = [&](int64_t id) { return to_host(s.parameters.value({id})); };
  for (const int64_t table : {0, 1}) EXPECT_NEAR(deviation(values(table)), 0.01, 3e-4) << table;
  // Gate [E, T] and [1, E], first layers [E H, D] and [1, E H], second ones [E H, T] and [E, T].
  const double reads[] = {200, 200, 20, 20, 110, 110};
  for (int64_t m = 0; m < 12; ++m) {
    expect_uniform(values(2 + m), 1 / std::sqrt(reads[m % 6]), std::to_string(m));
  }
}

TEST(Parameters, NeumfStartsAsThePapers) {
  Parameters parameters;
  const NeumfModel model({300, 400, 40, 2}, 4, parameters);
  parameters.allocate(5, stream());
  for (const NamedMatrix& tensor : model.tensors()) {
    const std::vector<float> values = to_host(tensor.value);
    if (tensor.name.ends_with("bias")) {
      EXPECT_EQ(deviation(values), 0) << tensor.name;
    } else if (tensor.name.starts_with("hidden.1")) {
      expect_uniform(values, std::sqrt(6.0 / (80 + 40)), tensor.name);
    } else if (tensor.name.starts_with("hidden.2")) {
      expect_uniform(values, std::sqrt(6.0 / (40 + 20)), tensor.name);
    } else if (tensor.name == "output.weight") {
      expect_uniform(values, std::sqrt(6.0 / 60), tensor.name);
    } else {
      EXPECT_NEAR(deviation(values), 0.01, 3e-4) << tensor.name;
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

  double sum = 0, squares = 0;
  for (const double x : to_host(parameters.value(c))) {
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / 10000, 0, 5 * 2.0 / 100);           // five standard errors of the mean
  EXPECT_NEAR(squares / 10000, 4, 5 * 4 * 0.01414214);  // and of the variance
  for (const float x : to_host(parameters.value(a))) EXPECT_LT(std::abs(x), 0.5f);
  for (const float g : to_host(parameters.gradients())) ASSERT_EQ(g, 0.0f);
}

TEST(Parameters, SameSeedSameBitsAndLaterDeclarationsChangeNothing) {
  const auto first_values = [](uint64_t seed, bool more) {
    Parameters parameters;
    const ParameterId a = parameters.declare("a", 7, 9, {Parameters::Initial::Kind::kNormal, 1.0f});
    if (more) parameters.declare("b", 4, 4, {Parameters::Initial::Kind::kUniform, 1.0f});
    parameters.allocate(seed, stream());
    return to_host(parameters.value(a));
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
