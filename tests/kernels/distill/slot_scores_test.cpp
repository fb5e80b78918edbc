#include "kernels/distill/slot_scores.h"

#include <algorithm>
#include <numeric>

#include "tests/kernels/distill/slot_case.h"

namespace derrd::test::slot_scores_test {
namespace {

using test::close;
using test::Guarded;
using test::stream;

using Case = test::SlotCase;

// A sum of n products of normal numbers is off by at most n 6e-8 of the sum of their sizes, about
// n: 1e-5 times the root of n holds with a wide margin up to n = 1000.
double bound(int64_t terms) { return 1e-5 * std::sqrt(static_cast<double>(terms) + 1); }

void expect_matches_oracle(const Case& c) {
  const Guarded<float> anchor(c.anchor), other(c.other), weight(c.weight);
  const Guarded<float> score(std::vector<float>(static_cast<size_t>(c.capacity * c.slots), 7.0f));
  slot_scores_forward(score.matrix(c.capacity, c.slots), anchor.matrix(c.anchors, c.cols),
                      other.matrix(c.others, c.cols), c.view(), stream());
  const Guarded<float> grad_anchor(std::vector<float>(c.anchor.size(), 1.0f));
  const Guarded<float> grad_other(std::vector<float>(c.other.size(), 2.0f));
  slot_scores_backward(grad_anchor.matrix(c.anchors, c.cols), grad_other.matrix(c.others, c.cols),
                       weight.matrix(c.capacity, c.slots), anchor.matrix(c.anchors, c.cols),
                       other.matrix(c.others, c.cols), c.view(), c.index(), stream());

  std::vector<double> expected_score(score.host().size(), 7.0);  // rows beyond the batch keep it
  std::vector<double> expected_anchor(c.anchor.size(), 1.0);
  std::vector<double> expected_other(c.other.size(), 2.0);
  for (size_t n = 0; n < c.segments.rows.size(); ++n) {
    const int32_t row = c.segments.rows[n];
    for (int64_t slot = 0; slot < c.slots; ++slot) {
      const size_t at = n * static_cast<size_t>(c.slots) + static_cast<size_t>(slot);
      const int32_t sample = c.sample(row, slot);
      expected_score[at] = 0;
      for (int64_t d = 0; sample >= 0 && d < c.cols; ++d) {
        const auto a = static_cast<size_t>(row * c.cols + d);
        const auto o = static_cast<size_t>(sample * c.cols + d);
        expected_score[at] += static_cast<double>(c.anchor[a]) * c.other[o];
        expected_anchor[a] += static_cast<double>(c.weight[at]) * c.other[o];
        expected_other[o] += static_cast<double>(c.weight[at]) * c.anchor[a];
      }
    }
  }
  EXPECT_TRUE(close(score.host(), expected_score, bound(c.cols), 0));
  EXPECT_TRUE(close(grad_anchor.host(), expected_anchor, bound(c.slots), 1e-6));
  EXPECT_TRUE(close(grad_other.host(), expected_other,
                    bound(static_cast<int64_t>(c.batch.size()) * c.slots), 1e-6));
  test::expect_intact(score, "score");
  test::expect_intact(grad_anchor, "grad_anchor");
  test::expect_intact(grad_other, "grad_other");
}

TEST(SlotScores, MatchesOracleOnEdgeShapes) {
  for (const int64_t slots : {1, 3, 31, 32, 33, 257}) {
    for (const int64_t cols : {1, 20, 33}) {
      SCOPED_TRACE(testing::Message() << "S " << slots << ", D " << cols);
      expect_matches_oracle(Case(6, 23, cols, slots, {5, 0, 2}));
    }
  }
}

TEST(SlotScores, MoreAnchorsThanOthersAndTheOtherWayRound) {
  std::vector<int32_t> batch(150);
  std::iota(batch.begin(), batch.end(), 20);
  expect_matches_oracle(Case(190, 3, 5, 4, batch));  // more than 128 occurrences of a row
  expect_matches_oracle(Case(3, 190, 5, 4, {1}));
}

TEST(SlotScores, EmptySlotsTakeNoPart) {
  expect_matches_oracle(Case(6, 17, 8, 37, {5, 1, 3, 0}, 40));
  expect_matches_oracle(Case(6, 17, 8, 5, {2, 4}, 100));
}

TEST(SlotScores, AcceptsEmptyInput) {
  expect_matches_oracle(Case(3, 4, 2, 3, {}));
  expect_matches_oracle(Case(3, 4, 2, 0, {1}));
  expect_matches_oracle(Case(3, 4, 0, 2, {1}));
}

TEST(SlotScores, RejectsBadShapes) {
  const Case c(3, 4, 2, 5, {0, 1});
  const Guarded<float> anchor(c.anchor), other(c.other);
  const Guarded<float> score(c.capacity * c.slots);
  const auto forward = [&](int64_t rows, int64_t slots, int64_t cols) {
    slot_scores_forward(score.matrix(rows, slots), anchor.matrix(3, 2), other.matrix(4, cols),
                        c.view(), stream());
  };
  EXPECT_NO_THROW(forward(4, 5, 2));
  EXPECT_THROW(forward(3, 5, 2), std::invalid_argument);
  EXPECT_THROW(forward(4, 4, 2), std::invalid_argument);
  EXPECT_THROW(forward(4, 5, 1), std::invalid_argument);

  const Guarded<float> grad_anchor(c.anchor), grad_other(c.other);
  const auto backward = [&](int64_t offsets, int64_t occurrences, int64_t positions) {
    const SlotIndex whole = c.index();
    slot_scores_backward(grad_anchor.matrix(3, 2), grad_other.matrix(4, 2), score.matrix(4, 5),
                         anchor.matrix(3, 2), other.matrix(4, 2), c.view(),
                         {whole.offsets.slice(0, offsets), whole.occurrences.slice(0, occurrences),
                          whole.position.slice(0, positions)},
                         stream());
  };
  EXPECT_NO_THROW(backward(5, 15, 3));
  EXPECT_THROW(backward(4, 15, 3), std::invalid_argument);
  EXPECT_THROW(backward(5, 14, 3), std::invalid_argument);
  EXPECT_THROW(backward(5, 15, 2), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::slot_scores_test
