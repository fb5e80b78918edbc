#include <algorithm>

#include "kernels/models/linear.h"
#include "tests/cases/gumbel_softmax.h"
#include "tests/finite_differences.h"
#include "tests/kernels/distill/mixture.h"
#include "tests/oracles/gumbel_softmax.h"
#include "tests/oracles/linear.h"

namespace derrd::test::experts_loss_test {
namespace {

constexpr uint64_t kSeed = 99;
constexpr RandomPurpose kPurpose = RandomPurpose::kGumbelUsers;

/// Gate, experts and reconstruction loss of one kind of entity, in the order of a training step.
struct WholeLoss {
  WholeLoss(const ExpertShape& sizes, int32_t active, float temperature, bool euclidean_norm)
      : shape(sizes),
        tau(temperature),
        euclidean(euclidean_norm),
        mixture(sizes, active, 1.0),
        softmax({shape.capacity, active, shape.experts, 4}, {2, tau},
                DeviceArray<float>(shape.capacity * shape.experts)),
        gate_weight(random_normal(shape.experts * shape.teacher, 21)),
        gate_bias(random_normal(shape.experts, 22)),
        grad_gate_weight(std::vector<float>(static_cast<size_t>(gate_weight.size()))),
        grad_gate_bias(std::vector<float>(static_cast<size_t>(gate_bias.size()))) {
    // The gate's inactive rows must be finite.
    std::vector<float> vectors = mixture.teacher.to_host(stream());
    std::fill(vectors.begin() + active * shape.teacher, vectors.end(), 0.0f);
    teacher = cases::to_device(vectors);
  }

  void step(ExpertPath path) const {
    const LinearCall gate = {.in = mixture.rows(teacher, shape.teacher),
                             .weight = gate_weight.matrix(shape.experts, shape.teacher),
                             .bias = gate_bias.view(),
                             .active = mixture.device_count.data()};
    const GumbelSoftmaxCall call = softmax.call({kSeed, kPurpose});
    const Matrix<float> selection = softmax.matrix(mixture.selection);
    const Matrix<float> probability = softmax.matrix(softmax.probability);
    const Matrix<float> grad_logits = softmax.matrix(softmax.grad_logits);
    linear_forward(softmax.matrix(softmax.logits), gate, stream());
    gumbel_softmax_forward(GumbelSoftmaxForward{selection, probability, call}, stream());
    mixture.step(path, {euclidean ? ReconstructionNorm::kEuclidean : ReconstructionNorm::kSquared});
    gumbel_softmax_backward(
        GumbelSoftmaxBackward{grad_logits, softmax.matrix(mixture.grad_selection), selection,
                              probability, call},
        stream());
    linear_backward({.weight = grad_gate_weight.matrix(shape.experts, shape.teacher),
                     .bias = grad_gate_bias.view()},
                    grad_logits, {}, gate, stream());
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
  cases::GumbelSoftmaxCase<Guarded> softmax;
  Guarded<float> gate_weight, gate_bias, grad_gate_weight, grad_gate_bias;
  DeviceArray<float> teacher;
};

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
        // Weights are off by 4e-6 / tau (scores in float32); the differences themselves by 1e-8.
        const double tolerance = 2e-5 / tau;
        EXPECT_NEAR(loss, plain.loss(), tolerance * plain.loss());
        const auto expect_differences = [&](std::vector<double>& values,
                                            const std::vector<float>& gradient, const char* name) {
          const std::vector<double> expected = finite_differences(
              values, [&] { return plain.loss(); }, 1e-6);
          EXPECT_TRUE(close(gradient, expected, tolerance * largest(expected), tolerance)) << name;
        };
        expect_differences(plain.gate.weight, whole.grad_gate_weight.host(), "gate weight");
        expect_differences(plain.gate.bias, whole.grad_gate_bias.host(), "gate bias");
        oracle::Mixture& m = plain.mixture;
        std::vector<double>* inputs[] = {&m.student, nullptr,    &m.weight1,
                                         &m.bias1,   &m.weight2, &m.bias2};
        const auto results = whole.mixture.results();
        for (size_t i = 0; i < std::size(inputs); ++i) {
          const size_t a = Mixture::kFirstGradient + i;
          if (inputs[i] != nullptr)
            expect_differences(*inputs[i], results[a], Mixture::kResults[a]);
        }
      }
    }
  }
}

// At the end of the annealing each entity has one expert: the paths agree, and the gate's gradient
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
