#include "tests/cases/slot_scores.h"

#include "tests/finite_differences.h"
#include "tests/kernels/support.h"

namespace derrd::test::slot_scores_test {
namespace {

using cases::ascending;

/// A case with arbitrary gradients of the scores.
struct Problem : cases::SlotScoresCase {
  Problem(int64_t anchor_rows, int64_t other_rows, int64_t dims, int64_t slots_each,
          const std::vector<int32_t>& batch_anchors, int empty_percent = 0)
      : SlotScoresCase(other_rows, dims,
                       {anchor_rows, slots_each,
                        cases::random_samples(anchor_rows * slots_each, other_rows, empty_percent),
                        batch_anchors}),
        grad_score(random_normal(capacity * slots, 3)),
        score(std::vector<float>(grad_score.size(), 7.0f)),
        grad_anchor(std::vector<float>(static_cast<size_t>(anchors * cols), 1.0f)),
        grad_other(std::vector<float>(static_cast<size_t>(others * cols), 2.0f)) {}

  void forward() const { slot_scores_forward(score.matrix(capacity, slots), call(), stream()); }
  void backward() const {
    const Guarded<float> grad(grad_score);
    slot_scores_backward(grad_anchor.matrix(anchors, cols), grad_other.matrix(others, cols),
                         grad.matrix(capacity, slots), call(), stream());
  }

  std::vector<float> grad_score;
  Guarded<float> score, grad_anchor, grad_other;
};

/// The operation in double: results added to what the outputs of a Problem begin with.
struct Plain {
  explicit Plain(const Problem& p)
      : anchor(to_double(p.anchor_embedding.to_host(stream()))),
        other(to_double(p.other_embedding.to_host(stream()))),
        grad_anchor(anchor.size(), 1.0),
        grad_other(other.size(), 2.0) {
    compute(p);
  }
  void compute(const Problem& p) {
    score.assign(p.grad_score.size(), 7.0);  // rows beyond the batch keep it
    const BatchCursor batch = p.cursor.to_host(stream())[0];
    for (int64_t n = 0; n < batch.count; ++n) {
      const int32_t row = p.anchor(static_cast<size_t>(batch.begin + n));
      for (int64_t slot = 0; slot < p.slots; ++slot) {
        const auto at = static_cast<size_t>(n * p.slots + slot);
        const int32_t sample = p.sample(row, slot);
        score[at] = 0;
        for (int64_t d = 0; sample >= 0 && d < p.cols; ++d) {
          const auto a = static_cast<size_t>(row * p.cols + d);
          const auto o = static_cast<size_t>(sample * p.cols + d);
          score[at] += anchor[a] * other[o];
          grad_anchor[a] += p.grad_score[at] * other[o];
          grad_other[o] += p.grad_score[at] * anchor[a];
        }
      }
    }
  }

