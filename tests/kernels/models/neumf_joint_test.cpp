#include "kernels/models/neumf_joint.h"

#include <limits>
#include <stdexcept>

#include "tests/finite_differences.h"
#include "tests/kernels/models/pair_fixture.h"
#include "tests/oracles/neumf.h"

namespace derrd::test::neumf_joint_test {
namespace {

struct Case {
  static constexpr int64_t kUsers = 7, kItems = 11;
  static constexpr float kBias = 0.75f;

  Case(int64_t samples, int64_t batch_size, int64_t table_cols, int64_t hidden_cols)
      : f(kUsers, kItems, samples, batch_size),
        dims(table_cols),
        width(hidden_cols),
        user(random_normal(kUsers * dims, 1)),
        item(random_normal(kItems * dims, 2)),
        hidden(random_normal(f.pairs() * width, 3)),
        weight(random_normal(dims + width, 4)),
        device_user(user),
        device_item(item),
        device_hidden(hidden),
        device_weight(weight),
        joint(f.pairs() * (dims + width)) {}

  Matrix<float> joint_matrix() const { return joint.matrix(f.pairs(), dims + width); }
  NeumfJointCall call(const PairRows& rows) const {
    return {.user_table = device_user.matrix(kUsers, dims),
            .item_table = device_item.matrix(kItems, dims),
            .hidden = device_hidden.matrix(f.pairs(), width),
            .pairs = rows,
            .weight = device_weight.const_view(),
            .bias = device_bias.const_view()};
  }
  /// The joint vectors of a batch, [pairs, dims + width].
  std::vector<double> expected(int64_t batch) const {
    std::vector<double> x(static_cast<size_t>(f.pairs() * (dims + width)));
    for (int64_t p = 0; p < f.active(batch); ++p) {
      for (int64_t k = 0; k < dims + width; ++k) {
        x[static_cast<size_t>(p * (dims + width) + k)] =
            k < dims ? static_cast<double>(user[static_cast<size_t>(f.user(batch, p) * dims + k)]) *
                           item[static_cast<size_t>(f.item(batch, p) * dims + k)]
                     : hidden[static_cast<size_t>(p * width + k - dims)];
      }
    }
    return x;
  }
  /// The scores of joint vectors.
  std::vector<double> scores(const std::vector<double>& x, int64_t batch) const {
    std::vector<double> all(static_cast<size_t>(f.pairs()));
    for (size_t p = 0; p < static_cast<size_t>(f.active(batch)); ++p) {
      all[p] = kBias;
      for (size_t k = 0; k < weight.size(); ++k) all[p] += weight[k] * x[p * weight.size() + k];
    }
    return all;
  }

