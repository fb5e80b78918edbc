#include "data/filter.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "data/dataset.h"
#include "data/error.h"
#include "data/readers.h"
#include "data/ready_split.h"
#include "data/split.h"
#include "tests/files.h"

namespace derrd::test::filter_test {
namespace {

Interactions parse(std::string_view text) {
  ReadOptions options;
  options.format = Format::kAdjacency;
  return parse_interactions(text, "f", options);
}

std::vector<std::string> texts(const IdTable& ids) {
  std::vector<std::string> result;
  for (int64_t i = 0; i < ids.size(); ++i) result.push_back(ids.text(i));
  return result;
}

using Texts = std::vector<std::string>;

TEST(Filter, DropsUsersAndNumbersItemsByFirstAppearance) {
  const Interactions kept = filter(parse("u1 a\nu2 c b\nu3 b a d\n"), 2, 0);
  EXPECT_EQ(texts(kept.user_ids), (Texts{"u2", "u3"}));
  EXPECT_EQ(texts(kept.item_ids), (Texts{"c", "b", "a", "d"}));
  EXPECT_EQ(kept.users, (std::vector<int32_t>{0, 0, 1, 1, 1}));
  EXPECT_EQ(kept.items, (std::vector<int32_t>{0, 1, 1, 2, 3}));
}

TEST(Filter, KeepsTimesWithTheirInteractions) {
  ReadOptions options;
  options.times = true;
  const std::string text = "u,a,5,10\nv,b,5,20\nv,a,5,30\nw,c,5,40\nv,d,5,50\nu,d,5,60\n";
  const Interactions kept = filter(parse_interactions(text, "f.csv", options), 2, 2);
  EXPECT_EQ(texts(kept.item_ids), (Texts{"a", "d"}));
  EXPECT_EQ(kept.users, (std::vector<int32_t>{0, 1, 1, 0}));
  EXPECT_EQ(kept.items, (std::vector<int32_t>{0, 0, 1, 1}));
  EXPECT_EQ(kept.times, (std::vector<Time>{{10, 0}, {30, 0}, {50, 0}, {60, 0}}));
  EXPECT_TRUE(filter(parse_interactions(text, "f.csv", {}), 2, 2).times.empty());
}

TEST(Filter, GoesOnToAFixedPoint) {
  // d falls first, then u3, then c, then u2, and the square of u0, u1 and a, b remains.
  const std::string chain = "u0 a b\nu1 a b\nu2 c a\nu3 d c\n";
  const Interactions kept = filter(parse(chain), 2, 2);
  EXPECT_EQ(texts(kept.user_ids), (Texts{"u0", "u1"}));
  EXPECT_EQ(texts(kept.item_ids), (Texts{"a", "b"}));
  EXPECT_EQ(kept.size(), 4);
  EXPECT_EQ(filter(parse(chain), 3, 2).size(), 0);
  EXPECT_EQ(filter(parse(chain), 3, 2).user_ids.size(), 0);
}

TEST(Filter, KeepsEmptyUsersOnlyIfAsked) {
  const Interactions read = parse("u0\nu1 a\n");
  EXPECT_EQ(filter(read, 0, 0).user_ids.size(), 2);
  EXPECT_EQ(filter(read, 1, 0).user_ids.size(), 1);
}

TEST(Filter, DuplicatesDoNotCount) { EXPECT_EQ(filter(parse("u a a a\n"), 2, 0).size(), 0); }

/// A file of the real data in the folder that the environment names, or an empty path.
std::filesystem::path real_data(const std::string& name) {
  const char* folder = std::getenv("DERRD_DATA");
  const std::filesystem::path path = std::filesystem::path(folder == nullptr ? "" : folder) / name;
  return std::filesystem::exists(path) ? path : "";
}

class CiteULike : public testing::Test {
 protected:
  void SetUp() override {
    const auto file = real_data("citeulike/users.dat");
    if (file.empty()) GTEST_SKIP() << "DERRD_DATA names no folder with citeulike/users.dat";
    kept_ = filter(read_interactions(file, ReadOptions()), 5, 0);
  }
  Interactions kept_;
};

TEST_F(CiteULike, HasThePublishedSize) {
  EXPECT_EQ(kept_.user_ids.size(), 5219);
  EXPECT_EQ(kept_.item_ids.size(), 25181);
  EXPECT_EQ(kept_.size(), 125580);
  const Statistics figures = statistics(split_leave_one_out(kept_, 0));
  EXPECT_EQ(figures.interactions, 125580);
  EXPECT_EQ(figures.train_interactions, 115142);
}

TEST_F(CiteULike, HasTheNumbersOfTheAuthorsSplit) {
  const auto train = real_data("citeulike/split0.train.tsv");
  if (train.empty()) GTEST_SKIP() << "DERRD_DATA has no split0.*.tsv";
  const Dataset authors = read_ready_split(
      {train, real_data("citeulike/split0.valid.tsv"), real_data("citeulike/split0.test.tsv"), {}},
      ReadOptions());
  ASSERT_EQ(authors.num_users(), 5219);
  ASSERT_EQ(authors.num_items(), 25181);
  std::set<std::pair<int32_t, int32_t>> ours, theirs;
  for (int64_t k = 0; k < kept_.size(); ++k) ours.emplace(kept_.users[k], kept_.items[k]);
  for (int32_t u = 0; u < authors.num_users(); ++u) {
    for (int32_t i : authors.train.row(u)) theirs.emplace(u, i);
    theirs.emplace(u, authors.valid.items[u]);
    theirs.emplace(u, authors.test.items[u]);
    ASSERT_EQ(authors.user_ids.numbers()[u], u);
  }
  EXPECT_EQ(theirs.size(), 125580u);
  EXPECT_TRUE(ours == theirs);
}

TEST(Foursquare, HasTheSizeThatIsDocumented) {
  const auto file = real_data("foursquare/users.dat");
  if (file.empty()) GTEST_SKIP() << "DERRD_DATA names no folder with foursquare/users.dat";
  ReadOptions options;
  options.format = Format::kCiteulike;
  const Interactions kept = filter(read_interactions(file, options), 15, 0);
  EXPECT_EQ(kept.user_ids.size(), 18895);
  EXPECT_EQ(kept.item_ids.size(), 28593);
  EXPECT_EQ(kept.size(), 645355);
  EXPECT_EQ(statistics(split_leave_one_out(kept, 0)).train_interactions, 607565);
}

}  // namespace
}  // namespace derrd::test::filter_test
