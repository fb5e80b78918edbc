#include "kernels/models/neumf_joint.h"

#include <stdexcept>

#include "tests/finite_differences.h"
#include "tests/kernels/models/pair_fixture.h"

namespace derrd::test::neumf_joint_test {
namespace {

struct Case {
  static constexpr int64_t kUsers = 7, kItems = 11;

  Case(int64_t samples, int64_t batch_size, int64_t table_cols, int64_t hidden_cols)
      : f(kUsers, kItems, samples, batch_size),
        dims(table_cols),
        width(hidden_cols),
        user(random_normal(kUsers * dims, 1)),
        item(random_normal(kItems * dims, 2)),
        hidden(random_normal(f.pairs() * width, 3)),
        device_user(user),
        device_item(item),
        device_hidden(hidden),
        joint(f.pairs() * (dims + width)) {}

  Matrix<const float> user_table() const { return device_user.matrix(kUsers, dims); }
  Matrix<const float> item_table() const { return device_item.matrix(kItems, dims); }
  Matrix<float> joint_matrix() const { return joint.matrix(f.pairs(), dims + width); }
  NeumfJointCall call(const PairRows& rows) const {
    return {.user_table = user_table(),
            .item_table = item_table(),
            .hidden = device_hidden.matrix(f.pairs(), width),
            .pairs = rows};
  }
  PairRows forward(int64_t batch) const {
    const PairRows rows = f.locate(batch).rows();
    neumf_joint_forward(joint_matrix(), call(rows), stream());
    return rows;
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

  PairFixture f;
  int64_t dims, width;
  std::vector<float> user, item, hidden;
  Guarded<float> device_user, device_item, device_hidden, joint;
};

std::vector<Case> edge_cases() {
  std::vector<Case> cases;
  for (const auto& [samples, batch_size] : pair_sizes()) {
    for (const auto& [dims, width] :
         {std::pair<int64_t, int64_t>{1, 1}, {25, 12}, {32, 33}, {3, 0}}) {
      cases.emplace_back(samples, batch_size, dims, width);
    }
  }
  return cases;
}

TEST(NeumfJointForward, MatchesOracle) {
  for (const Case& c : edge_cases()) {
    for (int64_t b = 0; b < c.f.batches(); ++b) {
      const PairRows rows = c.forward(b);
      const std::vector<double> x = c.expected(b);
      EXPECT_TRUE(close(c.joint.host(), x, 0, 6e-8));  // one product, one rounding

      const int64_t cols = c.dims + c.width;
      const std::vector<float> w = random_normal(cols, 4);
      const Guarded<float> weight(w), bias({0.75f}), score(c.f.pairs());
      neumf_joint_score(score.view(), c.joint_matrix(), weight.const_view(), bias.const_view(),
                        rows, stream());
      std::vector<double> scores(static_cast<size_t>(c.f.pairs()));
      for (size_t p = 0; p < static_cast<size_t>(c.f.active(b)); ++p) {
        scores[p] = 0.75;
        for (size_t k = 0; k < w.size(); ++k) scores[p] += w[k] * x[p * w.size() + k];
      }
      EXPECT_TRUE(close(score.host(), scores, 66 * 40 * 6e-8, 0));  // 66 products of size 1
    }
  }
}

TEST(NeumfJointForward, APairWithoutARowIsZero) {
  const Guarded<float> users({2, 3}), items({5, 7}), hidden({1, 1, 1}), joint(9), score(3);
  const Guarded<float> weight({1, 10, 100}), bias({0.5f});
  const Guarded<int32_t> user({0, -1, 0}), item({0, 0, -1});
  const PairRows pairs = {user.const_view(), item.const_view(), nullptr};
  neumf_joint_forward(joint.matrix(3, 3),
                      {.user_table = users.matrix(1, 2),
                       .item_table = items.matrix(1, 2),
                       .hidden = hidden.matrix(3, 1),
                       .pairs = pairs},
                      stream());
  EXPECT_EQ(joint.host(), (std::vector<float>{10, 21, 1, 0, 0, 0, 0, 0, 0}));
  neumf_joint_score(score.view(), joint.matrix(3, 3), weight.const_view(), bias.const_view(), pairs,
                    stream());
  EXPECT_EQ(score.host(), (std::vector<float>{320.5f, 0, 0}));
}

// x is bilinear, so finite differences are exact but for rounding; here they are written out as the
// sum over the pairs of a row.
TEST(NeumfJointBackward, MatchesFiniteDifferences) {
  for (const Case& c : edge_cases()) {
    const int64_t cols = c.dims + c.width;
    const std::vector<float> weights = random_normal(c.f.pairs() * cols, 5);
    const Guarded<float> grad_joint(weights);
    for (int64_t b = 0; b < c.f.batches(); ++b) {
      const PairRows rows = c.forward(b);
      const Guarded<float> grad_user(std::vector<float>(c.user.size(), 1.0f));
      const Guarded<float> grad_item(std::vector<float>(c.item.size(), 2.0f));
      const Guarded<float> grad_hidden(c.f.pairs() * c.width);
      neumf_joint_backward({.user = grad_user.matrix(Case::kUsers, c.dims),
                            .item = grad_item.matrix(Case::kItems, c.dims),
                            .hidden = grad_hidden.matrix(c.f.pairs(), c.width)},
                           grad_joint.matrix(c.f.pairs(), cols), c.call(rows), c.f.batch(b),
                           stream());
      std::vector<double> user(c.user.size(), 1.0), item(c.item.size(), 2.0);
      std::vector<double> hidden(static_cast<size_t>(c.f.pairs() * c.width));
      const auto loss = [&](const std::vector<double>& u, const std::vector<double>& i, int64_t p,
                            int64_t k) {
        return weights[static_cast<size_t>(p * cols + k)] *
               u[static_cast<size_t>(c.f.user(b, p) * c.dims + k)] *
               i[static_cast<size_t>(c.f.item(b, p) * c.dims + k)];
      };
      std::vector<double> u = to_double(c.user), i = to_double(c.item);
      for (int64_t p = 0; p < c.f.active(b); ++p) {
        for (int64_t k = 0; k < c.dims; ++k) {
          for (auto& [values, grad, row] :
               {std::tuple{&u, &user, c.f.user(b, p)}, {&i, &item, c.f.item(b, p)}}) {
            const auto at = static_cast<size_t>(row * c.dims + k);
            (*grad)[at] += finite_difference((*values)[at], [&] { return loss(u, i, p, k); }, 0.5);
          }
        }
        for (int64_t k = 0; k < c.width; ++k) {
          hidden[static_cast<size_t>(p * c.width + k)] =
              weights[static_cast<size_t>(p * cols + c.dims + k)];
        }
      }
      // Up to 60 pairs of a row with terms of size 1: 60 roundings of partial sums below 60.
      EXPECT_TRUE(close(grad_user.host(), user, 60 * 60 * 6e-8, 0));
      EXPECT_TRUE(close(grad_item.host(), item, 60 * 60 * 6e-8, 0));
      EXPECT_TRUE(close(grad_hidden.host(), hidden, 0, 0));
    }
  }
}

TEST(NeumfJoint, SameBitsAtAnyNumberOfThreads) {
  const Case c(600, 600, 250, 125);
  const Guarded<float> weight(random_normal(375, 6)), bias({0.0f});
  expect_same_bits_at_any_number_of_threads([&] {
    const Guarded<float> grad_user(std::vector<float>(c.user.size()));
    const Guarded<float> grad_item(std::vector<float>(c.item.size()));
    const Guarded<float> grad_hidden(c.f.pairs() * c.width), score(c.f.pairs());
    const PairRows rows = c.forward(0);
    neumf_joint_score(score.view(), c.joint_matrix(), weight.const_view(), bias.const_view(), rows,
                      stream());
    neumf_joint_backward({.user = grad_user.matrix(Case::kUsers, 250),
                          .item = grad_item.matrix(Case::kItems, 250),
                          .hidden = grad_hidden.matrix(c.f.pairs(), 125)},
                         c.joint_matrix(), c.call(rows), c.f.batch(0), stream());
    return std::tuple{score.host(), grad_user.host(), grad_item.host()};
  });
}

TEST(NeumfJoint, RejectsBadShapes) {
  const Case c(6, 6, 4, 3);
  const PairRows rows = c.f.locate(0).rows();
  const Guarded<float> memory(1000);
  const auto forward = [&](int64_t cols, int64_t item_cols, int64_t pairs) {
    NeumfJointCall call = c.call(rows);
    call.item_table = memory.matrix(11, item_cols);
    call.hidden = memory.matrix(pairs, 3);
    neumf_joint_forward(memory.matrix(12, cols), call, stream());
  };
  EXPECT_THROW(forward(6, 4, 12), std::invalid_argument);
  EXPECT_THROW(forward(7, 5, 12), std::invalid_argument);
  EXPECT_THROW(forward(7, 4, 11), std::invalid_argument);
  const auto score = [&](int64_t pairs, int64_t weights, int64_t biases) {
    neumf_joint_score(memory.view().slice(0, pairs), memory.matrix(12, 7),
                      memory.view().slice(0, weights), memory.view().slice(0, biases), rows,
                      stream());
  };
  EXPECT_THROW(score(11, 7, 1), std::invalid_argument);
  EXPECT_THROW(score(12, 6, 1), std::invalid_argument);
  EXPECT_THROW(score(12, 7, 2), std::invalid_argument);
  const auto backward = [&](int64_t users, int64_t items, int64_t cols) {
    neumf_joint_backward({.user = memory.matrix(users, 4),
                          .item = memory.matrix(items, 4),
                          .hidden = memory.matrix(12, 3)},
                         memory.matrix(12, cols), c.call(rows), c.f.batch(0), stream());
  };
  EXPECT_THROW(backward(6, 11, 7), std::invalid_argument);
  EXPECT_THROW(backward(7, 10, 7), std::invalid_argument);
  EXPECT_THROW(backward(7, 11, 8), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::neumf_joint_test
