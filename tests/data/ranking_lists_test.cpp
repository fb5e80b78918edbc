#include "data/ranking_lists.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/files.h"

namespace derrd::test::ranking_lists_test {
namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();  // behind the last item

/// Three users and five items; "bob" has trained with "a", "all" with everything.
Dataset small_dataset() {
  Dataset dataset;
  dataset.train.offsets = {0, 0, 1, 6};
  dataset.train.items = {0, 0, 1, 2, 3, 4};
  dataset.valid.offsets = dataset.test.offsets = {0, 0, 0, 0};
  const std::vector<std::string_view> users{"anna", "bob", "all"}, items{"a", "b", "c", "d", "e"};
  dataset.user_ids = IdTable::from_texts(users);
  dataset.item_ids = IdTable::from_texts(items);
  return dataset;
}

RankingLists parse(const std::string& text) {
  return parse_ranking_lists(text, "some.tsv", small_dataset());
}

using Items = std::vector<std::vector<int32_t>>;
Items items_of(const RankingLists& lists) {
  Items result;
  for (int64_t u = 0; u < lists.num_users(); ++u) {
    result.emplace_back(lists.items.begin() + lists.offsets[u],
                        lists.items.begin() + lists.offsets[u + 1]);
  }
  return result;
}

void refused(const std::string& text, std::string_view part) {
  EXPECT_TRUE(contains(error_of([&] { parse(text); }), part)) << text;
}

TEST(RankingLists, LinesInRankOrder) {
  const RankingLists lists = parse("anna\tc\nbob\te\nanna\ta\n\n bob \t b \r\n");
  EXPECT_EQ(items_of(lists), (Items{{2, 0}, {4, 1}, {}}));
  EXPECT_TRUE(lists.scores.empty());
  EXPECT_EQ(lists.matched_users, 3);  // one of them has nothing left to be ranked
  EXPECT_TRUE(lists.absent.empty());
}

TEST(RankingLists, ScoresAndAHeader) {
  for (const char* text :
       {"anna\tc\t2.5\nanna\ta\t-0.001\nbob\te\t0.1\n",
        "user\trank\titem\tscore\nanna\t1\tc\t2.5\nanna\t2\ta\t-0.001\nbob\t1\te\t0.1\n",
        "score\titem\tother\tuser\n2.5\tc\t\tanna\n0.1\te\tx\tbob\n-1e-3\ta\ty\tanna\n"}) {
    const RankingLists lists = parse(text);
    EXPECT_EQ(items_of(lists), (Items{{2, 0}, {4}, {}})) << text;
    EXPECT_EQ(lists.scores, (std::vector<float>{2.5f, -1e-3f, 0.1f})) << text;
  }
  EXPECT_TRUE(parse("user\titem\nanna\tc\n").scores.empty());
  // A probability may be smaller than any float32.
  EXPECT_EQ(parse("anna\tc\t0.5\nanna\ta\t1.6e-48\n").scores, (std::vector<float>{0.5f, 0.0f}));
  EXPECT_THROW(parse("anna\tc\t1e39\n"), Error);
}

TEST(RankingLists, ItemsThatAUserTrainedWithAreDropped) {
  const RankingLists lists = parse("bob\tb\nbob\ta\nbob\tc\nall\td\nbob\te\nanna\tb\n");
  EXPECT_EQ(items_of(lists), (Items{{1}, {1, 2, 4}, {}}));
  EXPECT_EQ(lists.observed, 2);
}

TEST(RankingLists, UnknownIdsAreCounted) {
  const RankingLists lists =
      parse("zoe\ta\nzoe\tb\nanna\tx\nyves\tx\nanna\tb\nanna\ty\nzoe\tz\nzoe\tz\n");
  EXPECT_EQ(lists.unknown_users, 2);
  EXPECT_EQ(lists.unknown_items, 3);
  EXPECT_EQ(lists.unknown, (std::vector<std::string>{"zoe", "x", "yves"}));
  EXPECT_EQ(lists.matched_users, 2);
  EXPECT_EQ(lists.absent, (std::vector<std::string>{"bob"}));
  EXPECT_EQ(parse("bob\ta\n").matched_users, 1);  // nothing is left of bob's list
  EXPECT_EQ(parse("").matched_users, 1);
}

TEST(RankingLists, RejectsRepeatedItems) {
  refused("anna\tb\nbob\tb\nanna\tc\nanna\tb\n",
          "some.tsv:4: the user \"anna\" has the item \"b\" on line 1 already");
  // An item that would be dropped counts too.
  refused("bob\ta\nbob\ta\n", "some.tsv:2: ");
}

TEST(RankingLists, RejectsLinesThatAreNotInRankOrder) {
  refused("anna\tb\t1\nbob\ta\t3\nanna\tc\t1\nanna\td\t1.5\n", "some.tsv:4: has the score 1.5");
  const std::string header = "user\trank\titem\n";
  refused(header + "anna\t2\tb\nanna\t2\tc\n", "some.tsv:3: has the rank 2");
  refused(header + "anna\t0\tb\n", "some.tsv:2: has the rank 0");
  refused(header + "anna\tx\tb\n", "some.tsv:2: the rank \"x\"");
}

TEST(RankingLists, RejectsMalformedLines) {
  for (const auto& [text, message] :
       {std::pair{"anna\n", "some.tsv:1: has 1 column instead"},
        {"anna\t1\tb\t0.5\n", "some.tsv:1: has 4 columns instead"},
        {"anna\tb\nanna\tc\t1\n", "some.tsv:2: has 3 columns, and the first line has 2"},
        {"anna\tb\t1\nanna\tc\n", "some.tsv:2: has 2 columns, and the first line has 3"},
        {"anna\t\n", "some.tsv:1: has an empty item in column 2"},
        {"\tb\n", "some.tsv:1: has an empty user in column 1"},
        {"anna\tb\thigh\n", "some.tsv:1: the score \"high\" in column 3"},
        {"anna\tb\tnan\n", "some.tsv:1: has a score that is not finite"},
        {"anna\tb\tinf\n", "some.tsv:1: has a score that is not finite"},
        {"anna\tb\t1e99\n", "some.tsv:1: the score \"1e99\""},
        {"anna b\n", "some.tsv:1: has 1 column"}}) {
    refused(text, message);
  }
}

struct Tensors {
  std::vector<int32_t> items, users;
  std::vector<float> scores;
  int64_t rows = 3;

