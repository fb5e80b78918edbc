#include "kernels/models/neumf_row_gradients.h"

#include <stdexcept>

#include "tests/finite_differences.h"
#include "tests/kernels/models/pair_fixture.h"

namespace derrd::test::neumf_row_gradients_test {
namespace {

/// Pairs whose gradients lie in [product | first layer], as with one hidden layer.
struct Case {
  static constexpr int64_t kUsers = 7, kItems = 11;

  Case(int64_t samples, int64_t batch_size, int64_t width)
      : f(kUsers, kItems, samples, batch_size),
        cols(width),
        user(random_normal(kUsers * cols, 1)),
        item(random_normal(kItems * cols, 2)),
        hidden(random_normal(f.pairs() * cols, 3)),
        grad(random_normal(f.pairs() * 2 * cols, 4)),
        device_user(user),
        device_item(item),
        device_hidden(hidden),
        device_grad(grad) {}

  struct Result {
    std::vector<float> user, item, user_part, item_part;
    bool operator==(const Result&) const = default;
  };
  NeumfRowCall call(int64_t batch) const {
    const Matrix<const float> gradients = device_grad.matrix(f.pairs(), 2 * cols);
    return {.user_table = device_user.matrix(kUsers, cols),
            .item_table = device_item.matrix(kItems, cols),
            .grad_joint = gradients,
            .grad_hidden = gradients,
            .first_column = cols,
            .hidden = device_hidden.matrix(f.pairs(), cols),
            .pairs = f.locate(batch).rows(),
            .batch = f.batch(batch)};
  }
  /// Adds to tables of 1 and 2.
  Result run(int64_t batch) const {
    const int64_t users = f.user_rows.capacity;
    const int64_t items = f.positive_rows.capacity + f.negative_rows.capacity;
    const Guarded<float> grad_user(std::vector<float>(user.size(), 1.0f));
    const Guarded<float> grad_item(std::vector<float>(item.size(), 2.0f));
    const Guarded<float> user_part(users * cols), item_part(items * cols);
    neumf_row_gradients({.user = grad_user.matrix(kUsers, cols),
                         .item = grad_item.matrix(kItems, cols),
                         .user_part = user_part.matrix(users, cols),
                         .item_part = item_part.matrix(items, cols)},
                        call(batch), stream());
    return {grad_user.host(), grad_item.host(), user_part.host(), item_part.host()};
  }

