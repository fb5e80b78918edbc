#include "kernels/slot_scores.h"

#include <algorithm>
#include <numeric>

#include "kernels/ranking_slots.h"
#include "tests/kernels/host_segments.h"
#include "tests/kernels/support.h"

namespace derrd {
namespace {

using test::close;
using test::Guarded;
using test::stream;

/// Tables, samples and a batch of anchors, with arbitrary gradients of the scores.
struct Case {
  Case(int64_t anchor_rows, int64_t other_rows, int64_t dims, int64_t slots_each,
       std::vector<int32_t> batch_anchors, int empty_percent = 0)
      : anchors(anchor_rows),
        others(other_rows),
        cols(dims),
        slots(slots_each),
        batch(std::move(batch_anchors)),
        capacity(static_cast<int64_t>(batch.size()) + 2),
        anchor(test::random_normal(anchors * cols, 1)),
        other(test::random_normal(others * cols, 2)),
        weight(test::random_normal(capacity * slots, 3)),
        samples(test::random_below(anchors * slots, static_cast<int32_t>(others), 4)),
        segments(batch, std::max<int64_t>(1, static_cast<int64_t>(batch.size())), stream()),
        cursor({BatchCursor{0, 0, static_cast<int32_t>(batch.size())}}) {
    const std::vector<int32_t> percent = test::random_below(anchors * slots, 100, 5);
    for (size_t i = 0; i < samples.size(); ++i) {
      if (percent[i] < empty_percent) samples[i] = -1;
    }
    device_samples = DeviceArray<int32_t>(samples, stream());
    const SlotCode code = slot_code(slots);
    std::vector<int32_t> offsets = {0};
    std::vector<uint32_t> occurrences;
    for (int32_t row = 0; row <= others; ++row) {
      for (size_t i = 0; i < samples.size(); ++i) {
        if (samples[i] != (row < others ? row : -1)) continue;
        const auto flat = static_cast<int64_t>(i);
        occurrences.push_back(code.pack(flat / slots, flat % slots));
      }
      if (row < others) offsets.push_back(static_cast<int32_t>(occurrences.size()));
    }
    std::vector<int32_t> position(static_cast<size_t>(anchors), -1);
    for (size_t i = 0; i < segments.rows.size(); ++i) {
      position[static_cast<size_t>(segments.rows[i])] = static_cast<int32_t>(i);
    }
    device_offsets = DeviceArray<int32_t>(offsets, stream());
    device_occurrences = DeviceArray<uint32_t>(occurrences, stream());
    device_position = DeviceArray<int32_t>(position, stream());
  }

  SlotBatch view() const {
    RowSegments rows = segments.view(0);
    rows.batch = cursor.data();
    rows.capacity = capacity;
    return {{device_samples.data(), anchors, slots}, rows};
  }
  SlotIndex index() const {
    return {device_offsets.view(), device_occurrences.view(), device_position.view()};
  }
  int32_t sample(int32_t row, int64_t slot) const {
    return samples[static_cast<size_t>(row * slots + slot)];
  }

  int64_t anchors, others, cols, slots;
  std::vector<int32_t> batch;
  int64_t capacity;
  std::vector<float> anchor, other, weight;
  std::vector<int32_t> samples;
  test::HostSegments segments;
  Guarded<BatchCursor> cursor;
  DeviceArray<int32_t> device_samples, device_offsets, device_position;
  DeviceArray<uint32_t> device_occurrences;
};

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

TEST(SlotScores, NothingToDo) {
  expect_matches_oracle(Case(3, 4, 2, 3, {}));
  expect_matches_oracle(Case(3, 4, 2, 0, {1}));
  expect_matches_oracle(Case(3, 4, 0, 2, {1}));
}

TEST(SlotScores, RejectsWhatDoesNotFit) {
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
}  // namespace derrd
