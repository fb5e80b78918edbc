#include "kernels/distill/slot_hidden.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "tests/kernels/distill/slot_case.h"

namespace derrd::test::slot_hidden_test {
namespace {

/// A case whose `cols` are the hidden units; hidden values and gradients are arbitrary, some not
/// above 0.
struct Case : SlotCase {
  Case(int64_t anchor_rows, int64_t other_rows, int64_t width, int64_t slots_each,
       std::vector<int32_t> batch_anchors, int empty_percent = 0)
      : SlotCase(anchor_rows, other_rows, width, slots_each, std::move(batch_anchors),
                 empty_percent),
        pairs(capacity * slots),
        hidden(random_normal(pairs * cols, 11)),
        grad(random_normal(pairs * cols, 12)),
        output(random_normal(cols, 13)) {
    for (float& h : hidden) h = std::max(h, 0.0f);
  }
  /// Calls f(anchor's number, pair, sample) for all slots of the batch that are not empty.
  template <class F>
  void for_each_slot(F&& f) const {
    for (size_t n = 0; n < segments.rows.size(); ++n) {
      for (int64_t s = 0; s < slots; ++s) {
        const int32_t row = sample(segments.rows[n], s);
        if (row >= 0) f(n, n * static_cast<size_t>(slots) + static_cast<size_t>(s), row);
      }
    }
  }