  PairFixture f;
  int64_t cols;
  std::vector<float> user, item, hidden, grad;
  Guarded<float> device_user, device_item, device_hidden, device_grad;
};

// The product is bilinear, so finite differences are exact but for rounding; the first layer's
// output moves with the sum of its two parts, unless the relu is off. Rows have up to 100 pairs.
TEST(NeumfRowGradients, MatchesFiniteDifferences) {
  for (const auto& [samples, batch_size] : pair_sizes()) {
    for (const int64_t cols : {1, 3, 33, 257}) {
      const Case c(samples, batch_size, cols);
      for (int64_t b = 0; b < c.f.batches(); ++b) {
        const Case::Result result = c.run(b);
        const std::vector<int32_t> user_at = c.f.numbers[2].host(), item_at = c.f.numbers[3].host();
        std::vector<double> user(c.user.size(), 1.0), item(c.item.size(), 2.0);
        std::vector<double> user_part(result.user_part.size()), item_part(result.item_part.size());
        for (int64_t p = 0; p < c.f.active(b); ++p) {
          for (int64_t k = 0; k < cols; ++k) {
            const auto at = [&](int64_t row) { return static_cast<size_t>(row * cols + k); };
            const float grad_x = c.grad[static_cast<size_t>(2 * p * cols + k)];
            const float grad_h = c.grad[static_cast<size_t>((2 * p + 1) * cols + k)];
            double u = c.user[at(c.f.user(b, p))], i = c.item[at(c.f.item(b, p))];
            const auto product = [&] { return grad_x * u * i; };
            user[at(c.f.user(b, p))] += finite_difference(u, product, 0.5);
            item[at(c.f.item(b, p))] += finite_difference(i, product, 0.5);
            double z = c.hidden[at(p)];  // its relu has the same slope
            const double slope = finite_difference(
                z, [&] { return std::max(z, 0.0); }, std::abs(z) / 2);
            user_part[at(user_at[static_cast<size_t>(p)])] += grad_h * slope;
            item_part[at(item_at[static_cast<size_t>(p)])] += grad_h * slope;
          }
        }
        // Up to 100 pairs of a row with terms of size 1: 100 roundings of partial sums below 80.
        constexpr double kError = 100 * 80 * 6e-8;
        EXPECT_TRUE(close(result.user, user, kError, 0));
        EXPECT_TRUE(close(result.item, item, kError, 0));
        EXPECT_TRUE(close(result.user_part, user_part, kError, 0));
        EXPECT_TRUE(close(result.item_part, item_part, kError, 0));
      }
    }
  }
}

// With more hidden layers the first layer's gradient is a matrix of its own.
TEST(NeumfRowGradients, TakesGradientsFromTwoMatrices) {
  const Case c(33, 33, 20);
  std::vector<float> of_product, of_hidden;
  for (size_t i = 0; i < c.grad.size(); ++i) {
    (i / 20 % 2 == 0 ? of_product : of_hidden).push_back(c.grad[i]);
  }
  const Guarded<float> grad_joint(of_product), grad_hidden(of_hidden);
  const Guarded<float> user(std::vector<float>(c.user.size(), 1.0f));
  const Guarded<float> item(std::vector<float>(c.item.size(), 2.0f));
  const int64_t users = c.f.user_rows.capacity;
  const int64_t items = c.f.positive_rows.capacity + c.f.negative_rows.capacity;
  const Guarded<float> user_part(users * 20), item_part(items * 20);
  NeumfRowCall call = c.call(0);
  call.grad_joint = grad_joint.matrix(c.f.pairs(), 20);
  call.grad_hidden = grad_hidden.matrix(c.f.pairs(), 20);
  call.first_column = 0;
  neumf_row_gradients({user.matrix(7, 20), item.matrix(11, 20), user_part.matrix(users, 20),
                       item_part.matrix(items, 20)},
                      call, stream());
  EXPECT_TRUE(
      (Case::Result{user.host(), item.host(), user_part.host(), item_part.host()} == c.run(0)));
}

TEST(NeumfRowGradients, SameBitsAtAnyNumberOfThreads) {
  const Case c(600, 600, 250);
  expect_same_bits_at_any_number_of_threads([&] { return c.run(0); });
}

TEST(NeumfRowGradients, RejectsBadShapes) {
  const Case c(6, 6, 4);
  const Guarded<float> memory(1000);
  const int64_t users = c.f.user_rows.capacity;
  const int64_t items = c.f.positive_rows.capacity + c.f.negative_rows.capacity;
  const NeumfRowCall good = c.call(0);
  const NeumfRowGradients out = {memory.matrix(7, 4), memory.matrix(11, 4), memory.matrix(users, 4),
                                 memory.matrix(items, 4)};
  const auto with_out = [&](Matrix<float> NeumfRowGradients::*part, int64_t rows) {
    NeumfRowGradients other = out;
    other.*part = memory.matrix(rows, 4);
    neumf_row_gradients(other, good, stream());
  };
  EXPECT_THROW(with_out(&NeumfRowGradients::user, 6), std::invalid_argument);
  EXPECT_THROW(with_out(&NeumfRowGradients::item, 10), std::invalid_argument);
  EXPECT_THROW(with_out(&NeumfRowGradients::user_part, users + 1), std::invalid_argument);
  EXPECT_THROW(with_out(&NeumfRowGradients::item_part, items + 1), std::invalid_argument);
  const auto with = [&](Matrix<const float> NeumfRowCall::*part, int64_t rows, int64_t cols) {
    NeumfRowCall call = good;
    call.*part = memory.matrix(rows, cols);
    neumf_row_gradients(out, call, stream());
  };
  EXPECT_THROW(with(&NeumfRowCall::user_table, 7, 3), std::invalid_argument);
  EXPECT_THROW(with(&NeumfRowCall::item_table, 11, 5), std::invalid_argument);
  EXPECT_THROW(with(&NeumfRowCall::grad_joint, 12, 3), std::invalid_argument);
  EXPECT_THROW(with(&NeumfRowCall::grad_joint, 11, 8), std::invalid_argument);
  EXPECT_THROW(with(&NeumfRowCall::grad_hidden, 12, 7), std::invalid_argument);
  EXPECT_THROW(with(&NeumfRowCall::hidden, 11, 4), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::neumf_row_gradients_test
