// Distillation Experts on joint vectors: one batch against the double-precision oracle.

#include "engine/distill/de/pair_de.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
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
#include "tests/finite_differences.h"
#include "tests/oracles/training_step.h"

namespace derrd::test::pair_de_test {
namespace {

using test::RandomNeumf;
using test::stream;

constexpr int32_t kUsers = 9, kItems = 14;
constexpr int64_t kDim = 4, kTeacherDim = 6, kBatch = 16, kExperts = 3;
constexpr uint64_t kSeed = 12345678901ull;
constexpr double kWeight = 0.3;
constexpr float kTemperature = 0.7f;

template <class T>
std::vector<T> host(Vector<const T> v) {
  std::vector<T> out(static_cast<size_t>(v.size));
  copy_to_host(out.data(), v.data, v.size * static_cast<int64_t>(sizeof(T)), stream());
  return out;
}

/// A NeuMF student whose Distillation Experts look at one of its taps.
class NeumfDe {
 protected:
  NeumfDe(const char* tap, Preset preset)
      : teacher_values_(kUsers, kItems, kTeacherDim, 2, 5), teacher_(teacher_values_.saved, data_) {
    student_ = std::make_unique<NeumfModel>(NeumfShape{kUsers, kItems, kDim, 1}, kBatch,
                                            parameters_, stream());
    model_matrices_ = static_cast<int64_t>(student_->tensors().size());
    losses_ = test::make_losses(
        "de",
        {{"lambda-de", kWeight},
         {"experts", static_cast<double>(kExperts)},
         {"tau-start", kTemperature},
         {"tau-end", kTemperature},
         {"tap", tap}},
        {teacher_, data_, *student_, parameters_, kBatch, conventions_of(preset), stream()});
    parameters_.allocate(kSeed, stream());
    test::set_random_values(parameters_, 7);
  }

  /// The matrices of gates and experts in an arena.
  /// @param sides gates, each with its experts
  std::vector<double> experts_of(Vector<const float> arena, int64_t sides = 1) const {
    constexpr int64_t kMatrices = 6;
    const std::vector<float> all = host(arena);
    std::vector<double> out;
    for (int64_t i = model_matrices_; i < model_matrices_ + sides * kMatrices; ++i) {
      const Matrix<float> m = parameters_.value({i});
      const auto begin = all.begin() + (m.data - parameters_.values().data);
      out.insert(out.end(), begin, begin + m.size());
    }
    return out;
  }

