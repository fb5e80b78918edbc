#include "kernels/distill/relaxed_ranking.h"

#include <algorithm>
#include <numeric>

#include "kernels/distill/slot_scores.h"
#include "kernels/epoch/ranking_slots.h"
#include "tests/cases/batch_rows.h"
#include "tests/finite_differences.h"
#include "tests/kernels/support.h"
#include "tests/oracles/relaxed_ranking.h"

namespace derrd::test::relaxed_ranking_test {
namespace {

using test::close;
using test::finite_differences;
using test::Guarded;
using test::stream;

/// The kernels' inputs and outputs for a case of the oracle, in device memory.
struct Fixture {
  Fixture(const oracle::RelaxedRankingCase& c, const std::vector<int32_t>& batch_users,
          int64_t extra_capacity = 2)
      : shape(c),
        batch(batch_users),
        segments(batch_users),
        capacity(static_cast<int64_t>(batch_users.size()) + extra_capacity),
        user_embedding(std::vector<float>(c.user_embedding.begin(), c.user_embedding.end())),
        item_embedding(std::vector<float>(c.item_embedding.begin(), c.item_embedding.end())),
        grad_user(std::vector<float>(c.user_embedding.size(), 0.0f)),
        grad_item(std::vector<float>(c.item_embedding.size(), 0.0f)),
        loss(capacity),
        score(capacity * c.slots),
        grad_score(capacity * c.slots),
        samples(c.samples),
        cursor({BatchCursor{0, 0, static_cast<int32_t>(batch_users.size())}}),
        item_offsets(c.items + 1),
        occurrences(c.users * c.slots),
        position(std::vector<int32_t>(static_cast<size_t>(c.users), -1)) {
    std::vector<int32_t> host_position(static_cast<size_t>(c.users), -1);
    for (size_t i = 0; i < segments.rows.size(); ++i) {
      host_position[static_cast<size_t>(segments.rows[i])] = static_cast<int32_t>(i);
    }
    position.set(host_position);
    invert_samples();
  }

  /// Occurrences by item, ascending, found by plain search.
  void invert_samples() {
    const SlotCode code = slot_code(shape.slots);
    std::vector<int32_t> offsets = {0};
    std::vector<uint32_t> by_item;
    for (int32_t item = 0; item <= shape.items; ++item) {
      for (size_t i = 0; i < shape.samples.size(); ++i) {
        const int32_t wanted = item < shape.items ? item : -1;  // empty slots come last
        if (shape.samples[i] != wanted) continue;
        const auto flat = static_cast<int64_t>(i);
        by_item.push_back(code.pack(flat / shape.slots, flat % shape.slots));
      }
      if (item < shape.items) offsets.push_back(static_cast<int32_t>(by_item.size()));
    }
    item_offsets.set(offsets);
    occurrences.set(by_item);
  }

  SlotBatch view() const {
    RowSegments users = segments.view(0);
    users.batch = cursor.data();
    users.capacity = capacity;
    return {samples.matrix(shape.users, shape.slots), users};
  }
  void forward(float scale, AnchorReduction reduction = AnchorReduction::kSum) const {
    slot_scores_forward(score.matrix(capacity, shape.slots),
                        user_embedding.matrix(shape.users, shape.cols),
                        item_embedding.matrix(shape.items, shape.cols), view(), stream());
    relaxed_ranking(loss.view(), grad_score.matrix(capacity, shape.slots),
                    score.matrix(capacity, shape.slots), view(), shape.interesting, scale,
                    reduction, stream());
  }
  void backward() const {
    slot_scores_backward(
        grad_user.matrix(shape.users, shape.cols), grad_item.matrix(shape.items, shape.cols),
        grad_score.matrix(capacity, shape.slots), user_embedding.matrix(shape.users, shape.cols),
        item_embedding.matrix(shape.items, shape.cols), view(),
        {item_offsets.view(), occurrences.view(), position.view()}, stream());
  }
  void expect_all_intact() const {
    test::expect_intact(loss, "loss");
    test::expect_intact(score, "score");
    test::expect_intact(grad_score, "grad_score");
    test::expect_intact(grad_user, "grad_user");
    test::expect_intact(grad_item, "grad_item");
  }