  PairFixture f;
  int64_t dims, width;
  std::vector<float> user, item, hidden, weight;
  Guarded<float> device_user, device_item, device_hidden, device_weight, joint;
  Guarded<float> device_bias{kBias};
};

// Where both parts are whole quads, a GPU takes four pairs at once.
std::vector<Case> edge_cases() {
  std::vector<Case> cases;
  for (const auto& [samples, batch_size] : pair_sizes()) {
    for (const auto& [dims, width] :
         {std::pair<int64_t, int64_t>{1, 1}, {25, 12}, {32, 33}, {3, 0}, {36, 8}, {4, 36}}) {
      cases.emplace_back(samples, batch_size, dims, width);
    }
  }
  return cases;
}

// Scores are sums of 66 products of size 1, so off by some 66 * 8 roundings.
constexpr double kScoreError = 66 * 40 * 6e-8;

TEST(NeumfJointForward, MatchesOracle) {
  for (const Case& c : edge_cases()) {
    for (int64_t b = 0; b < c.f.batches(); ++b) {
      const PairRows rows = c.f.locate(b).rows();
      const std::vector<double> x = c.expected(b);
      neumf_joint_forward(c.joint_matrix(), c.call(rows), stream());
      EXPECT_TRUE(close(c.joint.host(), x, 0, 6e-8));  // one product, one rounding

      const Guarded<float> score(c.f.pairs()), joint(c.joint.size());
      neumf_joint_score(score.view(), joint.matrix(c.f.pairs(), c.dims + c.width), c.call(rows),
                        stream());
      EXPECT_TRUE(same_bits(joint, c.joint));
      EXPECT_TRUE(close(score.host(), c.scores(x, b), kScoreError, 0));
    }
  }
}

TEST(NeumfJointForward, APairOfQuadsWithoutARowIsZero) {
  const Guarded<float> users(std::vector<float>(4, 2)), items(std::vector<float>(4, 3));
  const Guarded<float> hidden(std::vector<float>(12, 1)), weight(std::vector<float>(8, 10));
  const Guarded<float> bias({0.5f}), joint(24), score(3), loss(3), grad_score(3), grad_joint(24);
  const Guarded<int32_t> user({-1, 0, 0}), item({0, 0, -1});
  const NeumfJointCall call = {.user_table = users.matrix(1, 4),
                               .item_table = items.matrix(1, 4),
                               .hidden = hidden.matrix(3, 4),
                               .pairs = {user.const_view(), item.const_view(), nullptr},
                               .weight = weight.const_view(),
                               .bias = bias.const_view()};
  std::vector<float> expected(24);
  std::fill_n(expected.begin() + 8, 4, 6.0f);
  std::fill_n(expected.begin() + 12, 4, 1.0f);
  neumf_joint_score(score.view(), joint.matrix(3, 8), call, stream());
  EXPECT_EQ(joint.host(), expected);
  EXPECT_EQ(score.host(), (std::vector<float>{0, 280.5f, 0}));
  neumf_joint_loss({loss.view(), grad_score.view(), joint.matrix(3, 8), grad_joint.matrix(3, 8)},
                   call, stream());
  EXPECT_EQ(joint.host(), expected);
  EXPECT_EQ(grad_score.host(), (std::vector<float>{0, 1, 0}));
  std::vector<float> gradient(24);
  std::fill_n(gradient.begin() + 8, 8, 10.0f);
  EXPECT_EQ(grad_joint.host(), gradient);
}

TEST(NeumfJointForward, APairWithoutARowIsZero) {
  const Guarded<float> users({2, 3}), items({5, 7}), hidden({1, 1, 1}), joint(9), score(3);
  const Guarded<float> weight({1, 10, 100}), bias({0.5f}), loss(3), grad_score(3), grad_joint(9);
  const Guarded<int32_t> user({0, -1, 0}), item({0, 0, -1});
  const NeumfJointCall call = {.user_table = users.matrix(1, 2),
                               .item_table = items.matrix(1, 2),
                               .hidden = hidden.matrix(3, 1),
                               .pairs = {user.const_view(), item.const_view(), nullptr},
                               .weight = weight.const_view(),
                               .bias = bias.const_view()};
  const std::vector<float> expected = {10, 21, 1, 0, 0, 0, 0, 0, 0};
  neumf_joint_forward(joint.matrix(3, 3), call, stream());
  EXPECT_EQ(joint.host(), expected);
  neumf_joint_score(score.view(), joint.matrix(3, 3), call, stream());
  EXPECT_EQ(joint.host(), expected);
  EXPECT_EQ(score.host(), (std::vector<float>{320.5f, 0, 0}));
  neumf_joint_loss({loss.view(), grad_score.view(), joint.matrix(3, 3), grad_joint.matrix(3, 3)},
                   call, stream());
  EXPECT_EQ(joint.host(), expected);
  for (const size_t p : {1, 2}) {
    EXPECT_EQ(loss.host()[p], 0);
    EXPECT_EQ(grad_score.host()[p], 0);
    for (size_t k = 0; k < 3; ++k) EXPECT_EQ(grad_joint.host()[3 * p + k], 0);
  }
}

struct Loss {
  std::vector<float> loss, grad_score, joint, grad_joint;
};

Loss run_loss(const NeumfJointCall& call) {
  const int64_t pairs = call.hidden.rows, cols = call.weight.size;
  const Guarded<float> loss(pairs), grad_score(pairs), joint(pairs * cols),
      grad_joint(pairs * cols);
  neumf_joint_loss({.loss = loss.view(),
                    .grad_score = grad_score.view(),
                    .joint = joint.matrix(pairs, cols),
                    .grad_joint = grad_joint.matrix(pairs, cols)},
                   call, stream());
  return {loss.host(), grad_score.host(), joint.host(), grad_joint.host()};
}

/// Loss of pairs whose scores are these: x = [s], w = [1], b = 0.
Loss loss_of(const std::vector<float>& scores, int32_t active = -1) {
  const auto n = static_cast<int64_t>(scores.size());
  const Guarded<float> hidden(scores), weight({1.0f}), bias({0.0f});
  const Guarded<int32_t> rows(std::vector<int32_t>(scores.size(), 0)), count({active});
  const Matrix<const float> table = {nullptr, 1, 0};
  return run_loss({.user_table = table,
                   .item_table = table,
                   .hidden = hidden.matrix(n, 1),
                   .pairs = {rows.const_view(), rows.const_view(),
                             active < 0 ? ActiveRows() : ActiveRows(count.data())},
                   .weight = weight.const_view(),
                   .bias = bias.const_view()});
}

double target(size_t pair) { return pair % 2 == 0 ? 1 : 0; }

TEST(NeumfJointLoss, MatchesOracleAtExtremeScores) {
  std::vector<float> scores;
  for (const float x : {0.0f, 1e-6f, 80.0f, 87.0f, 1e4f, 3e38f}) {
    scores.insert(scores.end(), {x, x, -x, -x});
  }
  for (float x = -20.0f; x <= 20.0f; x += 0.25f) scores.insert(scores.end(), {x, x});
  const Loss result = loss_of(scores);
  std::vector<double> loss, grad;
  for (size_t p = 0; p < scores.size(); ++p) {
    const double z = target(p) == 1 ? -scores[p] : scores[p];
    const double sigmoid = z > 0 ? 1 / (1 + std::exp(-z)) : std::exp(z) / (1 + std::exp(z));
    loss.push_back(oracle::binary_cross_entropy(scores[p], target(p)));
    grad.push_back(target(p) == 1 ? -sigmoid : sigmoid);
  }
  // exp, the logarithm and a division, each within a few units of the last place, of the result
  // itself. 1e-40 is below float's normal numbers.
  EXPECT_TRUE(close(result.loss, loss, 1e-40, 5e-7));
  EXPECT_TRUE(close(result.grad_score, grad, 1e-40, 5e-7));
}

TEST(NeumfJointLoss, MatchesFiniteDifferences) {
  std::vector<double> expected;
  const std::vector<float> scores = random_normal(257, 1, 3.0f);
  for (size_t p = 0; p < scores.size(); ++p) {
    double x = scores[p];
    expected.push_back(
        finite_difference(x, [&] { return oracle::binary_cross_entropy(x, target(p)); }));
  }
  EXPECT_TRUE(close(loss_of(scores).grad_score, expected, 3e-7, 1e-6));
}

// The loss by the scores, and the joint vectors' gradient as scores are linear in them.
TEST(NeumfJointLoss, MatchesOracleOnEdgeShapes) {
  for (const Case& c : edge_cases()) {
    for (int64_t b = 0; b < c.f.batches(); ++b) {
      const std::vector<double> x = c.expected(b), scores = c.scores(x, b);
      const Loss result = run_loss(c.call(c.f.locate(b).rows()));
      std::vector<double> loss(scores.size()), grad(result.grad_joint.size());
      for (size_t p = 0; p < static_cast<size_t>(c.f.active(b)); ++p) {
        loss[p] = oracle::binary_cross_entropy(scores[p], target(p));
        for (size_t k = 0; k < c.weight.size(); ++k) {
          grad[p * c.weight.size() + k] = static_cast<double>(result.grad_score[p]) * c.weight[k];
        }
      }
      EXPECT_TRUE(close(result.joint, x, 0, 6e-8));
      EXPECT_TRUE(close(result.loss, loss, kScoreError, 1e-6));
      EXPECT_TRUE(close(result.grad_joint, grad, 0, 6e-8));
    }
  }
}

TEST(NeumfJointLoss, ClearsInactivePairs) {
  const std::vector<float> scores = random_normal(40, 2);
  const Loss all = loss_of(scores), some = loss_of(scores, 20);
  for (size_t p = 0; p < scores.size(); ++p) {
    EXPECT_EQ(some.loss[p], p < 20 ? all.loss[p] : 0.0f);
    EXPECT_EQ(some.grad_score[p], p < 20 ? all.grad_score[p] : 0.0f);
    EXPECT_EQ(some.joint[p], p < 20 ? scores[p] : 0.0f);
    EXPECT_EQ(some.grad_joint[p], p < 20 ? all.grad_joint[p] : 0.0f);
  }
}

TEST(NeumfJointLoss, KeepsNanAndInfinity) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Loss r = loss_of({nan, nan, kInfinity, kInfinity, -kInfinity, -kInfinity});
  for (const size_t p : {0, 1}) {
    EXPECT_TRUE(std::isnan(r.loss[p]) && std::isnan(r.grad_score[p]) &&
                std::isnan(r.grad_joint[p]));
  }
  EXPECT_EQ(std::vector<float>(r.loss.begin() + 2, r.loss.end()),
            (std::vector<float>{0, kInfinity, kInfinity, 0}));
  EXPECT_EQ(std::vector<float>(r.grad_score.begin() + 2, r.grad_score.end()),
            (std::vector<float>{0, 1, -1, 0}));
}

TEST(NeumfJoint, SameBitsAtAnyNumberOfThreads) {
  const Case c(600, 600, 250, 125);
  expect_same_bits_at_any_number_of_threads([&] {
    const Loss result = run_loss(c.call(c.f.locate(0).rows()));
    return std::tuple{result.loss, result.grad_score, result.joint, result.grad_joint};
  });
}

TEST(NeumfJoint, RejectsBadShapes) {
  const Case c(6, 6, 4, 3);
  const Guarded<float> memory(1000);
  const auto vector = [&](int64_t size) { return memory.view().slice(0, size); };
  const NeumfJointCall good = c.call(c.f.locate(0).rows());
  const auto forward = [&](int64_t cols, int64_t item_cols, int64_t pairs) {
    NeumfJointCall call = good;
    call.item_table = memory.matrix(11, item_cols);
    call.hidden = memory.matrix(pairs, 3);
    neumf_joint_forward(memory.matrix(12, cols), call, stream());
  };
  EXPECT_THROW(forward(6, 4, 12), std::invalid_argument);
  EXPECT_THROW(forward(7, 5, 12), std::invalid_argument);
  EXPECT_THROW(forward(7, 4, 11), std::invalid_argument);
  const auto score = [&](int64_t pairs, int64_t weights, int64_t biases) {
    NeumfJointCall call = good;
    call.weight = vector(weights);
    call.bias = vector(biases);
    neumf_joint_score(vector(pairs), memory.matrix(12, 7), call, stream());
  };
  EXPECT_THROW(score(11, 7, 1), std::invalid_argument);
  EXPECT_THROW(score(12, 6, 1), std::invalid_argument);
  EXPECT_THROW(score(12, 7, 2), std::invalid_argument);
  const auto loss = [&](int64_t losses, int64_t grads, int64_t cols) {
    neumf_joint_loss({vector(losses), vector(grads), memory.matrix(12, 7), memory.matrix(12, cols)},
                     good, stream());
  };
  EXPECT_THROW(loss(11, 12, 7), std::invalid_argument);
  EXPECT_THROW(loss(12, 11, 7), std::invalid_argument);
  EXPECT_THROW(loss(12, 12, 6), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::neumf_joint_test