  const DeviceDataset data_{test::small_dataset(kUsers, kItems, 5, 3), stream()};
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
class PairDe : public NeumfDe, public ::testing::TestWithParam<PairCase> {
 protected:
  PairDe() : NeumfDe(GetParam().tap, GetParam().preset) {}
};

TEST_P(PairDe, MatchesOracleAndFiniteDifferences) {
  const bool mlp = std::string(GetParam().tap) == "mlp";
  EpochPlan plan(data_, {kBatch, 1, kSeed});
  plan.begin_epoch(4, stream());
  losses_[0]->begin_epoch(plan, stream());
  const DeviceArray<double> losses(2);
  for (int64_t b = 0; b < plan.batches(); ++b) {
    SCOPED_TRACE("batch " + std::to_string(b));
    fill_zero(parameters_.gradients().data, parameters_.gradients().size * 4, stream());
    losses.zero(stream());
    plan.next(stream());
    student_->forward(plan, losses.data(), stream());
    const PairVectors pairs = *student_->representations().pairs;
    const std::vector<float> before = host<float>(pairs.vectors.grad.flat());
    losses_[0]->add_gradients(plan, *student_, losses.data() + 1, stream());
    const std::vector<float> after = host<float>(pairs.vectors.grad.flat());

    BatchCursor cursor;
    copy_to_host(&cursor, pairs.batch, sizeof cursor, stream());
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
    const std::vector<int32_t> users = host(pairs.rows.users), items = host(pairs.rows.items);
    const std::vector<float> joint = host<float>(pairs.vectors.value.flat());
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
    EXPECT_NEAR(losses.to_host(stream())[1], total, 1e-5 * total);

    // float32 sums of some hundred terms with partial cancellation, relative to the largest.
    constexpr double kStep = 1e-6, kRelative = 2e-5;
    std::vector<double> actual, expected;
    for (int64_t p = 0; p < 2 * kBatch; ++p) {
      std::vector<double> h = p < cursor.count ? student_of(p) : std::vector<double>();
      for (int64_t k = 0; k < joint_dim; ++k) {
        const auto at = static_cast<size_t>(p * joint_dim + k);
        actual.push_back(static_cast<double>(after[at]) - before[at]);
        expected.push_back(0);
        if (p >= cursor.count || k < first) continue;
        expected.back() = kWeight * test::finite_difference(
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
    const std::vector<double> of_experts = test::finite_differences(moved, loss, kStep);
    expected.insert(expected.end(), of_experts.begin(), of_experts.end());
    double largest = 0;
    for (const double g : expected) largest = std::max(largest, std::abs(g));
    ASSERT_GT(largest, 0.01);
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_NEAR(actual[i], expected[i], kRelative * largest) << "element " << i;
    }
  }
}

TEST_P(PairDe, NeitherAllocatesNorWaits) {
  EpochPlan plan(data_, {kBatch, 1, kSeed});
  plan.begin_epoch(0, stream());
  losses_[0]->begin_epoch(plan, stream());
  const DeviceArray<double> losses(2);
  const auto step = [&] {
    plan.next(stream());
    student_->forward(plan, losses.data(), stream());
    losses_[0]->add_gradients(plan, *student_, losses.data() + 1, stream());
    student_->backward(plan, stream());
  };
  step();  // libraries set themselves up at their first use
  const Counters before = counters();
  step();
  EXPECT_EQ(counters().allocations, before.allocations);
  EXPECT_EQ(counters().synchronizations, before.synchronizations);
}

TEST_P(PairDe, KeepsItsLivePartInACheckpoint) {
  EpochPlan plan(data_, {kBatch, 1, kSeed});
  plan.begin_epoch(0, stream());
  DistillationLoss& de = *losses_[0];
  EXPECT_TRUE(de.state().empty());
  de.begin_epoch(plan, stream());
  const DeviceArray<double> losses(2);
  plan.next(stream());
  student_->forward(plan, losses.data(), stream());
  de.add_gradients(plan, *student_, losses.data() + 1, stream());
  de.end_epoch(stream());
  ASSERT_EQ(de.state().size(), 1u);
  EXPECT_EQ(de.measurements()[0].first, "live_experts_pair");
  EXPECT_NEAR(de.measurements()[0].second, 3 * de.state()[0], 1e-12);
  EXPECT_NO_THROW(de.restore(de.state()));
  EXPECT_THROW(de.restore({0.1, 0.2}), Error);
}

INSTANTIATE_TEST_SUITE_P(Taps, PairDe,
                         ::testing::Values(PairCase{"joint", Preset::kAuthors},
                                           PairCase{"joint", Preset::kPaper},
                                           PairCase{"mlp", Preset::kAuthors}),
                         [](const ::testing::TestParamInfo<PairCase>& of) {
                           return std::string(of.param.tap) +
                                  (of.param.preset == Preset::kPaper ? "_paper" : "_authors");
                         });

// A user's vectors of the product and of the perceptron stand side by side, as do an item's.
class EmbeddingDe : public NeumfDe, public ::testing::Test {
 protected:
  EmbeddingDe() : NeumfDe("embedding", Preset::kAuthors) {}

  /// [rows, 2 D] of the student's parameters or gradients.
  std::vector<double> side_by_side(const char* kind, Vector<const float> arena) const {
    const std::vector<float> all = host(arena);
    std::vector<double> out;
    const auto tensors = student_->tensors();
    const auto find = [&](const std::string& name) {
      const auto at = std::ranges::find(tensors, name, &NamedMatrix::name);
      return all.begin() + (at->value.data - parameters_.values().data);
    };
    const auto gmf = find(std::string(kind) + "_gmf"), mlp = find(std::string(kind) + "_mlp");
    const int64_t rows = kind == std::string("user") ? kUsers : kItems;
    for (int64_t row = 0; row < rows; ++row) {
      out.insert(out.end(), gmf + row * kDim, gmf + (row + 1) * kDim);
      out.insert(out.end(), mlp + row * kDim, mlp + (row + 1) * kDim);
    }
    return out;
  }
  /// The student's tables, then the experts of users and of items: as the oracle wants them.
  std::vector<double> flat(Vector<const float> arena) const {
    std::vector<double> out = side_by_side("user", arena);
    const std::vector<double> item = side_by_side("item", arena), experts = experts_of(arena, 2);
    out.insert(out.end(), item.begin(), item.end());
    out.insert(out.end(), experts.begin(), experts.end());
    return out;
  }
  std::vector<double> teacher_vectors(const char* kind) const {
    const auto& gmf = teacher_values_.saved.tensor(std::string(kind) + "_gmf");
    const auto& mlp = teacher_values_.saved.tensor(std::string(kind) + "_mlp");
    std::vector<double> out;
    for (int64_t row = 0; row < gmf.rows; ++row) {
      for (const HostMatrix* matrix : {&gmf, &mlp}) {
        const auto first = matrix->values.begin() + row * kTeacherDim;
        out.insert(out.end(), first, first + kTeacherDim);
      }
    }
    return out;
  }
};

TEST_F(EmbeddingDe, MatchesOracleAndFiniteDifferences) {
  EpochPlan plan(data_, {kBatch, 1, kSeed});
  plan.begin_epoch(4, stream());
  losses_[0]->begin_epoch(plan, stream());
  plan.next(stream());
  fill_zero(parameters_.gradients().data, parameters_.gradients().size * 4, stream());
  const DeviceArray<double> loss(1);
  loss.zero(stream());
  losses_[0]->add_gradients(plan, *student_, loss.data(), stream());

  oracle::TrainingStep s{};
  s.users = kUsers;
  s.items = kItems;
  s.student_dim = 2 * kDim;
  s.teacher_dim = 2 * kTeacherDim;
  BatchCursor cursor;
  copy_to_host(&cursor, plan.cursor(), sizeof cursor, stream());
  const auto part = [&](Vector<const int32_t> column) {
    return host(column.slice(cursor.begin, cursor.count));
  };
  s.sample_users = part(plan.users());
  s.positives = part(plan.positives());
  s.negatives = part(plan.negatives());
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
  EXPECT_NEAR(loss.to_host(stream())[0], total, 1e-5 * total);

  // float32 sums of some hundred terms with partial cancellation, relative to the largest.
  constexpr double kStep = 1e-6, kRelative = 2e-5;
  const std::vector<double> actual = flat(parameters_.gradients());
  const std::vector<double> expected = test::finite_differences(
      values, [&] { return kWeight * oracle::losses(s, values).de; }, kStep);
  double largest = 0;
  for (const double g : expected) largest = std::max(largest, std::abs(g));
  ASSERT_GT(largest, 0.01);
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], kRelative * largest) << "element " << i;
  }
}

TEST(DeTap, IsWhatStudentAndTeacherBothHave) {
  const DeviceDataset data(test::small_dataset(kUsers, kItems, 5, 3), stream());
  RandomNeumf values(kUsers, kItems, kTeacherDim, 1, 5);
  Teacher neumf(values.saved, data);
  Teacher vectors(test::small_teacher(kUsers, kItems, kTeacherDim, 5), data);
  const auto made = [&](Teacher& teacher, const char* kind, const char* tap) {
    Parameters parameters;
    const auto student =
        make_model(kind, kUsers, kItems, {.dim = kDim, .batch_size = kBatch}, parameters, stream());
    const auto de = test::make_losses(
        "de", {{"tap", tap}},
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