  int64_t pairs;
  std::vector<float> hidden, grad, output;
};

std::vector<Case> edge_cases() {
  std::vector<Case> cases;
  for (const int64_t slots : {1, 31, 33, 257})
    cases.emplace_back(6, 23, 25, slots, std::vector{5, 0, 2}, 20);
  for (const int64_t cols : {1, 31, 32, 33, 257})
    cases.emplace_back(6, 23, cols, 4, std::vector{5, 0, 2}, 20);
  std::vector<int32_t> many(150);
  std::iota(many.begin(), many.end(), 20);
  cases.emplace_back(190, 3, 5, 4, many);  // more than 128 occurrences of a row
  cases.emplace_back(3, 190, 5, 4, std::vector{1});
  cases.emplace_back(6, 17, 8, 5, std::vector{2, 4}, 100);
  cases.emplace_back(3, 4, 2, 3, std::vector<int32_t>{});
  return cases;
}

TEST(LocateSlots, FindsTheAnchorsAndTheirSamples) {
  for (const Case& c : edge_cases()) {
    const Guarded<int32_t> places(c.pairs), rows(c.pairs), live(1);
    locate_slots({places.view(), rows.view(), live.data()}, c.view(), stream());
    const auto count = static_cast<int64_t>(c.segments.rows.size()) * c.slots;
    EXPECT_EQ(live.host()[0], count);
    const std::vector<int32_t> place = places.host(), row = rows.host();
    for (int64_t p = 0; p < count; ++p) {
      const auto i = static_cast<size_t>(p);
      EXPECT_EQ(place[i], p / c.slots);
      EXPECT_EQ(row[i], c.sample(c.segments.rows[static_cast<size_t>(p / c.slots)], p % c.slots));
    }
    expect_intact(places, "anchor_places");
    expect_intact(rows, "other_rows");
    expect_intact(live, "live");
  }
}

// Up to 257 products of size 1: their roundings and those of partial sums below 60.
constexpr double kTolerance = 257 * 60 * 6e-8;

TEST(SlotOutput, MatchesOracle) {
  for (const Case& c : edge_cases()) {
    const auto cols = static_cast<size_t>(c.cols);
    const Guarded<float> hidden(c.hidden), weight(c.output), bias({0.75f});
    const Guarded<float> score(std::vector<float>(static_cast<size_t>(c.pairs), 7.0f));
    const SlotOutputCall call = {.hidden = hidden.matrix(c.pairs, c.cols),
                                 .weight = weight.const_view(),
                                 .bias = bias.const_view(),
                                 .batch = c.view()};
    slot_output_forward(score.matrix(c.capacity, c.slots), call, stream());
    std::vector<double> expected(static_cast<size_t>(c.pairs), 7.0);
    c.for_each_slot([&](size_t, size_t p, int32_t) {
      expected[p] += 0.75;
      for (size_t k = 0; k < cols; ++k)
        expected[p] += static_cast<double>(c.output[k]) * c.hidden[p * cols + k];
    });
    EXPECT_TRUE(close(score.host(), expected, kTolerance, 0));
    expect_intact(score, "score");

    const Guarded<float> grad_score(c.weight), grad_hidden(c.pairs * c.cols);
    const Guarded<float> grad_weight(std::vector<float>(cols, 1.0f)), grad_bias({2.0f});
    const Guarded<float> sums(c.capacity * (c.cols + 1));
    slot_output_backward({.hidden = grad_hidden.matrix(c.pairs, c.cols),
                          .weight = grad_weight.view(),
                          .bias = grad_bias.view(),
                          .sums = sums.matrix(c.capacity, c.cols + 1)},
                         grad_score.matrix(c.capacity, c.slots), call, stream());
    // The score is linear in all three: the derivatives are the other factors.
    std::vector<double> by_hidden(c.hidden.size()), by_weight(cols, 1.0), by_bias = {2.0};
    const double untouched = Guarded<float>(1).host()[0];
    const size_t live = c.segments.rows.size() * static_cast<size_t>(c.slots);
    std::fill(by_hidden.begin() + static_cast<int64_t>(live * cols), by_hidden.end(), untouched);
    c.for_each_slot([&](size_t, size_t p, int32_t) {
      const double g = c.weight[p];
      for (size_t k = 0; k < cols; ++k) {
        by_hidden[p * cols + k] = g * c.output[k];
        by_weight[k] += g * c.hidden[p * cols + k];
      }
      by_bias[0] += g;
    });
    EXPECT_TRUE(close(grad_hidden.host(), by_hidden, 0, 6e-8));
    EXPECT_TRUE(close(grad_weight.host(), by_weight, kTolerance, 1e-6));
    EXPECT_TRUE(close(grad_bias.host(), by_bias, kTolerance, 1e-6));
    expect_intact(grad_hidden, "grad_hidden");
    expect_intact(grad_weight, "grad_weight");
    expect_intact(grad_bias, "grad_bias");
    expect_intact(sums, "sums");
  }
}

TEST(SlotHiddenBackward, MatchesOracle) {
  for (const Case& c : edge_cases()) {
    const auto cols = static_cast<size_t>(c.cols);
    std::vector<float> masked =
        c.hidden;  // an empty slot's h is 0, as neumf_first_layer_forward leaves it
    std::vector<double> anchors(static_cast<size_t>(c.capacity) * cols);
    std::vector<double> others(static_cast<size_t>(c.others) * cols);
    std::vector<bool> present(static_cast<size_t>(c.pairs));
    c.for_each_slot([&](size_t n, size_t p, int32_t row) {
      present[p] = true;
      for (size_t k = 0; k < cols; ++k) {
        const double g = c.hidden[p * cols + k] > 0 ? c.grad[p * cols + k] : 0;
        anchors[n * cols + k] += g;
        others[static_cast<size_t>(row) * cols + k] += g;
      }
    });
    for (size_t i = 0; i < masked.size(); ++i) {
      if (!present[i / cols]) masked[i] = 0;
    }
    const Guarded<float> hidden(masked), grad(c.grad);
    const Guarded<float> grad_anchor(c.capacity * c.cols), grad_other(c.others * c.cols);
    slot_hidden_backward(grad_anchor.matrix(c.capacity, c.cols),
                         grad_other.matrix(c.others, c.cols), grad.matrix(c.pairs, c.cols),
                         hidden.matrix(c.pairs, c.cols), c.view(), c.index(), stream());
    EXPECT_TRUE(close(grad_anchor.host(), anchors, kTolerance, 0));
    EXPECT_TRUE(close(grad_other.host(), others, kTolerance, 0));
    expect_intact(grad_anchor, "grad_anchor_part");
    expect_intact(grad_other, "grad_other_part");
  }
}

TEST(SlotHidden, SameBitsAtAnyNumberOfThreads) {
  std::vector<int32_t> batch(150);
  std::iota(batch.begin(), batch.end(), 20);
  const Case c(190, 300, 64, 20, batch, 10);
  const Guarded<float> hidden(c.hidden), grad_score(c.weight), weight(c.output);
  const auto run = [&] {
    const Guarded<float> grad_hidden(c.grad), grad_weight(std::vector<float>(64)),
        grad_bias({0.0f});
    const Guarded<float> sums(c.capacity * 65);
    const Guarded<float> anchors(c.capacity * 64), others(300 * 64);
    slot_output_backward({.hidden = grad_hidden.matrix(c.pairs, 64),
                          .weight = grad_weight.view(),
                          .bias = grad_bias.view(),
                          .sums = sums.matrix(c.capacity, 65)},
                         grad_score.matrix(c.capacity, 20),
                         {.hidden = hidden.matrix(c.pairs, 64),
                          .weight = weight.const_view(),
                          .bias = grad_bias.view(),
                          .batch = c.view()},
                         stream());
    slot_hidden_backward(anchors.matrix(c.capacity, 64), others.matrix(300, 64),
                         grad_hidden.matrix(c.pairs, 64), hidden.matrix(c.pairs, 64), c.view(),
                         c.index(), stream());
    return std::tuple{grad_weight.host(), grad_bias.host(), anchors.host(), others.host()};
  };
  set_threads(1);
  const auto one_thread = run();
  set_threads(0);
  EXPECT_EQ(run(), one_thread);
}

TEST(SlotHidden, RejectsBadShapes) {
  const Case c(3, 4, 2, 5, {0, 1});  // capacity 4, 20 pairs
  const Guarded<float> memory(200);
  const Guarded<int32_t> numbers(40);
  EXPECT_THROW(
      locate_slots({numbers.view().slice(0, 19), numbers.view().slice(20, 20), numbers.data()},
                   c.view(), stream()),
      std::invalid_argument);
  const auto forward = [&](int64_t rows, int64_t pairs, int64_t biases) {
    slot_output_forward(memory.matrix(rows, 5),
                        {.hidden = memory.matrix(pairs, 2),
                         .weight = memory.view().slice(0, 2),
                         .bias = memory.view().slice(0, biases),
                         .batch = c.view()},
                        stream());
  };
  EXPECT_THROW(forward(3, 20, 1), std::invalid_argument);
  EXPECT_THROW(forward(4, 19, 1), std::invalid_argument);
  EXPECT_THROW(forward(4, 20, 0), std::invalid_argument);
  const auto output_backward = [&](int64_t grads, int64_t weights, int64_t sums) {
    slot_output_backward({.hidden = memory.matrix(grads, 2),
                          .weight = memory.view().slice(0, weights),
                          .bias = memory.view().slice(0, 1),
                          .sums = memory.matrix(4, sums)},
                         memory.matrix(4, 5),
                         {.hidden = memory.matrix(20, 2),
                          .weight = memory.view().slice(0, 2),
                          .bias = memory.view().slice(0, 1),
                          .batch = c.view()},
                         stream());
  };
  EXPECT_THROW(output_backward(19, 2, 3), std::invalid_argument);
  EXPECT_THROW(output_backward(20, 3, 3), std::invalid_argument);
  EXPECT_THROW(output_backward(20, 2, 2), std::invalid_argument);
  const auto backward = [&](int64_t anchors, int64_t others, int64_t pairs) {
    slot_hidden_backward(memory.matrix(anchors, 2), memory.matrix(others, 2),
                         memory.matrix(pairs, 2), memory.matrix(20, 2), c.view(), c.index(),
                         stream());
  };
  EXPECT_THROW(backward(3, 4, 20), std::invalid_argument);
  EXPECT_THROW(backward(4, 5, 20), std::invalid_argument);
  EXPECT_THROW(backward(4, 4, 19), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::slot_hidden_test
