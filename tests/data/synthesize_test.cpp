#include "data/synthesize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "data/random.h"
#include "data/split.h"
#include "tests/files.h"

namespace derrd::test::synthesize_test {
namespace {

SynthesisOptions small(int64_t users, int64_t items, int64_t interactions) {
  SynthesisOptions options;
  options.users = users;
  options.items = items;
  options.interactions = interactions;
  return options;
}

std::vector<int64_t> count(const std::vector<int32_t>& numbers, int64_t size) {
  std::vector<int64_t> counts(size);
  for (int32_t number : numbers) ++counts[number];
  return counts;
}

void expect_shape(const SynthesisOptions& options) {
  const Interactions made = synthesize(options);
  EXPECT_EQ(made.size(), options.interactions);
  EXPECT_EQ(made.user_ids.size(), options.users);
  EXPECT_EQ(made.item_ids.size(), options.items);
  EXPECT_GE(std::ranges::min(count(made.users, options.users)), kMinItemsPerUser);
  EXPECT_GE(std::ranges::min(count(made.items, options.items)), 1);
  std::vector<std::pair<int32_t, int32_t>> pairs;
  for (int64_t k = 0; k < made.size(); ++k) pairs.emplace_back(made.users[k], made.items[k]);
  std::ranges::sort(pairs);
  EXPECT_EQ(std::ranges::adjacent_find(pairs), pairs.end());
}

TEST(Synthesize, HasTheShapeThatWasAskedFor) {
  expect_shape(small(200, 300, 4000));
  expect_shape(small(1, 5, 5));
  expect_shape(small(3, 5, 15));      // every pair
  expect_shape(small(50, 10, 500));   // every pair
  expect_shape(small(50, 10, 499));   // all but one
  expect_shape(small(20, 100, 100));  // every item exactly once
  SynthesisOptions extreme = small(30, 400, 600);
  extreme.skew = 3.0;
  extreme.latent_dimension = 1;
  expect_shape(extreme);
  extreme.skew = 0.0;
  extreme.latent_dimension = 100;
  expect_shape(extreme);
}

TEST(Synthesize, TheDefaultsAreShapedLikeCiteULike) {
  const SynthesisOptions options;
  const Interactions made = synthesize(options);
  EXPECT_EQ(made.user_ids.size(), 5219);
  EXPECT_EQ(made.item_ids.size(), 25181);
  EXPECT_EQ(made.size(), 125580);
  std::vector<int64_t> items = count(made.items, options.items);
  std::vector<int64_t> users = count(made.users, options.users);
  EXPECT_GE(std::ranges::min(users), 5);
  EXPECT_GE(std::ranges::min(items), 1);
  std::ranges::sort(items, std::greater());
  std::ranges::sort(users, std::greater());
  // Long tails. In CiteULike the greatest and the median are 415 and 3 for items, 1995 and 10 for
  // users.
  EXPECT_GT(items[0], 60);
  EXPECT_LT(items[items.size() / 2], 6);
  EXPECT_GT(users[0], 300);
  EXPECT_LT(users[users.size() / 2], 20);
}

TEST(Synthesize, TheSkewMakesThePopularMorePopular) {
  const auto share_of_top_items = [](double skew) {
    SynthesisOptions options = small(300, 500, 6000);
    options.skew = skew;
    options.latent_dimension = 1;  // two tastes, each of half the items
    std::vector<int64_t> counts = count(synthesize(options).items, options.items);
    std::ranges::sort(counts, std::greater());
    return std::accumulate(counts.begin(), counts.begin() + 50, 0.0) / 6000.0;
  };
  const double flat = share_of_top_items(0.0), steep = share_of_top_items(1.0),
               steeper = share_of_top_items(1.5);
  EXPECT_LT(flat, 0.25);
  EXPECT_GT(steep, flat + 0.1);
  EXPECT_GT(steeper, steep + 0.05);
}

TEST(Synthesize, IsAFunctionOfItsOptions) {
  SynthesisOptions options = small(100, 200, 2000);
  const Interactions first = synthesize(options), again = synthesize(options);
  EXPECT_EQ(first.users, again.users);
  EXPECT_EQ(first.items, again.items);
  options.seed = 1;
  EXPECT_NE(synthesize(options).items, first.items);
}

TEST(Synthesize, RejectsNumbersThatDoNotFit) {
  const auto refused = [](const SynthesisOptions& options) {
    return error_of([&] { synthesize(options); });
  };
  EXPECT_TRUE(contains(refused(small(10, 20, 49)), "choose from 50"));
  EXPECT_TRUE(contains(refused(small(10, 200, 199)), "choose from 200"));
  EXPECT_TRUE(contains(refused(small(10, 20, 201)), "to 200 (all pairs)"));
  EXPECT_TRUE(contains(refused(small(0, 20, 10)), "number of users"));
  EXPECT_TRUE(contains(refused(small(10, 4, 40)), "number of items"));
  EXPECT_TRUE(contains(refused(small(int64_t{1} << 40, 20, 10)), "number of users"));
  SynthesisOptions options = small(10, 20, 100);
  options.skew = -1;
  EXPECT_TRUE(contains(refused(options), "skew"));
  options.skew = std::nan("");
  EXPECT_TRUE(contains(refused(options), "skew"));
  options.skew = 1;
  options.latent_dimension = 0;
  EXPECT_TRUE(contains(refused(options), "latent dimension"));
}

/// H@5 of a scoring of (user, item) over the test items and their candidates.
template <class Score>
double hit_rate(const Dataset& dataset, Score score) {
  int64_t hits = 0;
  for (int64_t u = 0; u < dataset.num_users(); ++u) {
    const float target = score(u, dataset.test.items[u]);
    const auto better = std::ranges::count_if(dataset.candidates_of(u),
                                              [&](int32_t i) { return score(u, i) >= target; });
    hits += better < 5;
  }
  return static_cast<double>(hits) / static_cast<double>(dataset.num_users());
}

TEST(Synthesize, AFactorModelLearnsItsTastes) {
  SynthesisOptions options = small(600, 1500, 15000);
  options.latent_dimension = 6;
  Dataset dataset = split_leave_one_out(synthesize(options), 0);
  draw_candidates(dataset, 499, 0);

  const std::vector<int64_t> popularity = count(dataset.train.items, options.items);
  const double popular =
      hit_rate(dataset, [&](int64_t, int32_t i) { return static_cast<float>(popularity[i]); });

  // Plain stochastic gradient descent on the loss of BPR.
  constexpr int64_t kDim = 12, kEpochs = 40;
  constexpr float kRate = 0.1f, kDecay = 0.01f;
  RandomStream random(1, 0, 0);
  std::vector<float> users(options.users * kDim), items(options.items * kDim);
  for (float& x : users) x = 0.1f * static_cast<float>(random.normal());
  for (float& x : items) x = 0.1f * static_cast<float>(random.normal());
  const auto score = [&](int64_t u, int32_t i) {
    return std::inner_product(&users[u * kDim], &users[u * kDim] + kDim, &items[i * kDim], 0.0f);
  };
  for (int64_t epoch = 0; epoch < kEpochs; ++epoch) {
    for (int64_t k = 0; k < dataset.train.num_interactions(); ++k) {
      const auto u = static_cast<int64_t>(random.below(options.users));
      const auto row = dataset.train.row(u);
      const int32_t i = row[random.below(row.size())];
      const auto j = static_cast<int32_t>(random.below(options.items));
      if (dataset.train.contains(u, j)) continue;
      const float pull = kRate / (1.0f + std::exp(score(u, i) - score(u, j)));
      for (int64_t d = 0; d < kDim; ++d) {
        float &x = users[u * kDim + d], &y = items[i * kDim + d], &z = items[j * kDim + d];
        const float old = x;
        x += pull * (y - z) - kRate * kDecay * x;
        y += pull * old - kRate * kDecay * y;
        z -= pull * old + kRate * kDecay * z;
      }
    }
  }
  const double learned = hit_rate(dataset, score);
  RecordProperty("popularity_hit_rate", std::to_string(popular));
  RecordProperty("learned_hit_rate", std::to_string(learned));
  // The standard error of either is below .02.
  EXPECT_GT(learned, popular + 0.15) << "popularity alone gives " << popular;
}

}  // namespace
}  // namespace derrd::test::synthesize_test