  RankingLists read(const RowAlignment& user_rows, const RowAlignment& item_rows) const {
    const TestFolder folder;
    const auto shape = std::vector<int64_t>{rows, static_cast<int64_t>(items.size()) / rows};
    TensorMap tensors{{"items", tensor_view(std::span(items), shape)}};
    if (!users.empty()) tensors["users"] = tensor_view(users);
    if (!scores.empty()) tensors["scores"] = tensor_view(std::span(scores), shape);
    write_safetensors(folder / "f", tensors, {});
    return ranking_lists(SafetensorsFile::read(folder / "f"), user_rows, item_rows,
                         small_dataset());
  }
  RankingLists read() const { return read(align_in_order(3), align_in_order(5)); }
  std::string refusal() const {
    return error_of([&] { read(); });
  }
};

TEST(RankingLists, Matrices) {
  const Tensors tensors{{3, 1, 0, 2, 0, 1, -1, -1, 4, -1, -1, -1}, {}, {}};
  const RankingLists lists = tensors.read();
  EXPECT_EQ(items_of(lists), (Items{{3, 1, 0, 2}, {1}, {}}));
  EXPECT_TRUE(lists.scores.empty());
  EXPECT_EQ(lists.observed, 2);
}

TEST(RankingLists, MatricesOfSomeUsersWithScores) {
  const Tensors tensors{{0, 4, -1, 2, 1, 0}, {1, 0}, {5, 4, kNone, 3, 3, 2}, 2};
  const RankingLists lists = tensors.read();
  EXPECT_EQ(items_of(lists), (Items{{2, 1, 0}, {4}, {}}));
  EXPECT_EQ(lists.scores, (std::vector<float>{3, 3, 2, 4}));
  EXPECT_EQ(lists.observed, 1);
  EXPECT_EQ(lists.matched_users, 3);
}

TEST(RankingLists, MatricesWithNumbersOfTheirOwn) {
  const Dataset dataset = small_dataset();
  const std::vector<std::string_view> users{"zoe", "bob", "anna"}, items{"e", "x", "c", "b"};
  const Tensors tensors{{0, 1, 3, 1, 2, 3, 0, 1, 2}, {}, {}};
  const RankingLists lists =
      tensors.read(align_by_ids(dataset.user_ids, IdTable::from_texts(users)),
                   align_by_ids(dataset.item_ids, IdTable::from_texts(items)));
  EXPECT_EQ(items_of(lists), (Items{{4, 2}, {2, 1}, {}}));
  EXPECT_EQ(lists.unknown_users, 1);
  EXPECT_EQ(lists.unknown_items, 1);
  EXPECT_EQ(lists.unknown, (std::vector<std::string>{"zoe", "x"}));
}

TEST(RankingLists, RejectsOtherMatrices) {
  const auto refused = [](const Tensors& tensors, std::string_view message) {
    EXPECT_TRUE(contains(tensors.refusal(), message));
  };
  refused({{1, 1, 2, 3, 0, 0}, {}, {}}, "row 0 of 'items' has 1 in columns 0 and 1");
  refused({{1, 5, 2, 3, 0, 1}, {}, {}}, "row 0 of 'items' has 5");
  refused({{1, 2, 2, -2, 0, 1}, {}, {}}, "row 1 of 'items' has -2");
  refused({{1, 2, 2, 3, -1, 1}, {}, {}}, "row 2 of 'items' goes on behind a -1");
  refused({{1, 2}, {}, {}, 1}, "1 rows for 3 users");
  refused({{1, 2}, {0, 1}, {}, 1}, "'users' has 2 numbers");
  refused({{1, 2}, {3}, {}, 1}, "'users' has 3");
  refused({{1, 2}, {-1}, {}, 1}, "'users' has -1");
  refused({{1, 2}, {1, 1}, {}, 2}, "'users' has 1 twice");
  refused({{1, 2}, {1}, {1, 2}, 1}, "row 0 of 'scores' rises");
  refused({{1, 2}, {1}, {1, kNone}, 1}, "row 0 of 'scores' has a score that is not finite");
}

}  // namespace
}  // namespace derrd::test::ranking_lists_test
