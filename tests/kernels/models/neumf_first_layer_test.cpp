#include "kernels/models/neumf_first_layer.h"

#include <limits>
#include <stdexcept>

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

  void forward(int64_t batch, Vector<const float> bias) const {
    neumf_first_layer_forward(hidden.matrix(f.pairs(), cols),
                              {.user_part = device_user_part.matrix(f.user_rows.capacity, cols),
                               .item_part = device_item_part.matrix(items, cols),
                               .bias = bias,
                               .pairs = f.locate(batch).positions()},
                              stream());
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
      const std::vector<float> bias = random_normal(cols, 3);
      const Guarded<float> device_bias(bias);
      for (int64_t b = 0; b < c.f.batches(); ++b) {
        for (const bool with_bias : {false, true}) {
          c.forward(b, with_bias ? device_bias.const_view() : Vector<const float>());
          const std::vector<int32_t> users = c.f.numbers[2].host(), items = c.f.numbers[3].host();
          std::vector<double> expected(static_cast<size_t>(c.f.pairs() * cols));
          for (size_t i = 0; i < expected.size(); ++i) {
            const size_t p = i / static_cast<size_t>(cols), k = i % static_cast<size_t>(cols);
            if (static_cast<int64_t>(p) >= c.f.active(b)) continue;
            double z = c.sum(static_cast<size_t>(users[p]), static_cast<size_t>(items[p]),
                             static_cast<int64_t>(k));
            if (with_bias) z += bias[k];
            expected[i] = z > 0 ? z : 0;
          }
          // A sum of two, cancelling; with the bias two roundings of sums below 8.
          EXPECT_TRUE(close(c.hidden.host(), expected, with_bias ? 2 * 8 * 6e-8 : 0, 1.2e-7 * 8));
        }
      }
    }
  }
}

TEST(NeumfFirstLayerForward, KeepsNanAndSkipsPairsWithoutARow) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const Guarded<float> users({1, 2, kNan, 4}), items({1, 1, 1, -9}), hidden(8);
  const Guarded<int32_t> user({0, -1, 1, 0}), item({0, 0, 0, -1});
  neumf_first_layer_forward(hidden.matrix(4, 2),
                            {.user_part = users.matrix(2, 2),
                             .item_part = items.matrix(2, 2),
                             .pairs = {user.const_view(), item.const_view(), nullptr}},
                            stream());
  const std::vector<float> h = hidden.host();
  EXPECT_EQ(std::vector<float>(h.begin(), h.begin() + 4), (std::vector<float>{2, 3, 0, 0}));
  EXPECT_TRUE(std::isnan(h[4]));
  EXPECT_EQ(std::vector<float>(h.begin() + 5, h.end()), (std::vector<float>{5, 0, 0}));
}

TEST(NeumfFirstLayer, RejectsBadShapes) {
  const Case c(6, 6, 4);
  const PairRows positions = c.f.locate(0).positions();
  const Guarded<float> memory(1000);
  const auto forward = [&](int64_t rows, int64_t user_cols, int64_t item_cols, int64_t bias) {
    neumf_first_layer_forward(memory.matrix(rows, 4),
                              {.user_part = memory.matrix(6, user_cols),
                               .item_part = memory.matrix(12, item_cols),
                               .bias = memory.view().slice(0, bias),
                               .pairs = positions},
                              stream());
  };
  EXPECT_THROW(forward(11, 4, 4, 4), std::invalid_argument);
  EXPECT_THROW(forward(12, 3, 4, 4), std::invalid_argument);
  EXPECT_THROW(forward(12, 4, 5, 4), std::invalid_argument);
  EXPECT_THROW(forward(12, 4, 4, 3), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::neumf_first_layer_test
