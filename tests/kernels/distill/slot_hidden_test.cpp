#include "tests/cases/slot_hidden.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "tests/kernels/support.h"

namespace derrd::test::slot_hidden_test {
namespace {

using cases::ascending;

struct Problem : cases::SlotHiddenCase<Guarded> {
  Problem(int64_t anchor_rows, int64_t other_rows, int64_t width, int64_t slots_each,
          const std::vector<int32_t>& batch_anchors, int empty_percent = 0)
      : SlotHiddenCase(other_rows, width,
                       {anchor_rows, slots_each,
                        cases::random_samples(anchor_rows * slots_each, other_rows, empty_percent),
                        batch_anchors}) {}

  /// Calls f(anchor's number, pair, sample) for all slots of the batch that are not empty.
  template <class F>
  void for_each_slot(F&& f) const {
    for (size_t n = 0; n < batch_rows.rows.size(); ++n) {
      for (int64_t s = 0; s < slots; ++s) {
        const int32_t row = sample(anchor(n), s);
        if (row >= 0) f(n, n * static_cast<size_t>(slots) + static_cast<size_t>(s), row);
      }
    }
  }
};

std::vector<Problem> edge_cases() {
  std::vector<Problem> problems;
  for (const int64_t slots : {1, 31, 33, 257}) {
    problems.emplace_back(6, 23, 25, slots, std::vector{5, 0, 2}, 20);
  }
  for (const int64_t cols : {1, 31, 32, 33, 257}) {
    problems.emplace_back(6, 23, cols, 4, std::vector{5, 0, 2}, 20);
  }
  problems.emplace_back(190, 3, 5, 4, ascending(150, 20));  // > 128 occurrences of a row
  problems.emplace_back(3, 190, 5, 4, std::vector{1});
  problems.emplace_back(6, 17, 8, 5, std::vector{2, 4}, 100);
  problems.emplace_back(3, 4, 2, 3, std::vector<int32_t>{});
  return problems;
}

TEST(LocateSlots, FindsTheAnchorsAndTheirSamples) {
  for (const Problem& p : edge_cases()) {
    p.locate();
    const int64_t count = p.batch_rows.capacity * p.slots;
    EXPECT_EQ(p.active.host()[0], count);
    const std::vector<int32_t> positions = p.positions.host(), rows = p.rows.host();
    for (int64_t pair = 0; pair < count; ++pair) {
      const int64_t n = pair / p.slots;
      EXPECT_EQ(positions[static_cast<size_t>(pair)], n);
      EXPECT_EQ(rows[static_cast<size_t>(pair)],
                p.sample(p.anchor(static_cast<size_t>(n)), pair % p.slots));
    }
  }
}

// Up to 257 products of size 1: their roundings and those of partial sums below 60.
constexpr double kTolerance = 257 * 60 * 6e-8;

TEST(SlotOutput, MatchesOracle) {
  for (Problem& p : edge_cases()) {
    const auto cols = static_cast<size_t>(p.cols);
    p.score.set(std::vector<float>(static_cast<size_t>(p.pairs), 7.0f));
    p.grad_weight.set(std::vector<float>(cols, 1.0f));
    p.grad_bias.set({2.0f});
    p.output_forward();
    p.output_backward();

    const std::vector<double> hidden = to_double(p.hidden.to_host(stream()));
    const std::vector<double> weight = to_double(p.weight.to_host(stream()));
    const std::vector<double> grad_score = to_double(p.grad_score.to_host(stream()));
    const double bias = p.bias.to_host(stream())[0];
    std::vector<double> score(grad_score.size(), 7.0);
    // The score is linear in all three: the derivatives are the other factors.
    std::vector<double> by_hidden(hidden.size()), by_weight(cols, 1.0), by_bias = {2.0};
    std::fill(by_hidden.begin() + p.batch_rows.capacity * p.slots * p.cols, by_hidden.end(),
              Guarded<float>(1).host()[0]);  // untouched
    p.for_each_slot([&](size_t, size_t pair, int32_t) {
      const double g = grad_score[pair];
      score[pair] += bias;
      by_bias[0] += g;
      for (size_t k = 0; k < cols; ++k) {
        const double h = hidden[pair * cols + k];
        score[pair] += weight[k] * h;
        by_hidden[pair * cols + k] = g * weight[k];
        by_weight[k] += g * h;
      }
    });
    EXPECT_TRUE(close(p.score.host(), score, kTolerance, 0));
    EXPECT_TRUE(close(p.grad_hidden.host(), by_hidden, 0, 6e-8));
    EXPECT_TRUE(close(p.grad_weight.host(), by_weight, kTolerance, 1e-6));
    EXPECT_TRUE(close(p.grad_bias.host(), by_bias, kTolerance, 1e-6));
  }
}

void expect_gradients_of_oracle(std::vector<Problem> problems, double tolerance) {
  for (Problem& p : problems) {
    const auto cols = static_cast<size_t>(p.cols);
    const std::vector<float> hidden = p.hidden.to_host(stream());
    const std::vector<float> grad_hidden = random_normal(p.pairs * p.cols, 12);
    // An empty slot's h is 0, as neumf_first_layer_forward leaves it.
    std::vector<float> masked(hidden.size());
    std::vector<double> anchors(static_cast<size_t>(p.capacity) * cols);
    std::vector<double> others(static_cast<size_t>(p.others) * cols);
    p.for_each_slot([&](size_t n, size_t pair, int32_t row) {
      for (size_t k = 0; k < cols; ++k) {
        const size_t i = pair * cols + k;
        masked[i] = std::max(hidden[i], 0.0f);
        const double g = hidden[i] > 0 ? grad_hidden[i] : 0;
        anchors[n * cols + k] += g;
        others[static_cast<size_t>(row) * cols + k] += g;
      }
    });
    p.hidden = cases::to_device(masked);
    p.grad_hidden.set(grad_hidden);
    p.hidden_backward();
    EXPECT_TRUE(close(p.grad_anchor_part.host(), anchors, tolerance, 0));
    EXPECT_TRUE(close(p.grad_other_part.host(), others, tolerance, 0));
  }
}

TEST(SlotHiddenBackward, MatchesOracle) { expect_gradients_of_oracle(edge_cases(), kTolerance); }

// 1600 occurrences of a row, which the tiles of a block share, but for rows of more than 256
// columns; then 640 of each.
TEST(SlotHiddenBackward, MatchesOracleForPopularRows) {
  std::vector<Problem> problems;
  for (const int64_t cols : {1, 25, 33, 256, 257}) {
    problems.emplace_back(800, 2, cols, 4, ascending(700, 50), 10);
  }
  problems.emplace_back(800, 5, 25, 4, ascending(700, 50), 10);
  // 1600 terms of size 1, whose partial sums are below 100.
  expect_gradients_of_oracle(std::move(problems), 1600 * 100 * 6e-8);
}

TEST(SlotHidden, SameBitsAtAnyNumberOfThreads) {
  const auto run = [](int threads) {
    set_threads(threads);
    const Problem p(190, 300, 64, 20, ascending(150, 20), 10);
    p.output_backward();
    p.hidden_backward();
    set_threads(0);
    return std::vector{p.grad_weight.host(), p.grad_bias.host(), p.grad_anchor_part.host(),
                       p.grad_other_part.host()};
  };
  EXPECT_EQ(run(0), run(1));
}

TEST(SlotHidden, RejectsBadShapes) {
  const Problem p(3, 4, 2, 5, {0, 1});  // capacity 4, 20 pairs
  const Guarded<float> memory(200);
  const Guarded<int32_t> numbers(40);
  EXPECT_THROW(
      locate_slots({numbers.view().slice(0, 19), numbers.view().slice(20, 20), numbers.data()},
                   p.batch(), stream()),
      std::invalid_argument);
  const auto forward = [&](int64_t rows, int64_t pairs, int64_t biases) {
    SlotOutputCall call = p.output_call();
    call.hidden.rows = pairs;
    call.bias.size = biases;
    slot_output_forward(memory.matrix(rows, 5), call, stream());
  };
  EXPECT_THROW(forward(3, 20, 1), std::invalid_argument);
  EXPECT_THROW(forward(4, 19, 1), std::invalid_argument);
  EXPECT_THROW(forward(4, 20, 0), std::invalid_argument);
  const auto output_backward = [&](int64_t grads, int64_t weights, int64_t sums) {
    slot_output_backward({.hidden = memory.matrix(grads, 2),
                          .weight = memory.view().slice(0, weights),
                          .bias = memory.view().slice(0, 1),
                          .sums = memory.matrix(4, sums)},
                         memory.matrix(4, 5), p.output_call(), stream());
  };
  EXPECT_THROW(output_backward(19, 2, 3), std::invalid_argument);
  EXPECT_THROW(output_backward(20, 3, 3), std::invalid_argument);
  EXPECT_THROW(output_backward(20, 2, 2), std::invalid_argument);
  const auto backward = [&](int64_t anchors, int64_t others, int64_t pairs) {
    slot_hidden_backward(memory.matrix(anchors, 2), memory.matrix(others, 2),
                         memory.matrix(pairs, 2), p.hidden_call(), stream());
  };
  EXPECT_THROW(backward(3, 4, 20), std::invalid_argument);
  EXPECT_THROW(backward(4, 5, 20), std::invalid_argument);
  EXPECT_THROW(backward(4, 4, 19), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::slot_hidden_test
