#include "kernels/models/neumf_first_layer.h"

#include <limits>
#include <stdexcept>

#include "tests/finite_differences.h"
#include "tests/kernels/models/pair_fixture.h"

namespace derrd::test::neumf_first_layer_test {
namespace {

/// The parts of a batch's distinct rows, one row of numbers each.
struct Case {
  Case(int64_t samples, int64_t batch_size, int64_t width)
      : f(7, 11, samples, batch_size),
        cols(width),
        items(f.positive_rows.capacity + f.negative_rows.capacity),
        user_part(random_normal(f.user_rows.capacity * cols, 1)),
        item_part(random_normal(items * cols, 2)),
        device_user_part(user_part),
        device_item_part(item_part),
        hidden(f.pairs() * cols) {}

  void forward(int64_t batch) const {
    neumf_first_layer_forward(
        hidden.matrix(f.pairs(), cols), device_user_part.matrix(f.user_rows.capacity, cols),
        device_item_part.matrix(items, cols), f.locate(batch).positions(), stream());
  }
  /// Before the relu.
  double sum(size_t user_position, size_t item_position, int64_t k) const {
    const auto width = static_cast<size_t>(cols);
    const auto column = static_cast<size_t>(k);
    return static_cast<double>(user_part[user_position * width + column]) +
           item_part[item_position * width + column];
  }

