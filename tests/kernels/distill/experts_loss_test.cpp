#include <algorithm>

#include "kernels/distill/gumbel_softmax.h"
#include "kernels/models/linear.h"
#include "tests/finite_differences.h"
#include "tests/kernels/distill/mixture.h"
#include "tests/oracles/gumbel_softmax.h"
#include "tests/oracles/linear.h"

namespace derrd::test::experts_loss_test {
namespace {

constexpr uint64_t kSeed = 99;
constexpr RandomPurpose kPurpose = RandomPurpose::kGumbelUsers;

/// Gate, experts and loss of one side, as a loss calls them.
struct WholeLoss {
  WholeLoss(const ExpertShape& sizes, int32_t active, float temperature, bool euclidean_norm)
      : shape(sizes),
        tau(temperature),
        euclidean(euclidean_norm),
        mixture(sizes, active, 1.0),
        gate_weight(random_normal(shape.experts * shape.teacher, 21)),
        gate_bias(random_normal(shape.experts, 22)),
        cursor({{0, 4, active}}),
        epoch({{2, tau}}),
        logits(shape.capacity * shape.experts),
        probability(shape.capacity * shape.experts),
        grad_logits(shape.capacity * shape.experts),
        grad_gate_weight(std::vector<float>(static_cast<size_t>(gate_weight.size()))),
        grad_gate_bias(std::vector<float>(static_cast<size_t>(gate_bias.size()))) {
    // The gate's inactive rows must be finite.
    std::vector<float> vectors = mixture.teacher.to_host(stream());
    std::fill(vectors.begin() + active * shape.teacher, vectors.end(), 0.0f);
    teacher = cases::to_device(vectors);
  }

  void step(ExpertPath path) const {
    const Matrix<float> gate_matrix = gate_weight.matrix(shape.experts, shape.teacher);
    const Matrix<float> l = mixture.rows(logits, shape.experts);
    const Matrix<float> s = mixture.rows(mixture.selection, shape.experts);
    const Matrix<float> alpha = mixture.rows(probability, shape.experts);
    const Matrix<float> grad_l = mixture.rows(grad_logits, shape.experts);
    const LinearCall gate = {.in = mixture.rows(teacher, shape.teacher),
                             .weight = gate_matrix,
                             .bias = gate_bias.view(),
                             .active = &cursor.data()->count};
    const GumbelSoftmaxCall softmax = {.logits = l,
                                       .rows = {{}, {}, {}, cursor.data(), shape.capacity},
                                       .options = {kSeed, kPurpose},
                                       .epoch = epoch.data()};
    linear_forward(l, gate, stream());
    gumbel_softmax_forward(s, alpha, softmax, stream());
    mixture.step(path, {euclidean ? ReconstructionNorm::kEuclidean : ReconstructionNorm::kSquared});
    gumbel_softmax_backward(grad_l, mixture.rows(mixture.grad_selection, shape.experts), s, alpha,
                            softmax, stream());
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
    const oracle::Mixture m = mixture.plain();
    Plain p = {
        {m.rows, shape.teacher, shape.experts, m.teacher, to_double(gate_weight.host()),
         to_double(gate_bias.host())},
        m,
        oracle::gumbel_noise(kSeed, static_cast<uint32_t>(kPurpose), 2, 4, m.rows, shape.experts),
        tau};
    p.mixture.euclidean = euclidean;
    return p;
  }

  ExpertShape shape;
  float tau;
  bool euclidean;
  Mixture mixture;
  Guarded<float> gate_weight, gate_bias;
  DeviceArray<float> teacher;
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
                     << name_of(path) << (euclidean ? " euclidean" : " squared") << " tau " << tau);
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

}  // namespace
}  // namespace derrd::test::experts_loss_test
