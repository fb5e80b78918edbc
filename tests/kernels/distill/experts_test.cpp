#include "kernels/distill/experts.h"

#include <algorithm>
#include <ostream>
#include <stdexcept>

#include "tests/kernels/distill/mixture.h"

namespace derrd::test::experts_test {
namespace {

struct Case {
  ExpertShape shape;
  int32_t count;
  double active_share;

  friend void PrintTo(const Case& c, std::ostream* out) {
    *out << "N" << c.count << "of" << c.shape.capacity << "E" << c.shape.experts;
  }
};
class ExpertsCases : public ::testing::TestWithParam<Case> {};

TEST_P(ExpertsCases, MatchesOracleOnBothPaths) {
  const Case c = GetParam();
  for (const ExpertPath path : kPaths) {
    for (const bool euclidean : {false, true}) {
      SCOPED_TRACE(name_of(path));
      Mixture mixture(c.shape, c.count, c.active_share);
      mixture.grad_weight1.set(random_normal(mixture.grad_weight1.size(), 7));
      mixture.grad_bias1.set(random_normal(mixture.grad_bias1.size(), 8));
      mixture.grad_weight2.set(random_normal(mixture.grad_weight2.size(), 9));
      mixture.grad_bias2.set(random_normal(mixture.grad_bias2.size(), 10));
      constexpr float kLossWeight = 0.5f;
      constexpr float kScale = 0.25f;
      oracle::Mixture plain = mixture.plain();
      plain.euclidean = euclidean;
      plain.loss_weight = kLossWeight;
      std::vector<std::vector<double>> expected = results_of(plain);
      const std::vector<std::vector<float>> before = mixture.results();
      for (size_t a = Mixture::kFirstGradient; a < expected.size(); ++a) {
        const bool accumulated = a >= Mixture::kFirstParameter;
        for (size_t i = 0; i < expected[a].size(); ++i) {
          expected[a][i] = kScale * expected[a][i] + (accumulated ? before[a][i] : 0.0);
        }
      }

      mixture.step(path, {euclidean ? ReconstructionNorm::kEuclidean : ReconstructionNorm::kSquared,
                          kLossWeight, kScale});
      const std::vector<std::vector<float>> results = mixture.results();
      for (size_t a = 0; a < results.size(); ++a) {
        EXPECT_TRUE(agree(results[a], expected[a])) << Mixture::kResults[a];
      }
      // Rows beyond the batch, and gradients of weights that are 0.
      const std::vector<float> loss = mixture.loss.host();
      const std::vector<float> grad = mixture.grad_reconstruction.host();
      const auto zero = [](float value) { return value == 0.0f; };
      EXPECT_TRUE(std::all_of(loss.begin() + c.count, loss.end(), zero));
      EXPECT_TRUE(std::all_of(grad.begin() + c.count * c.shape.teacher, grad.end(), zero));
      const std::vector<float> s = mixture.selection.host();
      const std::vector<float> grad_s = mixture.grad_selection.host();
      for (size_t i = 0; i < s.size(); ++i) EXPECT_TRUE(s[i] != 0 || grad_s[i] == 0.0f) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, ExpertsCases,
    ::testing::Values(Case{{3, 4, 5, 6, 0}, 0, 1.0}, Case{{3, 4, 5, 6, 8}, 0, 1.0},
                      Case{{1, 4, 5, 6, 9}, 7, 1.0}, Case{{1, 1, 1, 1, 2}, 2, 0.5},
                      Case{{3, 4, 5, 6, 33}, 31, 0.5}, Case{{33, 5, 7, 3, 32}, 32, 1.0},
                      Case{{33, 5, 7, 3, 40}, 33, 0.05}, Case{{5, 31, 33, 32, 20}, 19, 0.0},
                      Case{{4, 20, 66, 70, 70}, 68, 0.4},
                      // On the CPU two slices of entities and two of experts.
                      Case{{7, 4, 6, 5, 600}, 530, 0.5}),
    ::testing::PrintToStringParamName());

// The two paths on one problem of DE's own shape, with all pairs active, few, none.
TEST(Experts, SkippingEqualsTheFullComputation) {
  for (const double share : {1.0, 0.1, 0.0}) {
    const ExpertShape shape = {30, 20, 11, 20, 40};
    const Mixture stacked(shape, 38, share);
    const Mixture routed(shape, 38, share);
    stacked.step(ExpertPath::kStacked);
    routed.step(ExpertPath::kRouted);
    const auto a = stacked.results();
    const auto b = routed.results();
    for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(agree(a[i], to_double(b[i]))) << i;
  }
}

// Whatever an expert's hidden layer overflows to, entities that do not weigh it do not notice.
TEST(Experts, AnExpertOfWeightZeroContributesNothing) {
  for (const ExpertPath path : kPaths) {
    const ExpertShape shape = {3, 4, 5, 6, 8};
    Mixture mixture(shape, 8, 1.0);
    std::vector<float> s = mixture.selection.host();
    for (size_t n = 0; n < 8; ++n) s[n * 3 + 1] = 0;
    mixture.selection.set(s);
    Mixture reference(shape, 8, 1.0);
    reference.selection.set(s);
    std::vector<float> weight1 = mixture.weight1.to_host(stream());
    for (size_t i = 5 * 4; i < 2 * 5 * 4; ++i) weight1[i] = 3e38f;
    mixture.weight1 = cases::to_device(weight1);
    mixture.step(path);
    reference.step(path);
    EXPECT_EQ(mixture.results(), reference.results());
  }
}

// Both paths keep s A alone: as long as it is a normal number the gradient by the weight still is
// A . G + b2 . Q.
TEST(Experts, GradientOfTinyWeights) {
  for (const ExpertPath path : kPaths) {
    Mixture mixture({3, 4, 5, 6, 8}, 8, 1.0);
    std::vector<float> s = mixture.selection.host();
    for (size_t n = 0; n < 8; ++n) s[n * 3 + 1] = 1e-30f;
    mixture.selection.set(s);
    mixture.step(path);
    EXPECT_TRUE(
        agree(mixture.grad_selection.host(), oracle::mixture_backward(mixture.plain()).selection));
  }
}

// Three passes in the same launches, two of them through one mixture, whose gradients add up.
TEST(Experts, SeveralPassesEqualOneAfterTheOther) {
  const ExpertShape shape = {7, 20, 11, 33, 40};
  for (const ExpertPath path : kPaths) {
    const Mixture other({3, 4, 5, 6, 9}, 7, 0.5), other_alone({3, 4, 5, 6, 9}, 7, 0.5);
    const Mixture first(shape, 38, 0.3), second(shape, 30, 0.4);
    const Mixture first_alone(shape, 38, 0.3), second_alone(shape, 30, 0.4);
    const auto in_parameters_of = [&](const Mixture& target, const Mixture& pass) {
      ExpertsGradients gradients = pass.gradients();
      gradients.parameters = target.gradients().parameters;
      return gradients;
    };
    CallList<ExpertsForward> forward;
    CallList<ReconstructionCall> loss;
    CallList<ExpertsBackward> backward;
    for (const Mixture* pass : {&other, &first, &second}) {
      const int64_t teacher = pass->shape.teacher;
      forward.add({pass->rows(pass->reconstruction, teacher), pass->call(path)});
      loss.add(pass->reconstruction_call());
      backward.add({in_parameters_of(pass == &other ? other : first, *pass),
                    pass->rows(pass->grad_reconstruction, teacher), pass->call(path)});
    }
    experts_forward(forward, stream());
    reconstruction_loss(loss, stream());
    experts_backward(backward, stream());
    for (const Mixture* pass : {&other_alone, &first_alone, &second_alone}) pass->step(path);

    const auto expected_first = first_alone.results(), expected_second = second_alone.results();
    for (size_t i = 0; i < std::size(Mixture::kResults); ++i) {
      SCOPED_TRACE(Mixture::kResults[i]);
      std::vector<double> expected = to_double(expected_first[i]);
      if (i < Mixture::kFirstParameter) {
        EXPECT_TRUE(agree(second.results()[i], to_double(expected_second[i])));
      } else {
        for (size_t j = 0; j < expected.size(); ++j) expected[j] += expected_second[i][j];
      }
      EXPECT_TRUE(agree(first.results()[i], expected));
      EXPECT_TRUE(agree(other.results()[i], to_double(other_alone.results()[i])));
    }
  }
}

TEST(Experts, SameBitsAtAnyNumberOfThreads) {
  for (const ExpertPath path : kPaths) {
    std::vector<std::vector<std::vector<float>>> results;
    for (const int threads : {1, 2, 2}) {
      set_threads(threads);
      const Mixture mixture({8, 20, 40, 50, 530}, 397, 0.5);
      mixture.step(path);
      results.push_back(mixture.results());
    }
    set_threads(0);
    EXPECT_EQ(results[0], results[1]);
    EXPECT_EQ(results[1], results[2]);
  }
}

TEST(Experts, RejectsBadShapes) {
  const Mixture mixture({3, 4, 5, 6, 8}, 8, 1.0);
  const auto workspace = [&](int64_t floats, int64_t integers) {
    make_experts_workspaces(mixture.shape, mixture.floats.view().slice(0, floats),
                            mixture.integers.view().slice(0, integers));
  };
  EXPECT_THROW(workspace(mixture.floats.size() - 1, mixture.integers.size()),
               std::invalid_argument);
  EXPECT_THROW(workspace(mixture.floats.size(), mixture.integers.size() - 1),
               std::invalid_argument);
  ExpertsCall wrong_student = mixture.call(ExpertPath::kStacked);
  wrong_student.student = mixture.student.matrix(4, 8);
  const ExpertsForward forward = {mixture.reconstruction.matrix(8, 6), wrong_student};
  EXPECT_THROW(experts_forward(forward, stream()), std::invalid_argument);
  ExpertsGradients gradients = mixture.gradients();
  gradients.parameters.bias2.rows = 2;
  const ExpertsBackward backward = {gradients, mixture.grad_reconstruction.matrix(8, 6),
                                    mixture.call(ExpertPath::kRouted)};
  EXPECT_THROW(experts_backward(backward, stream()), std::invalid_argument);
  CallList<ExpertsForward> both;
  for (const ExpertPath path : kPaths) {
    both.add({mixture.reconstruction.matrix(8, 6), mixture.call(path)});
  }
  EXPECT_THROW(experts_forward(both, stream()), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::experts_test
