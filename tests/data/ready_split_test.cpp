#include "data/ready_split.h"

#include <gtest/gtest.h>

#include "tests/files.h"

namespace derrd::test::ready_split_test {
namespace {

class ReadySplitTest : public testing::Test {
 protected:
  Dataset read(std::string_view train, std::string_view valid, std::string_view test,
               std::optional<std::string_view> candidates = std::nullopt) {
    ReadySplit files{folder_.write("train.tsv", train), folder_.write("valid.tsv", valid),
                     folder_.write("test.tsv", test), std::nullopt};
    if (candidates) files.candidates = folder_.write("candidates.tsv", *candidates);
    const Dataset dataset = read_ready_split(files, ReadOptions());
    validate(dataset, "ready split");
    return dataset;
  }

  void refused(std::string_view train, std::string_view valid, std::string_view test,
               std::string_view part) {
    expect_error([&] { read(train, valid, test); }, part);
  }

  TestFolder folder_;
};

TEST_F(ReadySplitTest, DenseNumbersStayThemselves) {
  const Dataset dataset = read("1\t3\n0\t2\n1\t0\n", "1\t4\n", "1\t1\n0\t0\n");
  EXPECT_EQ(dataset.train.offsets, (std::vector<int64_t>{0, 1, 3}));
  EXPECT_EQ(dataset.train.items, (std::vector<int32_t>{2, 0, 3}));
  EXPECT_EQ(dataset.valid.offsets, (std::vector<int64_t>{0, 0, 1}));
  EXPECT_EQ(dataset.valid.items, (std::vector<int32_t>{4}));
  EXPECT_EQ(dataset.test.items, (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(dataset.user_ids.numbers(), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(dataset.item_ids.numbers(), (std::vector<int64_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(dataset.num_candidates, 0);
}

TEST_F(ReadySplitTest, OtherIdsAreNumberedByFirstAppearance) {
  const Dataset dataset = read("9\tb\n5\ta\n9\tc\n", "9\td\n", "5\tc\n");
  EXPECT_EQ(dataset.user_ids.numbers(), (std::vector<int64_t>{9, 5}));
  EXPECT_EQ(dataset.item_ids.text(0), "b");
  EXPECT_EQ(dataset.item_ids.text(3), "d");
  EXPECT_EQ(dataset.train.items, (std::vector<int32_t>{0, 2, 1}));
  EXPECT_EQ(dataset.valid.offsets, (std::vector<int64_t>{0, 1, 1}));
  EXPECT_EQ(dataset.valid.items, (std::vector<int32_t>{3}));
  EXPECT_EQ(dataset.test.offsets, (std::vector<int64_t>{0, 0, 1}));
  EXPECT_EQ(dataset.test.items, (std::vector<int32_t>{2}));
}

TEST_F(ReadySplitTest, NumbersWithAGapOrNegativeOnesAreNotDense) {
  EXPECT_EQ(read("0\t0\n2\t1\n", "0\t2\n", "0\t3\n").user_ids.numbers(),
            (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(read("1\t1\n0\t0\n", "0\t2\n", "0\t-1\n").item_ids.numbers(),
            (std::vector<int64_t>{1, 0, 2, -1}));
}

TEST_F(ReadySplitTest, AnIdMayBeANumberInOneFileAndAStringInAnother) {
  const Dataset dataset = read("0\t7\n", "0\tx\n", "0\t8\n");
  EXPECT_FALSE(dataset.item_ids.numeric());
  EXPECT_EQ(dataset.item_ids.find("7"), 0);
  EXPECT_EQ(dataset.item_ids.find("x"), 1);
}

TEST_F(ReadySplitTest, TakesCandidates) {
  const Dataset dataset =
      read("0\t0\n1\t1\n", "0\t1\n", "0\t2\n", "0\t5\n0\t3\n0\t4\n0\t3\n1\t0\n");
  EXPECT_EQ(dataset.num_items(), 6);  // items that only occur as candidates count
  EXPECT_EQ(dataset.num_candidates, 3);
  EXPECT_EQ(dataset.candidates, (std::vector<int32_t>{3, 4, 5, 0, -1, -1}));
}

TEST_F(ReadySplitTest, TakesNcfsCandidates) {
  const Dataset dataset =
      read("0\t0\n1\t1\n", "0\t1\n", "0\t2\n1\t3\n", "(0,2)\t5\t3\t4\t\n(1, 3)\t0\n");
  EXPECT_EQ(dataset.candidates, (std::vector<int32_t>{3, 4, 5, 0, -1, -1}));
  expect_error([&] { read("0\t0\n", "0\t1\n", "0\t2\n", "(0,2)\t5\n0\t3\n"); },
               "candidates.tsv:2: does not begin with (user,item) and a tab");
  expect_error([&] { read("(0,2)\t5\n", "0\t1\n", "0\t2\n"); },
               "train.tsv:1: is a list of candidates, as NCF writes it; name the file with");
}

TEST_F(ReadySplitTest, TakesSeveralHeldOutItemsInAnyOrder) {
  const Dataset dataset = read("0\t0\n1\t1\n", "1\t5\n1\t3\n", "0\t4\n0\t2\n1\t2\n0\t3\n0\t4\n");
  EXPECT_EQ(dataset.valid.offsets, (std::vector<int64_t>{0, 0, 2}));
  EXPECT_EQ(dataset.valid.items, (std::vector<int32_t>{3, 5}));
  EXPECT_EQ(dataset.test.offsets, (std::vector<int64_t>{0, 3, 4}));
  EXPECT_EQ(dataset.test.items, (std::vector<int32_t>{2, 3, 4, 2}));
  validate(dataset, "split");
}

TEST_F(ReadySplitTest, NeedsNoValidation) {
  const ReadySplit files{
      folder_.write("train.tsv", "0\t0\n"), {}, folder_.write("test.tsv", "0\t1\n"), {}};
  const Dataset dataset = read_ready_split(files, ReadOptions());
  EXPECT_EQ(dataset.valid.offsets, (std::vector<int64_t>{0, 0}));
  EXPECT_EQ(dataset.test.items, (std::vector<int32_t>{1}));
  validate(dataset, "split");
}

TEST_F(ReadySplitTest, DropsDuplicatesWithinAFile) {
  EXPECT_EQ(read("0\t0\n0\t0\n", "0\t1\n0\t1\n", "0\t2\n").train.num_interactions(), 1);
}

TEST_F(ReadySplitTest, RejectsContradictions) {
  refused("7\t9\n5\t4\n", "5\t1\n7\t9\n", "7\t3\n",
          "valid.tsv:2: user \"7\" has the item \"9\" for training too; remove it "
          "from one of the files");
  refused("7\t9\n", "7\t1\n", "7\t9\n",
          "test.tsv:1: user \"7\" has the item \"9\" for training too; remove it from "
          "one of the files");
  refused("7\t9\n5\t4\n", "7\t1\n", "5\t1\n7\t1\n",
          "test.tsv:2: user \"7\" has the item \"1\" for validation too; remove it from one of the "
          "files");
  refused("7\t9\n", "7\t1\n", "7\t2\n7\t9\n", "test.tsv:2: user \"7\" has the item \"9\"");
}

TEST_F(ReadySplitTest, RejectsBadCandidates) {
  const auto refused = [&](const std::string& candidates, const std::string& part) {
    expect_error([&] { read("7\t0\n", "7\t1\n", "7\t2\n", candidates); }, part);
  };
  for (const std::string item : {"0", "1", "2"}) {  // one of each part
    refused("7\t3\n7\t" + item + "\n7\t4\n", "candidates.tsv:2: user \"7\" has the candidate \"" +
                                                 item +
                                                 "\", an item that it interacted with; remove it");
  }
  refused("7\t3\n8\t3\n9\t3\n",
          "candidates.tsv:2: user \"8\" is in none of the other files; remove its candidates");
}

TEST_F(ReadySplitTest, RejectsAUserWithoutItems) {
  ReadOptions adjacency;
  adjacency.format = Format::kAdjacency;
  const ReadySplit files{folder_.write("train.txt", "7 0\n"), folder_.write("valid.txt", "7 1\n"),
                         folder_.write("test.txt", "7 2\n"),
                         folder_.write("candidates.txt", "8\n")};
  expect_error([&] { read_ready_split(files, adjacency); },
               "candidates.txt: user \"8\" is in none of the other files");
}

}  // namespace
}  // namespace derrd::test::ready_split_test
