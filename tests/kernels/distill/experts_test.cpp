#include "kernels/distill/experts.h"

#include <algorithm>
#include <stdexcept>

#include "kernels/distill/gumbel_softmax.h"
#include "kernels/distill/reconstruction.h"
#include "kernels/models/linear.h"
#include "tests/finite_differences.h"
#include "tests/kernels/support.h"
#include "tests/oracles/experts.h"
#include "tests/oracles/gumbel_softmax.h"
#include "tests/oracles/linear.h"

namespace derrd::test::experts_test {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr ExpertPath kPaths[] = {ExpertPath::kStacked, ExpertPath::kRouted};

std::vector<float> first(std::vector<float> values, int64_t count) {
  values.resize(static_cast<size_t>(count));
  return values;
}

/// Random values in the first `live` rows; `rest` behind them.
std::vector<float> padded(int64_t rows, int64_t live, int64_t cols, uint64_t seed, float rest) {
  std::vector<float> values = random_normal(rows * cols, seed);
  std::fill(values.begin() + live * cols, values.end(), rest);
  return values;
}

/// A mixture with every array that a step needs; what a pass may not read holds NaN.
struct Mixture {
  Mixture(ExpertShape sizes, int32_t live, double live_share)
      : shape(sizes),
        count(live),
        student(padded(shape.capacity, count, shape.student, 1, 0.0f)),
        teacher(padded(shape.capacity, count, shape.teacher, 2, kNaN)),
        selection(random_selection(live_share)),
        weight1(random_normal(hidden() * shape.student, 3)),
        bias1(random_normal(hidden(), 4)),
        weight2(random_normal(hidden() * shape.teacher, 5)),
        bias2(random_normal(shape.experts * shape.teacher, 6)),
        floats(std::vector<float>(static_cast<size_t>(experts_workspace_floats(shape)), kNaN)),
        integers(experts_workspace_integers(shape)),
        live_rows({count}),
        reconstruction(shape.capacity * shape.teacher),
        loss(shape.capacity),
        grad_reconstruction(shape.capacity * shape.teacher),
        grad_student(shape.capacity * shape.student),
        grad_selection(shape.capacity * shape.experts),
        grad_weight1(random_normal(hidden() * shape.student, 7)),
        grad_bias1(random_normal(hidden(), 8)),
        grad_weight2(random_normal(hidden() * shape.teacher, 9)),
        grad_bias2(random_normal(shape.experts * shape.teacher, 10)) {}

  int64_t hidden() const { return shape.experts * shape.hidden; }
  /// Weights in (0, 1), about `share` of them not 0; entity 0 has none, entity 1 exactly one.
  std::vector<float> random_selection(double share) const {
    std::mt19937_64 generator(11);
    std::uniform_real_distribution<float> uniform(0.01f, 1.0f);
    std::bernoulli_distribution lives(share);
    std::vector<float> weights(static_cast<size_t>(shape.capacity * shape.experts));
    for (int64_t n = 0; n < count; ++n) {
      for (int64_t m = 0; m < shape.experts; ++m) {
        const bool live = n == 0 ? share == 1 : n == 1 ? m == shape.experts / 2 : lives(generator);
        const float weight = uniform(generator);
        if (live) weights[static_cast<size_t>(n * shape.experts + m)] = weight;
      }
    }
    return weights;
  }
  ExpertParameters parameters() const {
    return {weight1.matrix(hidden(), shape.student), bias1.view(),
            weight2.matrix(hidden(), shape.teacher), bias2.matrix(shape.experts, shape.teacher)};
  }
  ExpertParameterGradients gradients() const {
    return {grad_weight1.matrix(hidden(), shape.student), grad_bias1.view(),
            grad_weight2.matrix(hidden(), shape.teacher),
            grad_bias2.matrix(shape.experts, shape.teacher)};
  }
  ExpertsWorkspace workspace() const {
    return make_experts_workspace(shape, floats.view(), integers.view());
  }
  Matrix<float> of_capacity(const Guarded<float>& array, int64_t cols) const {
    return array.matrix(shape.capacity, cols);
  }