  oracle::RelaxedRankingCase shape;
  std::vector<int32_t> batch;
  cases::BatchRows segments;
  int64_t capacity;
  Guarded<float> user_embedding, item_embedding, grad_user, grad_item, loss, score, grad_score;
  Guarded<int32_t> samples;
  Guarded<BatchCursor> cursor;
  Guarded<int32_t> item_offsets;
  Guarded<uint32_t> occurrences;
  Guarded<int32_t> position;
};

/// Random embeddings and samples; `empty` of a hundred slots are empty.
oracle::RelaxedRankingCase random_case(int64_t users, int64_t items, int64_t cols,
                                       int64_t interesting, int64_t uninteresting, int empty,
                                       float deviation = 0.5f) {
  oracle::RelaxedRankingCase c;
  c.users = users;
  c.items = items;
  c.cols = cols;
  c.interesting = interesting;
  c.slots = interesting + uninteresting;
  c.user_embedding = test::to_double(test::random_normal(users * cols, 1, deviation));
  c.item_embedding = test::to_double(test::random_normal(items * cols, 2, deviation));
  c.samples = test::random_below(users * c.slots, static_cast<int32_t>(items), 3);
  const std::vector<int32_t> percent = test::random_below(users * c.slots, 100, 4);
  for (size_t i = 0; i < c.samples.size(); ++i) {
    if (percent[i] < empty) c.samples[i] = -1;
  }
  return c;
}

/// One user with the given scores: the user's vector is 1, item i's is score i.
oracle::RelaxedRankingCase case_of_scores(const std::vector<float>& scores, int64_t interesting) {
  oracle::RelaxedRankingCase c;
  c.users = 1;
  c.items = c.slots = static_cast<int64_t>(scores.size());
  c.cols = 1;
  c.interesting = interesting;
  c.user_embedding = {1.0};
  c.item_embedding = test::to_double(scores);
  c.samples.resize(scores.size());
  std::iota(c.samples.begin(), c.samples.end(), 0);
  return c;
}

// Rounding. A score of D = 33 products of size ~0.25 is off by at most 33 * 6e-8 * 33 * 0.25 =
// 2e-5, typically 1e-6. A loss sums at most 45 differences of scores and logarithms, each off by
// that: 1e-4 typically bounds it, beside 3e-6 of its size for the sum itself. A gradient, at most
// 45 in size, is off by the scores' errors (relatively), and by 3e-7 for each of at most 45 decays.
constexpr double kLossAbsolute = 1e-4;
constexpr double kLossRelative = 3e-6;
constexpr double kGradAbsolute = 3e-5;
constexpr double kGradRelative = 3e-5;

void expect_matches_oracle(const oracle::RelaxedRankingCase& c, const std::vector<int32_t>& batch) {
  constexpr float kScale = 0.25f;
  const Fixture f(c, batch);
  f.forward(kScale);
  std::vector<double> loss(static_cast<size_t>(f.capacity), 0.0);
  std::vector<double> grad_score;
  for (size_t i = 0; i < f.segments.rows.size(); ++i) {
    const int32_t user = f.segments.rows[i];
    loss[i] = c.loss(user);
    for (const double g :
         oracle::relaxed_ranking_grad(c.scores(user), c.present(user), c.interesting)) {
      grad_score.push_back(kScale * g);
    }
  }
  EXPECT_TRUE(close(f.loss.host(), loss, kLossAbsolute, kLossRelative));
  std::vector<float> computed = f.grad_score.host();
  computed.resize(grad_score.size());  // rows beyond the batch are not written
  EXPECT_TRUE(close(computed, grad_score, kGradAbsolute, kGradRelative));

  f.backward();
  const oracle::RelaxedRankingGradients expected =
      oracle::relaxed_ranking_backward(c, f.segments.rows, kScale);
  // Up to 90 slots, or the occurrences of a popular item, each off by the above times ~0.5.
  EXPECT_TRUE(close(f.grad_user.host(), expected.user, 10 * kGradAbsolute, kGradRelative));
  EXPECT_TRUE(close(f.grad_item.host(), expected.item, 10 * kGradAbsolute, kGradRelative));
  f.expect_all_intact();
}

TEST(RelaxedRanking, MatchesOracleOnEdgeShapes) {
  struct Shape {
    int64_t interesting, uninteresting, cols;
  };
  for (const Shape s :
       {Shape{1, 0, 1}, Shape{0, 1, 3}, Shape{1, 1, 20}, Shape{31, 33, 4}, Shape{32, 32, 16},
        Shape{33, 31, 33}, Shape{40, 40, 20}, Shape{0, 33, 5}, Shape{33, 0, 5}, Shape{3, 150, 7}}) {
    SCOPED_TRACE(testing::Message()
                 << "K " << s.interesting << ", L " << s.uninteresting << ", D " << s.cols);
    expect_matches_oracle(random_case(5, 23, s.cols, s.interesting, s.uninteresting, 0), {4, 0, 2});
  }
}

TEST(RelaxedRanking, MatchesOracleAtTheLimits) {
  for (const int64_t interesting : {int64_t{1}, kMaxRankingSamples / 2, kMaxRankingSamples}) {
    SCOPED_TRACE(testing::Message() << interesting << " interesting");
    const auto c = random_case(2, 9, 2, interesting, kMaxRankingSamples - interesting, 5, 0.2f);
    const Fixture f(c, {1});
    f.forward(1.0f);
    // z_k: sums of up to 512 addends and decays lose at most 512 * 6e-8 and 512 * 3e-7 of 1.
    EXPECT_TRUE(close(f.loss.host(), std::vector<double>{c.loss(1), 0, 0}, 1e-3, 1e-5));
    std::vector<float> grad = f.grad_score.host();
    grad.resize(kMaxRankingSamples);  // rows beyond the batch are not written
    EXPECT_TRUE(close(grad, oracle::relaxed_ranking_grad(c.scores(1), c.present(1), interesting),
                      2e-4, 2e-4));
    f.expect_all_intact();
  }
}

TEST(RelaxedRanking, EmptySlotsTakeNoPart) {
  expect_matches_oracle(random_case(6, 17, 8, 34, 37, 40), {5, 1, 3, 0});
}

TEST(RelaxedRanking, UserWithoutItemsHasNoLoss) {
  auto c = random_case(3, 5, 4, 3, 4, 0);
  std::fill_n(c.samples.begin() + 1 * c.slots, c.slots, -1);  // user 1: nothing at all
  std::fill_n(c.samples.begin() + 2 * c.slots, 3, -1);        // user 2: nothing interesting
  const Fixture f(c, {1, 2}, 0);
  f.forward(1.0f);
  EXPECT_EQ(f.loss.host(), (std::vector<float>{0.0f, 0.0f}));
  EXPECT_EQ(f.grad_score.host(), std::vector<float>(14, 0.0f));
}

TEST(RelaxedRanking, ManyUsersAndPopularItems) {
  std::vector<int32_t> batch(150);
  std::iota(batch.begin(), batch.end(), 20);
  expect_matches_oracle(random_case(190, 3, 5, 2, 2, 0), batch);  // > 128 occurrences an item
}

/// Scores exactly representable, so that only the list-wise part rounds: a z_k is off by 3e-7 of
/// its exponentials and 6e-8 of its size.
void expect_exact_scores(const std::vector<float>& scores, int64_t interesting) {
  const auto c = case_of_scores(scores, interesting);
  const Fixture f(c, {0}, 0);
  f.forward(1.0f);
  EXPECT_TRUE(close(f.loss.host(), std::vector<double>{c.loss(0)}, 1e-5, 1e-6));
  EXPECT_TRUE(close(f.grad_score.host(),
                    oracle::relaxed_ranking_grad(c.scores(0), c.present(0), interesting), 1e-5,
                    2e-5));
}

TEST(RelaxedRanking, MatchesOracleAtExtremeScores) {
  for (const float size : {80.0f, 1e4f}) {
    std::vector<float> falling(40);
    for (size_t i = 0; i < falling.size(); ++i) {
      falling[i] = size * (1.0f - static_cast<float>(i) / 19.5f);
    }
    std::vector<float> rising(falling.rbegin(), falling.rend());
    std::vector<float> alternating(40);
    for (size_t i = 0; i < 40; ++i) alternating[i] = i % 2 == 0 ? size : -size;
    std::vector<float> near_the_bottom(40);  // a suffix whose terms only matter to each other
    for (size_t i = 0; i < 40; ++i) {
      near_the_bottom[i] = i < 4 ? size : -size + 0.25f * static_cast<float>(i % 7);
    }
    for (const int64_t interesting : {40, 39, 20, 1}) {
      SCOPED_TRACE(testing::Message() << "size " << size << ", K " << interesting);
      expect_exact_scores(falling, interesting);
      expect_exact_scores(rising, interesting);
      expect_exact_scores(alternating, interesting);
      expect_exact_scores(near_the_bottom, interesting);
    }
  }
}

TEST(RelaxedRanking, TiedScores) {
  // All equal: z_k - r = log(number of terms).
  const Fixture f(case_of_scores(std::vector<float>(8, 3.0f), 4), {0}, 0);
  f.forward(1.0f);
  const double expected = std::log(8.0) + std::log(7.0) + std::log(6.0) + std::log(5.0);
  EXPECT_TRUE(close(f.loss.host(), std::vector<double>{expected}, 1e-6, 1e-6));
}

TEST(RelaxedRanking, MatchesFiniteDifferences) {
  auto c = random_case(4, 7, 3, 5, 4, 20);
  const std::vector<int32_t> batch = {0, 2, 3};
  const Fixture f(c, batch);
  f.forward(1.0f);
  f.backward();
  const std::vector<float> grad_user = f.grad_user.host();
  const std::vector<float> grad_item = f.grad_item.host();
  const auto total = [&] {
    double sum = 0;
    for (const int32_t user : batch) sum += c.loss(user);
    return sum;
  };
  EXPECT_TRUE(close(grad_user, finite_differences(c.user_embedding, total), 1e-5, 1e-5));
  EXPECT_TRUE(close(grad_item, finite_differences(c.item_embedding, total), 1e-5, 1e-5));
}

TEST(RelaxedRanking, BackwardAccumulatesAndLeavesOtherUsersAlone) {
  const auto c = random_case(5, 6, 4, 3, 3, 0);
  const Fixture f(c, {1, 3});
  f.forward(1.0f);
  f.backward();
  const std::vector<float> once_user = f.grad_user.host();
  const std::vector<float> once_item = f.grad_item.host();
  for (const size_t user : {0, 2, 4}) {
    for (size_t d = 0; d < 4; ++d) EXPECT_EQ(once_user[user * 4 + d], 0.0f);
  }
  f.backward();
  const auto twice = [](std::vector<float> values) {
    std::vector<double> result;
    for (const float v : values) result.push_back(2.0 * v);
    return result;
  };
  EXPECT_TRUE(close(f.grad_user.host(), twice(once_user), 1e-6, 1e-6));
  EXPECT_TRUE(close(f.grad_item.host(), twice(once_item), 1e-6, 1e-6));
}

TEST(RelaxedRanking, LaterBatchReadsItsOwnUsers) {
  const auto c = random_case(6, 8, 4, 3, 3, 0);
  Fixture f(c, {0, 1, 2, 3, 4, 5});
  f.cursor.set({BatchCursor{1, 4, 2}});  // rows 4 and 5 of the epoch's list
  f.forward(1.0f);
  std::vector<double> loss(static_cast<size_t>(f.capacity), 0.0);
  loss[0] = c.loss(4);
  loss[1] = c.loss(5);
  EXPECT_TRUE(close(f.loss.host(), loss, kLossAbsolute, kLossRelative));
  f.backward();
  const auto expected = oracle::relaxed_ranking_backward(c, {4, 5}, 1.0);
  EXPECT_TRUE(close(f.grad_user.host(), expected.user, kGradAbsolute, kGradRelative));
  EXPECT_TRUE(close(f.grad_item.host(), expected.item, kGradAbsolute, kGradRelative));
}

TEST(RelaxedRanking, AcceptsEmptyInput) {
  const auto c = random_case(3, 4, 2, 2, 2, 0);
  Fixture f(c, {0, 1});
  f.cursor.set({BatchCursor{0, 0, 0}});
  f.forward(1.0f);
  f.backward();
  EXPECT_EQ(f.loss.host(), std::vector<float>(4, 0.0f));
  EXPECT_EQ(f.grad_item.host(), std::vector<float>(8, 0.0f));
}

TEST(RelaxedRanking, KeepsNan) {
  for (const size_t where : {0u, 2u, 3u, 5u}) {
    std::vector<float> scores = {1, 5, -3, 2, 0, 4};
    scores[where] = std::numeric_limits<float>::quiet_NaN();
    const Fixture f(case_of_scores(scores, 3), {0}, 0);
    f.forward(1.0f);
    EXPECT_TRUE(std::isnan(f.loss.host()[0])) << "score " << where;
  }
}

TEST(RelaxedRanking, SameBitsAtAnyNumberOfThreads) {
  std::vector<int32_t> batch(180);
  std::iota(batch.begin(), batch.end(), 0);
  const auto c = random_case(200, 40, 12, 8, 8, 0);
  const auto bits = [&](int threads) {
    set_threads(threads);
    const Fixture f(c, batch);
    f.forward(1.0f);
    f.backward();
    set_threads(0);
    std::vector<float> all = f.loss.host();
    for (const auto* part : {&f.grad_user, &f.grad_item}) {
      const std::vector<float> host = part->host();
      all.insert(all.end(), host.begin(), host.end());
    }
    return all;
  };
  EXPECT_EQ(bits(1), bits(2));
}

TEST(RelaxedRanking, TheMeanIsTheSumOverTheNumberOfUsers) {
  const auto c = random_case(9, 11, 3, 5, 2, 0);
  const Fixture sum(c, {1, 4, 8});
  const Fixture mean(c, {1, 4, 8});
  sum.forward(0.5f);
  mean.forward(0.5f, AnchorReduction::kMean);
  const auto expect_third = [](const std::vector<float>& part, const std::vector<float>& whole,
                               size_t live) {
    for (size_t i = 0; i < live; ++i) EXPECT_FLOAT_EQ(part[i], whole[i] * (1.0f / 3)) << i;
  };
  expect_third(mean.loss.host(), sum.loss.host(), 3);
  expect_third(mean.grad_score.host(), sum.grad_score.host(), 3 * 5);
}

TEST(RelaxedRanking, RejectsBadShapes) {
  const auto c = random_case(3, 4, 2, 2, 2, 0);
  const Fixture f(c, {0, 1});
  const auto ranking = [&](int64_t interesting, int64_t losses, int64_t scores, int64_t grads) {
    relaxed_ranking(f.loss.view().slice(0, losses), f.grad_score.matrix(4, grads),
                    f.score.matrix(4, scores), f.view(), interesting, 1.0f, AnchorReduction::kSum,
                    stream());
  };
  EXPECT_NO_THROW(ranking(2, 4, 4, 4));
  EXPECT_THROW(ranking(5, 4, 4, 4), std::invalid_argument);
  EXPECT_THROW(ranking(-1, 4, 4, 4), std::invalid_argument);
  EXPECT_THROW(ranking(2, 3, 4, 4), std::invalid_argument);
  EXPECT_THROW(ranking(2, 4, 3, 4), std::invalid_argument);
  EXPECT_THROW(ranking(2, 4, 4, 3), std::invalid_argument);

  const auto long_row = random_case(1, 4, 1, 1, kMaxRankingSamples, 0);  // one slot too many
  EXPECT_THROW(Fixture(long_row, {0}).forward(1.0f), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::relaxed_ranking_test
