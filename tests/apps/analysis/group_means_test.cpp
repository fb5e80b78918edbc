#include "apps/analysis/group_means.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

namespace derrd::test::group_means_test {
namespace {

using Labels = std::vector<int32_t>;

// The standard error is SciPy's: stats.sem([.4843, .4790, .4861, .4825, .4802]).
TEST(GroupMeans, AreKnown) {
  const auto groups = group_means(std::vector<double>{.4843, 7, .4790, .4861, -2, .4825, 1, .4802},
                                  Labels{2, 0, 2, 2, 3, 2, 0, 2}, 4);
  ASSERT_EQ(groups.size(), 4u);
  EXPECT_EQ(groups[0].count, 2);
  EXPECT_DOUBLE_EQ(groups[0].mean, 4);
  EXPECT_DOUBLE_EQ(groups[0].standard_error.value(), 3);
  EXPECT_EQ(groups[1].count, 0);
  EXPECT_EQ(groups[1].mean, 0);
  EXPECT_FALSE(groups[1].standard_error);
  EXPECT_EQ(groups[2].count, 5);
  EXPECT_NEAR(groups[2].mean, .48242, 1e-15);
  EXPECT_NEAR(groups[2].standard_error.value(), 0.0012982295636750827, 1e-15);
  EXPECT_EQ(groups[3].count, 1);
  EXPECT_EQ(groups[3].mean, -2);
  EXPECT_FALSE(groups[3].standard_error);
}

TEST(GroupMeans, ShareOfLosers) {
  const auto groups = group_means(std::vector<double>{-3, 1, -1, 0, 0, 5, -.1},  // -1, 0, 5, -.1
                                  Labels{0, 0, 0, 1, 1, 2, 4}, 5);
  EXPECT_DOUBLE_EQ(share_in_losing_groups(groups), 4. / 7);
}

TEST(GroupMeans, AcceptsEmptyInput) {
  EXPECT_TRUE(group_means({}, {}, 0).empty());
  EXPECT_EQ(share_in_losing_groups({}), 0);
  EXPECT_EQ(share_in_losing_groups(group_means({}, {}, 3)), 0);
}

TEST(GroupMeans, RejectsBadShapes) {
  const std::vector<double> values = {1, 2};
  EXPECT_THROW(group_means(values, Labels{0}, 1), std::invalid_argument);
  EXPECT_THROW(group_means(values, Labels{0, 1}, 1), std::invalid_argument);
  EXPECT_THROW(group_means(values, Labels{0, -1}, 1), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::group_means_test
