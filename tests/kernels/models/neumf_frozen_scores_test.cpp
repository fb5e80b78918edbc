#include "kernels/models/neumf_frozen_scores.h"

#include <limits>
#include <stdexcept>

#include "tests/kernels/support.h"

namespace derrd::test::neumf_frozen_scores_test {
namespace {

struct Case {
  Case(int64_t num_users, int64_t num_items, int64_t product_cols, int64_t hidden_cols)
      : users(num_users),
        items(num_items),
        dims(product_cols),
        hidden(hidden_cols),
        user_product(random_normal(users * dims, 1)),
        user_part(random_normal(users * hidden, 2)),
        item_product(random_normal(items * dims, 3)),
        item_part(random_normal(items * hidden, 4)),
        weight(random_normal(hidden, 5)) {}

  double score(int64_t u, int64_t i) const {
    double sum = kBias;
    for (int64_t k = 0; k < dims; ++k) {
      sum += static_cast<double>(user_product[static_cast<size_t>(u * dims + k)]) *
             item_product[static_cast<size_t>(i * dims + k)];
    }
    for (int64_t k = 0; k < hidden; ++k) {
      const double z = static_cast<double>(user_part[static_cast<size_t>(u * hidden + k)]) +
                       item_part[static_cast<size_t>(i * hidden + k)];
      sum += weight[static_cast<size_t>(k)] * std::max(z, 0.0);
    }
    return sum;
  }
  std::vector<float> list_scores(const std::vector<int32_t>& lists) const {
    const Device d(*this);
    const auto slots = static_cast<int64_t>(lists.size()) / users;
    const Guarded<int32_t> item(lists);
    const Guarded<float> out(users * slots);
    neumf_list_scores(out.matrix(users, slots), d.view(*this), item.matrix(users, slots), stream());
    return out.host();
  }
  std::vector<float> tile_scores() const {
    const Device d(*this);
    std::vector<float> sums;
    for (int64_t u = 0; u < users; ++u) {
      double sum = 0;
      for (int64_t k = 0; k < hidden; ++k) {
        sum += static_cast<double>(weight[static_cast<size_t>(k)]) *
               user_part[static_cast<size_t>(u * hidden + k)];
      }
      sums.push_back(static_cast<float>(sum));
    }
    const Guarded<float> user_weight(sums), out(users * items);
    const Guarded<float> packed(packed_items_size(items, dims + hidden));
    const PairScorer model = d.view(*this);
    pack_items(packed.view(), model.item_product, model.item_part, stream());
    neumf_tile_scores(out.matrix(users, items), model, user_weight.const_view(), packed.view(),
                      stream());
    return out.host();
  }

  struct Device {
    explicit Device(const Case& c)
        : user_product(c.user_product),
          user_part(c.user_part),
          item_product(c.item_product),
          item_part(c.item_part),
          weight(c.weight),
          bias({kBias}) {}
    PairScorer view(const Case& c) const {
      return {user_product.matrix(c.users, c.dims),
              user_part.matrix(c.users, c.hidden),
              item_product.matrix(c.items, c.dims),
              item_part.matrix(c.items, c.hidden),
              weight.const_view(),
              bias.const_view()};
    }
    Guarded<float> user_product, user_part, item_product, item_part, weight, bias;
  };