  std::vector<double> anchor, other, score, grad_anchor, grad_other;
};

// A sum of n products of numbers of size 1 is off by at most n 6e-8 of the sum of their sizes,
// about n: 1e-5 times the root of n holds with a wide margin up to n = 1000.
double bound(int64_t terms) { return 1e-5 * std::sqrt(static_cast<double>(terms) + 1); }

void expect_matches_oracle(const Problem& p) {
  p.forward();
  p.backward();
  const Plain expected(p);
  EXPECT_TRUE(close(p.score.host(), expected.score, bound(p.cols), 0));
  EXPECT_TRUE(close(p.grad_anchor.host(), expected.grad_anchor, bound(p.slots), 1e-6));
  EXPECT_TRUE(close(p.grad_other.host(), expected.grad_other,
                    bound(p.batch_rows.capacity * p.slots), 1e-6));
}

TEST(SlotScores, MatchesOracleOnEdgeShapes) {
  for (const int64_t slots : {1, 3, 31, 32, 33, 257}) {
    for (const int64_t cols : {1, 4, 20, 33, 100, 128, 132}) {
      SCOPED_TRACE(testing::Message() << "S " << slots << ", D " << cols);
      expect_matches_oracle(Problem(6, 23, cols, slots, {5, 0, 2}));
    }
  }
}

TEST(SlotScores, MoreAnchorsThanOthersAndTheOtherWayRound) {
  expect_matches_oracle(Problem(190, 3, 5, 4, ascending(150, 20)));  // > 128 occurrences of a row
  expect_matches_oracle(Problem(3, 190, 5, 4, {1}));
}

// 1600 occurrences of a row, which the tiles of a block share; short rows, and others.
TEST(SlotScores, PopularRows) {
  for (const int64_t cols : {4, 5, 20, 128, 132, 256, 257}) {
    expect_matches_oracle(Problem(800, 2, cols, 4, ascending(700, 50), 10));
  }
}

// The second of an epoch's batches finds the positions that the first one has left.
TEST(SlotScores, AnchorsOfAnEarlierBatchTakeNoPart) {
  for (const int64_t cols : {5, 20}) {
    const Problem p(90, 6, cols, 4, ascending(66, 20));
    const Guarded<int32_t> position(std::vector<int32_t>(90));
    SlotScoresCall call = p.call();
    call.batch.position = position.view();
    call.index.position = position.const_view();
    for (const BatchCursor batch : {BatchCursor{0, 0, 33}, {1, 33, 33}}) {
      copy_to_device(p.cursor.data(), &batch, sizeof batch, stream());
      slot_scores_forward(p.score.matrix(p.capacity, p.slots), call, stream());
    }
    const Guarded<float> grad(p.grad_score);
    slot_scores_backward(p.grad_anchor.matrix(p.anchors, cols), p.grad_other.matrix(p.others, cols),
                         grad.matrix(p.capacity, p.slots), call, stream());
    const Plain expected(p);
    EXPECT_TRUE(close(p.grad_other.host(), expected.grad_other, bound(33 * 4), 1e-6));
    EXPECT_EQ(position.host()[19], 0);
    EXPECT_EQ(position.host()[20], 1);
    EXPECT_EQ(position.host()[85], 66);
  }
}

TEST(SlotScores, EmptySlotsTakeNoPart) {
  expect_matches_oracle(Problem(6, 17, 8, 37, {5, 1, 3, 0}, 40));
  expect_matches_oracle(Problem(6, 17, 36, 37, {5, 1, 3, 0}, 40));
  expect_matches_oracle(Problem(6, 17, 8, 5, {2, 4}, 100));
}

TEST(SlotScores, LaterBatchReadsItsOwnAnchors) {
  Problem p(6, 8, 4, 6, ascending(6));
  p.cursor = cases::to_device<BatchCursor>({{1, 4, 2}});  // rows 4 and 5 of the epoch's list
  expect_matches_oracle(p);
}

TEST(SlotScores, MatchesFiniteDifferences) {
  const Problem p(4, 7, 3, 9, {0, 2, 3}, 20);
  p.backward();
  Plain plain(p);
  // The loss: the scores weighted by their gradients. It is linear in each value.
  const auto loss = [&] {
    plain.compute(p);
    return weighted_sum(plain.score, p.grad_score);
  };
  const auto expected = [&](std::vector<double>& embedding, double start) {
    std::vector<double> difference = finite_differences(embedding, loss);
    for (double& d : difference) d += start;
    return difference;
  };
  EXPECT_TRUE(close(p.grad_anchor.host(), expected(plain.anchor, 1.0), 1e-5, 1e-5));
  EXPECT_TRUE(close(p.grad_other.host(), expected(plain.other, 2.0), 1e-5, 1e-5));
}

TEST(SlotScores, SameBitsAtAnyNumberOfThreads) {
  const auto bits = [](int threads) {
    set_threads(threads);
    const Problem p(200, 40, 12, 16, ascending(180));
    p.forward();
    p.backward();
    set_threads(0);
    return std::vector{p.score.host(), p.grad_anchor.host(), p.grad_other.host()};
  };
  EXPECT_EQ(bits(1), bits(2));
}

TEST(SlotScores, AcceptsEmptyInput) {
  expect_matches_oracle(Problem(3, 4, 2, 3, {}));
  expect_matches_oracle(Problem(3, 4, 2, 0, {1}));
  expect_matches_oracle(Problem(3, 4, 0, 2, {1}));
}

TEST(SlotScores, RejectsBadShapes) {
  const Problem p(3, 4, 2, 5, {0, 1});
  const auto forward = [&](int64_t rows, int64_t slots, int64_t cols) {
    SlotScoresCall call = p.call();
    call.other_embedding.cols = cols;
    slot_scores_forward(p.score.matrix(rows, slots), call, stream());
  };
  EXPECT_NO_THROW(forward(4, 5, 2));
  EXPECT_THROW(forward(3, 5, 2), std::invalid_argument);
  EXPECT_THROW(forward(4, 4, 2), std::invalid_argument);
  EXPECT_THROW(forward(4, 5, 1), std::invalid_argument);

  const auto backward = [&](int64_t offsets, int64_t occurrences, int64_t positions) {
    SlotScoresCall call = p.call();
    call.index = {call.index.offsets.slice(0, offsets),
                  call.index.occurrences.slice(0, occurrences),
                  call.index.position.slice(0, positions)};
    slot_scores_backward(p.grad_anchor.matrix(3, 2), p.grad_other.matrix(4, 2),
                         p.score.matrix(4, 5), call, stream());
  };
  EXPECT_NO_THROW(backward(5, 15, 3));
  EXPECT_THROW(backward(4, 15, 3), std::invalid_argument);
  EXPECT_THROW(backward(5, 14, 3), std::invalid_argument);
  EXPECT_THROW(backward(5, 15, 2), std::invalid_argument);
}

TEST(ItemScores, AreTheScoresOfSlots) {
  for (const int64_t slots : {1, 3, 33}) {
    const Problem p(33, 23, 20, slots, ascending(33), 20);
    p.forward();
    const Guarded<float> score(33 * slots);
    const SlotScoresCall call = p.call();
    item_scores(score.matrix(33, slots), call.anchor_embedding, call.other_embedding,
                call.batch.samples, stream());
    std::vector<float> expected = p.score.host();
    expected.resize(static_cast<size_t>(33 * slots));
    EXPECT_EQ(score.host(), expected);
  }
}

TEST(ItemScores, RejectsBadShapes) {
  const Problem p(3, 4, 2, 5, {0});
  const Guarded<float> score(15);
  const auto call = [&](int64_t rows, int64_t lists, int64_t items, int64_t cols) {
    SlotScoresCall inputs = p.call();
    inputs.batch.samples.rows = lists;
    inputs.batch.samples.cols = items;
    inputs.other_embedding.cols = cols;
    item_scores(score.matrix(rows, 5), inputs.anchor_embedding, inputs.other_embedding,
                inputs.batch.samples, stream());
  };
  EXPECT_NO_THROW(call(3, 3, 5, 2));
  EXPECT_THROW(call(2, 3, 5, 2), std::invalid_argument);
  EXPECT_THROW(call(3, 3, 4, 2), std::invalid_argument);
  EXPECT_THROW(call(3, 2, 5, 2), std::invalid_argument);
  EXPECT_THROW(call(3, 3, 5, 1), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::slot_scores_test
