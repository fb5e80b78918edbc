// Distillation Experts on joint vectors: one batch against the double-precision oracle.

#include "engine/distill/de/pair_de.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/error.h"
#include "engine/models/catalogue.h"
#include "engine/models/neumf.h"
#include "engine/teacher/teacher.h"
#include "tests/engine/losses.h"
#include "tests/engine/models/random_neumf.h"
#include "tests/engine/small_data.h"
#include "tests/engine/steps.h"
#include "tests/finite_differences.h"
#include "tests/oracles/training_step.h"

namespace derrd::test::pair_de_test {
namespace {

constexpr int32_t kUsers = 9, kItems = 14;
constexpr int64_t kDim = 4, kTeacherDim = 6, kBatch = 16, kExperts = 3;
constexpr uint64_t kSeed = 12345678901ull;
constexpr double kWeight = 0.3;  // as in NeumfDe
constexpr float kTemperature = 0.7f;

/// A NeuMF student whose Distillation Experts look at one of its taps.
class NeumfDe {
 protected:
  NeumfDe(const char* tap, Preset preset)
      : teacher_values_(kUsers, kItems, kTeacherDim, 2, 5), teacher_(teacher_values_.saved, data_) {
    student_ =
        std::make_unique<NeumfModel>(NeumfShape{kUsers, kItems, kDim, 1}, kBatch, parameters_);
    model_matrices_ = static_cast<int64_t>(student_->tensors().size());
    losses_ = make_losses(
        "de", std::string("lambda-de=0.3 experts=3 tau-start=0.7 tau-end=0.7 tap=") + tap,
        {teacher_, data_, *student_, parameters_, kBatch, conventions_of(preset), stream()});
    parameters_.allocate(kSeed, stream());
    set_random_values(parameters_, 7);
  }

  /// The matrices of gates and experts in an arena.
  /// @param sides gates, each with its experts
  std::vector<double> experts_of(Vector<const float> arena, int64_t sides = 1) const {
    return matrices_in(parameters_, arena, model_matrices_, 6 * sides);
  }