  PairFixture f;
  int64_t cols, items;
  std::vector<float> user_part, item_part;
  Guarded<float> device_user_part, device_item_part, hidden;
};

TEST(NeumfFirstLayerForward, MatchesOracle) {
  for (const auto& [samples, batch_size] : pair_sizes()) {
    for (const int64_t cols : {1, 25, 33}) {
      const Case c(samples, batch_size, cols);
      for (int64_t b = 0; b < c.f.batches(); ++b) {
        c.forward(b);
        const std::vector<int32_t> users = c.f.numbers[2].host(), items = c.f.numbers[3].host();
        std::vector<double> expected(static_cast<size_t>(c.f.pairs() * cols));
        for (size_t i = 0; i < expected.size(); ++i) {
          const size_t p = i / static_cast<size_t>(cols);
          if (static_cast<int64_t>(p) >= c.f.active(b)) continue;
          const double z = c.sum(static_cast<size_t>(users[p]), static_cast<size_t>(items[p]),
                                 static_cast<int64_t>(i) % cols);
          expected[i] = z > 0 ? z : 0;
        }
        EXPECT_TRUE(close(c.hidden.host(), expected, 0, 1.2e-7 * 8));  // a sum of two, cancelling
      }
    }
  }
}

TEST(NeumfFirstLayerForward, KeepsNanAndSkipsPairsWithoutARow) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const Guarded<float> users({1, 2, kNan, 4}), items({1, 1, 1, -9}), hidden(8);
  const Guarded<int32_t> user({0, -1, 1, 0}), item({0, 0, 0, -1});
  neumf_first_layer_forward(hidden.matrix(4, 2), users.matrix(2, 2), items.matrix(2, 2),
                            {user.const_view(), item.const_view(), nullptr}, stream());
  const std::vector<float> h = hidden.host();
  EXPECT_EQ(std::vector<float>(h.begin(), h.begin() + 4), (std::vector<float>{2, 3, 0, 0}));
  EXPECT_TRUE(std::isnan(h[4]));
  EXPECT_EQ(std::vector<float>(h.begin() + 5, h.end()), (std::vector<float>{5, 0, 0}));
}

// Through the relu to the parts of users, positives and negatives: finite differences of the sum of
// grad * h, in which a part's row takes part through all of its pairs.
TEST(NeumfFirstLayerBackward, MatchesFiniteDifferences) {
  for (const auto& [samples, batch_size] : pair_sizes()) {
    const Case c(samples, batch_size, 3);
    const std::vector<float> weights = random_normal(c.f.pairs() * c.cols, 3);
    const Guarded<float> grad_hidden(weights);
    for (int64_t b = 0; b < c.f.batches(); ++b) {
      c.forward(b);
      const std::vector<int32_t> users = c.f.numbers[2].host(), items = c.f.numbers[3].host();
      const PairBatch batch = c.f.batch(b);
      const int64_t positives = c.f.positive_rows.capacity;
      const auto derivative = [&](bool of_users, int64_t first, int64_t rows) {
        constexpr double kStep = 1e-4;  // the function is linear but for the kinks
        std::vector<double> grad(static_cast<size_t>(rows * c.cols));
        for (size_t p = 0; p < static_cast<size_t>(c.f.active(b)); ++p) {
          const int64_t position = (of_users ? users[p] : items[p]) - first;
          if (position < 0 || position >= rows) continue;
          for (int64_t k = 0; k < c.cols; ++k) {
            double z = c.sum(static_cast<size_t>(users[p]), static_cast<size_t>(items[p]), k);
            const double slope = finite_difference(
                z, [&] { return std::max(z, 0.0); }, kStep);
            if (std::abs(z) < kStep) return std::vector<double>();  // at a kink
            grad[static_cast<size_t>(position * c.cols + k)] +=
                weights[p * static_cast<size_t>(c.cols) + static_cast<size_t>(k)] * slope;
          }
        }
        return grad;
      };
      const auto expect = [&](const PairSegments& segments, bool of_users, int64_t first) {
        const int64_t rows = segments.rows.capacity;
        const Guarded<float> grad_part(rows * c.cols);
        neumf_first_layer_backward(grad_part.matrix(rows, c.cols),
                                   grad_hidden.matrix(c.f.pairs(), c.cols),
                                   c.hidden.matrix(c.f.pairs(), c.cols), segments, stream());
        // Up to 60 pairs of a row, of size 1: 60 roundings of partial sums below 30.
        EXPECT_TRUE(close(grad_part.host(), derivative(of_users, first, rows), 60 * 30 * 6e-8, 0));
      };
      expect(batch.users(), true, 0);
      expect(batch.positives(), false, 0);
      expect(batch.negatives(), false, positives);
    }
  }
}

TEST(NeumfFirstLayer, SameBitsAtAnyNumberOfThreads) {
  const Case c(600, 600, 250);
  expect_same_bits_at_any_number_of_threads([&] {
    const Guarded<float> grad_part(c.f.user_rows.capacity * c.cols);
    c.forward(0);
    neumf_first_layer_backward(
        grad_part.matrix(c.f.user_rows.capacity, c.cols), c.hidden.matrix(c.f.pairs(), c.cols),
        c.hidden.matrix(c.f.pairs(), c.cols), c.f.batch(0).users(), stream());
    return grad_part.host();
  });
}

TEST(NeumfFirstLayer, RejectsBadShapes) {
  const Case c(6, 6, 4);
  const PairBuffers pairs = c.f.locate(0);
  const Guarded<float> memory(1000);
  const auto forward = [&](int64_t rows, int64_t user_cols, int64_t item_cols) {
    neumf_first_layer_forward(memory.matrix(rows, 4), memory.matrix(6, user_cols),
                              memory.matrix(12, item_cols), pairs.positions(), stream());
  };
  EXPECT_THROW(forward(11, 4, 4), std::invalid_argument);
  EXPECT_THROW(forward(12, 3, 4), std::invalid_argument);
  EXPECT_THROW(forward(12, 4, 5), std::invalid_argument);
  const auto backward = [&](int64_t rows, int64_t grad_cols) {
    neumf_first_layer_backward(memory.matrix(rows, 4), memory.matrix(12, grad_cols),
                               memory.matrix(12, 4), c.f.batch(0).users(), stream());
  };
  EXPECT_THROW(backward(c.f.user_rows.capacity + 1, 4), std::invalid_argument);
  EXPECT_THROW(backward(c.f.user_rows.capacity, 3), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::neumf_first_layer_test