  ExpertsCall call(ExpertPath path) const {
    return {.student = of_capacity(student, shape.student),
            .selection = of_capacity(selection, shape.experts),
            .parameters = parameters(),
            .workspace = workspace(),
            .path = path,
            .active = live_rows.data()};
  }
  void step(ExpertPath path, ReconstructionOptions options = {}) const {
    const ExpertsCall pass = call(path);
    experts_forward(of_capacity(reconstruction, shape.teacher), pass, stream());
    reconstruction_loss(loss.view(), of_capacity(grad_reconstruction, shape.teacher),
                        {.reconstruction = of_capacity(reconstruction, shape.teacher),
                         .teacher = of_capacity(teacher, shape.teacher),
                         .options = options,
                         .active = pass.active},
                        stream());
    experts_backward({.student = of_capacity(grad_student, shape.student),
                      .selection = of_capacity(grad_selection, shape.experts),
                      .parameters = gradients()},
                     of_capacity(grad_reconstruction, shape.teacher), pass, stream());
    expect_intact(floats, "workspace floats");
    expect_intact(integers, "workspace integers");
    for (const Guarded<float>* array :
         {&reconstruction, &loss, &grad_reconstruction, &grad_student, &grad_selection,
          &grad_weight1, &grad_bias1, &grad_weight2, &grad_bias2}) {
      expect_intact(*array, "an output");
    }
  }
  oracle::Mixture plain() const {
    const auto live = [&](const Guarded<float>& array, int64_t cols) {
      return to_double(first(array.host(), count * cols));
    };
    return {count,
            shape.experts,
            shape.student,
            shape.hidden,
            shape.teacher,
            live(student, shape.student),
            live(teacher, shape.teacher),
            live(selection, shape.experts),
            to_double(weight1.host()),
            to_double(bias1.host()),
            to_double(weight2.host()),
            to_double(bias2.host())};
  }
  /// Everything that a step computes of the live rows, one array after the other.
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