  const DeviceDataset data_{small_dataset(kUsers, kItems, 5, 3), stream()};
  RandomNeumf teacher_values_;
  Teacher teacher_;
  Parameters parameters_;
  std::unique_ptr<NeumfModel> student_;
  std::vector<std::unique_ptr<DistillationLoss>> losses_;
  int64_t model_matrices_ = 0;
};

struct PairCase {
  const char* tap;
  Preset preset;
};
class PairDe : public NeumfDe, public testing::TestWithParam<PairCase> {
 protected:
  PairDe() : NeumfDe(GetParam().tap, GetParam().preset) {}
};

TEST_P(PairDe, MatchesOracleAndFiniteDifferences) {
  const bool mlp = std::string(GetParam().tap) == "mlp";
  EpochPlan plan(data_, {kBatch, 1, kSeed});
  plan.begin_epoch(4, stream());
  losses_[0]->begin_epoch(plan, stream());
  LossSums losses(2);
  for (int64_t b = 0; b < plan.batches(); ++b) {
    SCOPED_TRACE("batch " + std::to_string(b));
    zero_gradients(parameters_);
    losses.zero(stream());
    plan.next(stream());
    student_->forward(plan, losses[0], stream());
    const PairVectors pairs = *student_->representations().pairs;
    const std::vector<float> before = to_host(pairs.vectors.grad.flat());
    losses_[0]->add_gradients(plan, *student_, losses[1], stream());
    const std::vector<float> after = to_host(pairs.vectors.grad.flat());

    const BatchCursor cursor = cursor_of(pairs.batch);
    const int64_t joint_dim = pairs.vectors.value.cols;
    const int64_t first = mlp ? kDim : 0;
    const int64_t teacher_first = mlp ? kTeacherDim : 0;
    oracle::TrainingStep s{};
    s.student_dim = joint_dim - first;
    s.teacher_dim = teacher_values_.oracle.joint_dim() - teacher_first;
    s.de.experts = kExperts;
    s.de.hidden = expert_hidden_size(s.student_dim, s.teacher_dim);
    s.de.temperature = kTemperature;
    s.de.euclidean = GetParam().preset == Preset::kPaper;
    s.de.seed = kSeed;
    s.de.epoch = 4;
    const std::vector<int32_t> users = to_host(pairs.rows.users), items = to_host(pairs.rows.items);
    const std::vector<float> joint = to_host(pairs.vectors.value.flat());
    const std::vector<double> experts = experts_of(parameters_.values());
    ASSERT_EQ(static_cast<int64_t>(experts.size()), oracle::side_size(s));
    const auto loss_of = [&](int64_t p, const std::vector<double>& side,
                             const std::vector<double>& h_s) {
      const auto u = users[static_cast<size_t>(p)], i = items[static_cast<size_t>(p)];
      const std::vector<double> h_t = teacher_values_.oracle.joint(u, i);
      return oracle::reconstruction_loss(s, side.data(), h_s.data(), h_t.data() + teacher_first,
                                         static_cast<uint32_t>(RandomPurpose::kGumbelPairs),
                                         cursor.begin + p);
    };
    const auto student_of = [&](int64_t p) {
      const auto row = joint.begin() + p * joint_dim;
      return std::vector<double>(row + first, row + joint_dim);
    };
    double total = 0;
    for (int64_t p = 0; p < cursor.count; ++p) total += loss_of(p, experts, student_of(p));
    EXPECT_GT(total, 0);
    EXPECT_NEAR(sums_of_step(losses)[1], total, 1e-5 * total);

    constexpr double kStep = 1e-6;
    std::vector<double> actual, expected;
    for (int64_t p = 0; p < 2 * kBatch; ++p) {
      std::vector<double> h = p < cursor.count ? student_of(p) : std::vector<double>();
      for (int64_t k = 0; k < joint_dim; ++k) {
        const auto at = static_cast<size_t>(p * joint_dim + k);
        actual.push_back(static_cast<double>(after[at]) - before[at]);
        expected.push_back(0);
        if (p >= cursor.count || k < first) continue;
        expected.back() = kWeight * finite_difference(
                                        h[static_cast<size_t>(k - first)],
                                        [&] { return loss_of(p, experts, h); }, kStep);
      }
    }
    std::vector<double> moved = experts;
    const std::vector<double> grad_experts = experts_of(parameters_.gradients());
    actual.insert(actual.end(), grad_experts.begin(), grad_experts.end());
    const auto loss = [&] {
      double sum = 0;
      for (int64_t p = 0; p < cursor.count; ++p) sum += loss_of(p, moved, student_of(p));
      return kWeight * sum;
    };
    const std::vector<double> of_experts = finite_differences(moved, loss, kStep);
    expected.insert(expected.end(), of_experts.begin(), of_experts.end());
    expect_gradients(actual, expected, 0.01);
  }
}

TEST_P(PairDe, NeitherAllocatesNorWaits) {
  EpochPlan plan(data_, {kBatch, 1, kSeed});
  plan.begin_epoch(0, stream());
  losses_[0]->begin_epoch(plan, stream());
  LossSums losses(2);
  losses.zero(stream());
  expect_no_allocation_or_wait([&] {
    plan.next(stream());
    student_->forward(plan, losses[0], stream());
    losses_[0]->add_gradients(plan, *student_, losses[1], stream());
    student_->backward(plan, stream());
  });
}

TEST_P(PairDe, KeepsItsActiveShareInACheckpoint) {
  EpochPlan plan(data_, {kBatch, 1, kSeed});
  plan.begin_epoch(0, stream());
  DistillationLoss& de = *losses_[0];
  EXPECT_TRUE(de.state().empty());
  de.begin_epoch(plan, stream());
  LossSums losses(2);
  losses.zero(stream());
  plan.next(stream());
  student_->forward(plan, losses[0], stream());
  de.add_gradients(plan, *student_, losses[1], stream());
  de.end_epoch(stream());
  ASSERT_EQ(de.state().size(), 1u);
  EXPECT_EQ(de.measurements()[0].first, "live_experts_pair");
  EXPECT_NEAR(de.measurements()[0].second, 3 * de.state()[0], 1e-12);
  EXPECT_NO_THROW(de.restore(de.state()));
  EXPECT_THROW(de.restore({0.1, 0.2}), Error);
}

INSTANTIATE_TEST_SUITE_P(Taps, PairDe,
                         testing::Values(PairCase{"joint", Preset::kAuthors},
                                         PairCase{"joint", Preset::kPaper},
                                         PairCase{"mlp", Preset::kAuthors}),
                         [](const testing::TestParamInfo<PairCase>& of) {
                           return std::string(of.param.tap) +
                                  (of.param.preset == Preset::kPaper ? "_paper" : "_authors");
                         });

// A user's vectors of the product and of the perceptron stand side by side, as do an item's.
class EmbeddingDe : public NeumfDe, public testing::Test {
 protected:
  EmbeddingDe() : NeumfDe("embedding", Preset::kAuthors) {}