  static constexpr float kBias = 0.625f;
  int64_t users, items, dims, hidden;
  std::vector<float> user_product, user_part, item_product, item_part, weight;
};

// 771 terms (products, maxima and the user's sum), added one by one to partial sums below 64: as
// many roundings of at most 2^-19, each off by 1.1e-6 in the mean square, together by 3.1e-5. Four
// times that.
constexpr double kTolerance = 1.2e-4;

TEST(PairTileScores, MatchesOracle) {
  std::vector<Case> cases;
  for (const int64_t users : {0, 1, 3, 4, 5, 33}) cases.emplace_back(users, 70, 5, 6);
  for (const int64_t items : {0, 1, 31, 63, 64, 65, 128, 257}) cases.emplace_back(5, items, 3, 4);
  for (const int64_t width : kEdgeSizes) cases.emplace_back(5, 65, width, width);
  cases.emplace_back(5, 65, 7, 0);
  cases.emplace_back(5, 65, 0, 7);
  for (const Case& c : cases) {
    std::vector<double> expected;
    for (int64_t u = 0; u < c.users; ++u) {
      for (int64_t i = 0; i < c.items; ++i) expected.push_back(c.score(u, i));
    }
    EXPECT_TRUE(close(c.tile_scores(), expected, kTolerance, 0))
        << c.users << " users, " << c.items << " items, " << c.dims << " + " << c.hidden;
  }
}

TEST(PairListScores, MatchesOracle) {
  for (const int64_t width : kEdgeSizes) {
    for (const int64_t slots : {1, 3, 4, 5, 33}) {
      const Case c(6, 23, width, width);
      std::vector<int32_t> lists = random_below(c.users * slots, 23, 6);
      for (size_t i = 0; i < lists.size(); i += 3) lists[i] = -1;
      std::vector<double> expected;
      for (size_t i = 0; i < lists.size(); ++i) {
        const auto u = static_cast<int64_t>(i) / slots;
        expected.push_back(lists[i] < 0 ? 0 : c.score(u, lists[i]));
      }
      EXPECT_TRUE(close(c.list_scores(lists), expected, kTolerance, 0));
    }
  }
}

TEST(NeumfFrozenScores, EmptyListsAndTheirEndsAreZero) {
  const Case c(3, 20, 5, 6);
  for (const int64_t slots : {1, 4, 7, 16, 17, 33}) {
    // A list without items, one with a single item, a full one.
    std::vector<int32_t> lists(static_cast<size_t>(3 * slots), -1);
    lists[static_cast<size_t>(slots)] = 7;
    std::fill(lists.end() - slots, lists.end(), 3);
    std::vector<double> expected(lists.size(), 0.0);
    expected[static_cast<size_t>(slots)] = c.score(1, 7);
    std::fill(expected.end() - slots, expected.end(), c.score(2, 3));
    EXPECT_TRUE(close(c.list_scores(lists), expected, kTolerance, 0)) << slots;
  }
}

TEST(NeumfFrozenScores, EqualItemsHaveEqualBits) {
  Case c(5, 131, 37, 41);
  for (size_t i = 1; i < 131; ++i) {
    std::copy_n(c.item_product.begin(), 37, c.item_product.begin() + static_cast<int64_t>(i) * 37);
    std::copy_n(c.item_part.begin(), 41, c.item_part.begin() + static_cast<int64_t>(i) * 41);
  }
  const std::vector<float> tile = c.tile_scores();
  const std::vector<float> list = c.list_scores(random_below(5 * 131, 131, 7));
  for (size_t n = 0; n < tile.size(); ++n) {
    EXPECT_EQ(tile[n], tile[n / 131 * 131]);
    EXPECT_EQ(list[n], list[n / 131 * 131]);
  }
}

// Where every unit is off or on, also by far.
TEST(NeumfFrozenScores, LargeParts) {
  for (const float size : {80.0f, -80.0f, 1e4f, -1e4f}) {
    Case c(3, 65, 2, 33);
    for (float& p : c.user_part) p += size;
    const std::vector<float> tile = c.tile_scores();
    std::vector<int32_t> all;
    for (int i = 0; i < 3 * 65; ++i) all.push_back(i % 65);
    const std::vector<float> list = c.list_scores(all);
    std::vector<double> expected;
    for (int64_t u = 0; u < 3; ++u) {
      for (int64_t i = 0; i < 65; ++i) expected.push_back(c.score(u, i));
    }
    // 33 roundings of partial sums below 33 times the part.
    const double tolerance = kTolerance + 33 * 33 * 6e-8 * std::abs(size);
    EXPECT_TRUE(close(tile, expected, tolerance, 0)) << size;
    EXPECT_TRUE(close(list, expected, tolerance, 0)) << size;
  }
}

TEST(NeumfFrozenScores, KeepsNan) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (std::vector<float> Case::*table :
       {&Case::user_product, &Case::user_part, &Case::item_product, &Case::item_part}) {
    Case c(2, 3, 4, 5);
    (c.*table)[1] = nan;  // of row 0
    const std::vector<float> tile = c.tile_scores(), list = c.list_scores({0, 1, 2, 0, 1, 2});
    EXPECT_TRUE(std::isnan(tile[0]));
    EXPECT_TRUE(std::isnan(list[0]));
    EXPECT_FALSE(std::isnan(tile[5]));
    EXPECT_FALSE(std::isnan(list[5]));
  }
}

TEST(NeumfFrozenScores, SameBitsAtAnyNumberOfThreads) {
  const Case c(70, 600, 40, 40);
  const std::vector<int32_t> lists = random_below(70 * 100, 600, 8);
  expect_same_bits_at_any_number_of_threads([&] {
    return std::pair{c.tile_scores(), c.list_scores(lists)};
  });
}

TEST(NeumfFrozenScores, RejectsBadShapes) {
  const Case c(3, 4, 5, 6);
  const Case::Device d(c);
  const Guarded<float> memory(2000);
  const Guarded<int32_t> item(std::vector<int32_t>(20, 0));
  const auto list = [&](int64_t users, int64_t slots, int64_t weights) {
    PairScorer model = d.view(c);
    model.weight.size = weights;
    neumf_list_scores(memory.matrix(users, slots), model, item.matrix(3, 2), stream());
  };
  EXPECT_NO_THROW(list(3, 2, 6));
  EXPECT_THROW(list(2, 2, 6), std::invalid_argument);
  EXPECT_THROW(list(3, 3, 6), std::invalid_argument);
  EXPECT_THROW(list(3, 2, 5), std::invalid_argument);
  const auto tile = [&](int64_t items, int64_t sums, int64_t packed) {
    neumf_tile_scores(memory.matrix(3, items), d.view(c), memory.view().slice(0, sums),
                      memory.view().slice(0, packed), stream());
  };
  const int64_t size = packed_items_size(4, 11);
  EXPECT_THROW(tile(5, 3, size), std::invalid_argument);
  EXPECT_THROW(tile(4, 2, size), std::invalid_argument);
  EXPECT_THROW(tile(4, 3, size - 1), std::invalid_argument);
  EXPECT_THROW(pack_items(memory.view().slice(0, size - 1), d.view(c).item_product,
                          d.view(c).item_part, stream()),
               std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::neumf_frozen_scores_test