  ExpertShape shape;
  int32_t count;
  Guarded<float> student, teacher, selection, weight1, bias1, weight2, bias2, floats;
  Guarded<int32_t> integers, live_rows;
  Guarded<float> reconstruction, loss, grad_reconstruction, grad_student, grad_selection,
      grad_weight1, grad_bias1, grad_weight2, grad_bias2;
};

double largest(const std::vector<double>& values) {
  double size = 0;
  for (const double v : values) size = std::max(size, std::abs(v));
  return size;
}

/// Chains of sums of up to E H = 1000 terms each: errors of random sign, a few units in the last
/// place (6e-8) of the largest value of the array each; 1e-5 of it holds what occurs.
constexpr double kTolerance = 1e-5;

::testing::AssertionResult agree(const std::vector<float>& actual,
                                 const std::vector<double>& expected) {
  return close(actual, expected, kTolerance * (largest(expected) + 1e-30), kTolerance);
}

struct Case {
  ExpertShape shape;
  int32_t count;
  double live_share;
};
class ExpertsCases : public ::testing::TestWithParam<Case> {};

TEST_P(ExpertsCases, MatchesOracleOnBothPaths) {
  const Case c = GetParam();
  for (const ExpertPath path : kPaths) {
    for (const bool euclidean : {false, true}) {
      SCOPED_TRACE(path == ExpertPath::kStacked ? "stacked" : "routed");
      const Mixture mixture(c.shape, c.count, c.live_share);
      constexpr float kLossWeight = 0.5f;
      constexpr float kScale = 0.25f;
      oracle::Mixture plain = mixture.plain();
      plain.euclidean = euclidean;
      plain.loss_weight = kLossWeight;
      const oracle::MixtureForward forward = oracle::mixture_forward(plain);
      oracle::MixtureGradients expected = oracle::mixture_backward(plain);
      const auto scale_and_add = [&](std::vector<double>& grad, const Guarded<float>* start) {
        const std::vector<float> before = start == nullptr ? std::vector<float>() : start->host();
        for (size_t i = 0; i < grad.size(); ++i) {
          grad[i] = kScale * grad[i] + (start == nullptr ? 0.0 : before[i]);
        }
      };
      scale_and_add(expected.student, nullptr);
      scale_and_add(expected.selection, nullptr);
      scale_and_add(expected.weight1, &mixture.grad_weight1);
      scale_and_add(expected.bias1, &mixture.grad_bias1);
      scale_and_add(expected.weight2, &mixture.grad_weight2);
      scale_and_add(expected.bias2, &mixture.grad_bias2);

      mixture.step(path, {euclidean ? ReconstructionNorm::kEuclidean : ReconstructionNorm::kSquared,
                          kLossWeight, kScale});
      const auto results = mixture.results();
      EXPECT_TRUE(agree(results[0], forward.reconstruction)) << "reconstruction";
      EXPECT_TRUE(agree(results[1], forward.loss)) << "loss";
      EXPECT_TRUE(agree(results[2], expected.student)) << "grad_student";
      EXPECT_TRUE(agree(results[3], expected.selection)) << "grad_selection";
      EXPECT_TRUE(agree(results[4], expected.weight1)) << "grad_weight1";
      EXPECT_TRUE(agree(results[5], expected.bias1)) << "grad_bias1";
      EXPECT_TRUE(agree(results[6], expected.weight2)) << "grad_weight2";
      EXPECT_TRUE(agree(results[7], expected.bias2)) << "grad_bias2";

      for (int64_t n = c.count; n < c.shape.capacity; ++n) {
        EXPECT_EQ(mixture.loss.host()[static_cast<size_t>(n)], 0.0f);
        for (int64_t k = 0; k < c.shape.teacher; ++k) {
          EXPECT_EQ(
              mixture.grad_reconstruction.host()[static_cast<size_t>(n * c.shape.teacher + k)],
              0.0f);
        }
      }
      const std::vector<float> s = mixture.selection.host();
      const std::vector<float> grad_s = mixture.grad_selection.host();
      for (size_t i = 0; i < s.size(); ++i) {
        if (s[i] == 0) {
          ASSERT_EQ(grad_s[i], 0.0f) << i;
        }
      }
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
                      Case{{7, 4, 6, 5, 600}, 530, 0.5}));

// The two paths on one problem of DE's own shape, all weights live, few live, none.
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

TEST(Experts, CountsThePairsOfTheLiveEntities) {
  for (const auto& [live, experts] :
       std::vector<std::pair<int32_t, int64_t>>{{0, 7}, {1, 7}, {33, 7}, {40, 7}, {33, 70}}) {
    std::vector<float> weights(static_cast<size_t>(40 * experts));
    PairCount expected = {5, 8};  // it accumulates
    for (size_t i = 0; i < weights.size(); ++i) {
      weights[i] = i % 3 == 0 ? 0.0f : 0.25f;
      if (i < static_cast<size_t>(live * experts)) {
        ++expected.all;
        expected.active += i % 3 != 0;
      }
    }
    const Guarded<float> selection(weights);
    const Guarded<int32_t> count{live};
    const Guarded<PairCount> pairs{PairCount{5, 8}};
    count_pairs(pairs.data(), selection.matrix(40, experts), count.data(), stream());
    EXPECT_EQ(pairs.host()[0].active, expected.active) << live;
    EXPECT_EQ(pairs.host()[0].all, expected.all) << live;
    expect_intact(pairs, "pairs");
  }
}

TEST(Experts, ThePairListIsSortedByExpertAndEntity) {
  const Mixture mixture({5, 2, 3, 4, 70}, 66, 0.3);
  mixture.step(ExpertPath::kRouted);
  const ExpertsWorkspace w = mixture.workspace();
  const std::vector<int32_t> integers = mixture.integers.host();
  const auto at = [&](Vector<int32_t> part, int64_t i) {
    return integers[static_cast<size_t>(part.data - mixture.integers.data() + i)];
  };
  const std::vector<float> s = mixture.selection.host();
  int32_t pair = 0;
  for (int32_t m = 0; m < 5; ++m) {
    EXPECT_EQ(at(w.pairs.offsets, m), pair);
    for (int32_t n = 0; n < 66; ++n) {
      const bool lives = s[static_cast<size_t>(n * 5 + m)] != 0;
      EXPECT_EQ(at(w.pairs.of.flat(), m * 70 + n), lives ? pair : -1);
      if (!lives) continue;
      EXPECT_EQ(at(w.pairs.entity, pair), n);
      EXPECT_EQ(at(w.pairs.expert, pair), m);
      ++pair;
    }
  }
  EXPECT_EQ(at(w.pairs.offsets, 5), pair);
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
    std::vector<float> weight1 = mixture.weight1.host();
    for (size_t i = 5 * 4; i < 2 * 5 * 4; ++i) weight1[i] = 3e38f;
    mixture.weight1.set(weight1);
    mixture.step(path);
    reference.step(path);
    EXPECT_EQ(mixture.results(), reference.results());
  }
}

// The stacked and the routed pass keep s A alone: as long as that is a normal number the gradient
// by the weight still is A . G + b2 . Q.
TEST(Experts, GradientOfTinyWeights) {
  for (const ExpertPath path : kPaths) {
    Mixture mixture({3, 4, 5, 6, 8}, 8, 1.0);
    std::vector<float> s = mixture.selection.host();
    for (size_t n = 0; n < 8; ++n) s[n * 3 + 1] = 1e-30f;
    mixture.selection.set(s);
    mixture.step(path);
    const oracle::Mixture plain = mixture.plain();
    EXPECT_TRUE(agree(mixture.grad_selection.host(), oracle::mixture_backward(plain).selection));
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

TEST(ReconstructionLoss, EuclideanDistanceZeroHasNoGradient) {
  const Guarded<float> vector(random_normal(5, 1));
  const Guarded<float> loss(1);
  const Guarded<float> grad(5);
  const Guarded<int32_t> live({1});
  reconstruction_loss(loss.view(), grad.matrix(1, 5),
                      {.reconstruction = vector.matrix(1, 5),
                       .teacher = vector.matrix(1, 5),
                       .options = {ReconstructionNorm::kEuclidean},
                       .active = live.data()},
                      stream());
  EXPECT_EQ(loss.host()[0], 0.0f);
  EXPECT_EQ(grad.host(), std::vector<float>(5, 0.0f));
}

TEST(ReconstructionLoss, KeepsNanOfTheTeacher) {
  std::vector<float> t = random_normal(10, 1);
  t[2] = kNaN;
  const Guarded<float> teacher(t);
  const Guarded<float> reconstruction(random_normal(10, 2));
  const Guarded<float> loss(2);
  const Guarded<float> grad(10);
  const Guarded<int32_t> live({2});
  reconstruction_loss(loss.view(), grad.matrix(2, 5),
                      {.reconstruction = reconstruction.matrix(2, 5),
                       .teacher = teacher.matrix(2, 5),
                       .active = live.data()},
                      stream());
  EXPECT_TRUE(std::isnan(loss.host()[0]));
  EXPECT_FALSE(std::isnan(loss.host()[1]));
}

// ---------------------------------------------------------------- the whole loss

constexpr uint64_t kSeed = 99;
constexpr RandomPurpose kPurpose = RandomPurpose::kGumbelUsers;

/// Gate, experts and loss of one side, as a loss calls them.
struct WholeLoss {
  WholeLoss(ExpertShape sizes, int32_t live, float temperature, bool euclidean_norm)
      : shape(sizes),
        count(live),
        tau(temperature),
        euclidean(euclidean_norm),
        mixture(sizes, live, 1.0),
        gate_weight(random_normal(shape.experts * shape.teacher, 21)),
        gate_bias(random_normal(shape.experts, 22)),
        teacher(padded(shape.capacity, live, shape.teacher, 2, 0.0f)),
        cursor({{0, 4, live}}),
        epoch({{2, tau}}),
        logits(shape.capacity * shape.experts),
        probability(shape.capacity * shape.experts),
        grad_logits(shape.capacity * shape.experts),
        grad_gate_weight(std::vector<float>(static_cast<size_t>(gate_weight.size()))),
        grad_gate_bias(std::vector<float>(static_cast<size_t>(gate_bias.size()))) {
    for (const Guarded<float>* grad :
         {&mixture.grad_weight1, &mixture.grad_bias1, &mixture.grad_weight2, &mixture.grad_bias2}) {
      fill_zero(grad->data(), grad->size() * 4, stream());
    }
  }

  void step(ExpertPath path) const {
    const Matrix<float> gate_matrix = gate_weight.matrix(shape.experts, shape.teacher);
    const Matrix<float> t = mixture.of_capacity(teacher, shape.teacher);
    const Matrix<float> l = mixture.of_capacity(logits, shape.experts);
    const Matrix<float> s = mixture.of_capacity(mixture.selection, shape.experts);
    const Matrix<float> alpha = mixture.of_capacity(probability, shape.experts);
    const Matrix<float> grad_l = mixture.of_capacity(grad_logits, shape.experts);
    const RowSegments rows = {{}, {}, {}, cursor.data(), shape.capacity};
    const LinearCall gate = {
        .in = t, .weight = gate_matrix, .bias = gate_bias.view(), .active = &cursor.data()->count};
    linear_forward(l, gate, stream());
    gumbel_softmax_forward(s, alpha, l, rows, {kSeed, kPurpose}, epoch.data(), stream());
    mixture.step(path, {euclidean ? ReconstructionNorm::kEuclidean : ReconstructionNorm::kSquared});
    gumbel_softmax_backward(grad_l, mixture.of_capacity(mixture.grad_selection, shape.experts), s,
                            alpha, rows, epoch.data(), stream());
    linear_backward({.weight = grad_gate_weight.matrix(shape.experts, shape.teacher),
                     .bias = grad_gate_bias.view()},
                    grad_l, {}, gate, stream());
  }

  /// The parameters in double, and the loss as a function of them.
  struct Plain {
    oracle::Linear gate;
    oracle::Mixture mixture;
    std::vector<double> noise;
    double tau;
    double loss() const {
      oracle::Mixture m = mixture;
      m.selection = oracle::gumbel_softmax_forward(
                        {m.rows, m.experts, oracle::linear_forward(gate), noise, tau})
                        .weight;
      double sum = 0;
      for (const double term : oracle::mixture_forward(m).loss) sum += term;
      return sum;
    }
  };
  Plain plain() const {
    Plain p = {
        {count, shape.teacher, shape.experts,
         to_double(first(teacher.host(), count * shape.teacher)), to_double(gate_weight.host()),
         to_double(gate_bias.host())},
        mixture.plain(),
        oracle::gumbel_noise(kSeed, static_cast<uint32_t>(kPurpose), 2, 4, count, shape.experts),
        tau};
    p.mixture.euclidean = euclidean;
    return p;
  }

  ExpertShape shape;
  int32_t count;
  float tau;
  bool euclidean;
  Mixture mixture;
  Guarded<float> gate_weight, gate_bias, teacher;
  Guarded<BatchCursor> cursor;
  Guarded<EpochState> epoch;
  Guarded<float> logits, probability, grad_logits, grad_gate_weight, grad_gate_bias;
};

void expect_finite_differences(WholeLoss::Plain& plain, std::vector<double>& values,
                               const std::vector<float>& gradient, const char* name) {
  const std::vector<double> expected = finite_differences(
      values, [&] { return plain.loss(); }, 1e-6);
  // Weights are off by 4e-6 / tau (scores in float32); the differences themselves by 1e-8.
  const double tolerance = 2e-5 / plain.tau;
  EXPECT_TRUE(close(gradient, expected, tolerance * largest(expected), tolerance)) << name;
}

TEST(DistillationExpertsLoss, MatchesFiniteDifferences) {
  for (const ExpertPath path : kPaths) {
    for (const bool euclidean : {false, true}) {
      for (const float tau : {1.0f, 0.25f}) {
        SCOPED_TRACE(::testing::Message()
                     << (path == ExpertPath::kStacked ? "stacked" : "routed")
                     << (euclidean ? " euclidean" : " squared") << " tau " << tau);
        const WholeLoss whole({5, 3, 4, 6, 7}, 6, tau, euclidean);
        WholeLoss::Plain plain = whole.plain();
        whole.step(path);
        double loss = 0;
        for (const float term : whole.mixture.loss.host()) loss += term;
        EXPECT_NEAR(loss, plain.loss(), 2e-5 / tau * plain.loss());
        expect_finite_differences(plain, plain.gate.weight, whole.grad_gate_weight.host(),
                                  "gate weight");
        expect_finite_differences(plain, plain.gate.bias, whole.grad_gate_bias.host(), "gate bias");
        const auto results = whole.mixture.results();
        expect_finite_differences(plain, plain.mixture.student, results[2], "student");
        expect_finite_differences(plain, plain.mixture.weight1, results[4], "weight1");
        expect_finite_differences(plain, plain.mixture.bias1, results[5], "bias1");
        expect_finite_differences(plain, plain.mixture.weight2, results[6], "weight2");
        expect_finite_differences(plain, plain.mixture.bias2, results[7], "bias2");
      }
    }
  }
}

// At the end of the annealing each entity is its one expert's: the paths agree, the gate's gradient
// is exactly 0.
TEST(DistillationExpertsLoss, AtTheLowestTemperature) {
  const ExpertShape shape = {30, 5, 7, 9, 33};
  const WholeLoss stacked(shape, 31, 1e-10f, false);
  const WholeLoss routed(shape, 31, 1e-10f, false);
  stacked.step(ExpertPath::kStacked);
  routed.step(ExpertPath::kRouted);
  const std::vector<float> s = routed.mixture.selection.host();
  EXPECT_EQ(std::count(s.begin(), s.end(), 1.0f), 31);
  EXPECT_EQ(std::count(s.begin(), s.end(), 0.0f), static_cast<int64_t>(s.size()) - 31);
  const auto a = stacked.mixture.results();
  const auto b = routed.mixture.results();
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(agree(a[i], to_double(b[i]))) << i;
  EXPECT_TRUE(agree(b[0], oracle::mixture_forward(routed.mixture.plain()).reconstruction));
  for (const WholeLoss* whole : {&stacked, &routed}) {
    for (const float g : whole->grad_gate_weight.host()) EXPECT_EQ(g, 0.0f);
    for (const float g : whole->grad_gate_bias.host()) EXPECT_EQ(g, 0.0f);
  }
}

// ---------------------------------------------------------------- refusals

TEST(Experts, RejectsBadShapes) {
  Mixture mixture({3, 4, 5, 6, 8}, 8, 1.0);
  EXPECT_THROW(make_experts_workspace(mixture.shape,
                                      mixture.floats.view().slice(0, mixture.floats.size() - 1),
                                      mixture.integers.view()),
               std::invalid_argument);
  EXPECT_THROW(
      make_experts_workspace(mixture.shape, mixture.floats.view(),
                             mixture.integers.view().slice(0, mixture.integers.size() - 1)),
      std::invalid_argument);
  ExpertsCall wrong_student = mixture.call(ExpertPath::kStacked);
  wrong_student.student = mixture.student.matrix(4, 8);
  EXPECT_THROW(experts_forward(mixture.reconstruction.matrix(8, 6), wrong_student, stream()),
               std::invalid_argument);
  ExpertParameterGradients gradients = mixture.gradients();
  gradients.bias2.rows = 2;
  EXPECT_THROW(experts_backward({.student = mixture.grad_student.matrix(8, 4),
                                 .selection = mixture.grad_selection.matrix(8, 3),
                                 .parameters = gradients},
                                mixture.grad_reconstruction.matrix(8, 6),
                                mixture.call(ExpertPath::kRouted), stream()),
               std::invalid_argument);
  EXPECT_THROW(reconstruction_loss(mixture.loss.view(), mixture.grad_reconstruction.matrix(8, 6),
                                   {.reconstruction = mixture.reconstruction.matrix(6, 8),
                                    .teacher = mixture.teacher.matrix(8, 6),
                                    .active = mixture.live_rows.data()},
                                   stream()),
               std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::experts_test