  /// [rows, 2 D]: the rows of two tables of one shape, beside each other.
  static std::vector<double> beside(const std::vector<float>& left, const std::vector<float>& right,
                                    int64_t dim) {
    std::vector<double> out;
    for (auto l = left.begin(), r = right.begin(); l != left.end(); l += dim, r += dim) {
      out.insert(out.end(), l, l + dim);
      out.insert(out.end(), r, r + dim);
    }
    return out;
  }
  std::vector<double> student_vectors(const std::string& kind, Vector<const float> arena) const {
    const auto table = [&](const std::string& name) {
      const auto tensors = student_->tensors();
      const Matrix<const float> m = std::ranges::find(tensors, name, &NamedMatrix::name)->value;
      return to_host(arena.slice(m.data - parameters_.values().data, m.size()));
    };
    return beside(table(kind + "_gmf"), table(kind + "_mlp"), kDim);
  }
  std::vector<double> teacher_vectors(const std::string& kind) const {
    const auto table = [&](const std::string& name) -> const std::vector<float>& {
      return teacher_values_.saved.tensor(name).values;
    };
    return beside(table(kind + "_gmf"), table(kind + "_mlp"), kTeacherDim);
  }
  /// The student's tables, then the experts of users and of items: as the oracle wants them.
  std::vector<double> flat(Vector<const float> arena) const {
    std::vector<double> out = student_vectors("user", arena);
    const std::vector<double> item = student_vectors("item", arena), experts = experts_of(arena, 2);
    out.insert(out.end(), item.begin(), item.end());
    out.insert(out.end(), experts.begin(), experts.end());
    return out;
  }
};

TEST_F(EmbeddingDe, MatchesOracleAndFiniteDifferences) {
  EpochPlan plan(data_, {kBatch, 1, kSeed});
  plan.begin_epoch(4, stream());
  losses_[0]->begin_epoch(plan, stream());
  plan.next(stream());
  zero_gradients(parameters_);
  LossSums loss(1);
  loss.zero(stream());
  losses_[0]->add_gradients(plan, *student_, loss[0], stream());

  oracle::TrainingStep s{};
  s.users = kUsers;
  s.items = kItems;
  s.student_dim = 2 * kDim;
  s.teacher_dim = 2 * kTeacherDim;
  const BatchSamples batch(plan);
  s.sample_users = batch.users;
  s.positives = batch.positives;
  s.negatives = batch.negatives;
  s.de.weight = kWeight;
  s.de.experts = kExperts;
  s.de.hidden = kDim + kTeacherDim;
  s.de.temperature = kTemperature;
  s.de.seed = kSeed;
  s.de.epoch = 4;
  s.de.purpose = {static_cast<uint32_t>(RandomPurpose::kGumbelUsers),
                  static_cast<uint32_t>(RandomPurpose::kGumbelPositives),
                  static_cast<uint32_t>(RandomPurpose::kGumbelNegatives)};
  s.de.teacher_user = teacher_vectors("user");
  s.de.teacher_item = teacher_vectors("item");

  std::vector<double> values = flat(parameters_.values());
  ASSERT_EQ(static_cast<int64_t>(values.size()), oracle::parameter_count(s));
  const double total = oracle::losses(s, values).de;
  EXPECT_GT(total, 0);
  EXPECT_NEAR(sums_of_step(loss)[0], total, 1e-5 * total);

  const auto weighted_loss = [&] { return kWeight * oracle::losses(s, values).de; };
  const std::vector<double> expected = finite_differences(values, weighted_loss, 1e-6);
  expect_gradients(flat(parameters_.gradients()), expected, 0.01);
}

TEST(DeTap, IsWhatStudentAndTeacherBothHave) {
  const DeviceDataset data(small_dataset(kUsers, kItems, 5, 3), stream());
  RandomNeumf values(kUsers, kItems, kTeacherDim, 1, 5);
  Teacher neumf(values.saved, data);
  Teacher vectors(small_teacher(kUsers, kItems, kTeacherDim, 5), data);
  const auto made = [&](Teacher& teacher, const char* kind, const char* tap) {
    Parameters parameters;
    const auto student =
        make_model(kind, kUsers, kItems, {.dim = kDim, .batch_size = kBatch}, parameters);
    const auto de = make_losses(
        "de", std::string("tap=") + tap,
        {teacher, data, *student, parameters, kBatch, conventions_of(Preset::kAuthors), stream()});
    return parameters.count("de.pair.") > 0 ? "pair" : "embedding";
  };
  EXPECT_STREQ(made(neumf, "neumf", "auto"), "pair");
  EXPECT_STREQ(made(neumf, "neumf", "embedding"), "embedding");
  EXPECT_STREQ(made(neumf, "bpr", "auto"), "embedding");
  EXPECT_STREQ(made(vectors, "neumf", "auto"), "embedding");
  EXPECT_THROW(made(vectors, "neumf", "joint"), Error);
  EXPECT_THROW(made(neumf, "bpr", "mlp"), Error);
}

}  // namespace
}  // namespace derrd::test::pair_de_test
