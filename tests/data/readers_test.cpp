#include "data/readers.h"

#include <gtest/gtest.h>

#include "tests/files.h"

namespace derrd::test::readers_test {
namespace {

ReadOptions as(Format format) {
  ReadOptions options;
  options.format = format;
  return options;
}

/// The interactions as "user:item" in file order.
std::vector<std::string> pairs(const Interactions& interactions) {
  std::vector<std::string> result;
  for (int64_t k = 0; k < interactions.size(); ++k) {
    result.push_back(interactions.user_ids.text(interactions.users[k]) + ":" +
                     interactions.item_ids.text(interactions.items[k]));
  }
  return result;
}

std::vector<std::string> pairs(std::string_view text, const ReadOptions& options) {
  return pairs(parse_interactions(text, "some.file", options));
}

void refused(std::string_view text, const ReadOptions& options, std::string_view part) {
  expect_error([&] { parse_interactions(text, "some.file", options); }, part);
}

using Pairs = std::vector<std::string>;

// Properties of all formats: each sample has the same three interactions of users 0 and 1.
struct Sample {
  Format format;
  std::string text;  // with \n and a last newline
};

class EveryFormat : public testing::TestWithParam<Sample> {
 protected:
  const Pairs expected_{"0:10", "0:70", "1:10"};
  const ReadOptions options_ = as(GetParam().format);

  static std::string replaced(std::string text, char from, std::string_view to) {
    std::string result;
    for (char c : text) c == from ? result += to : result += c;
    return result;
  }
};

TEST_P(EveryFormat, ReadsItsInteractions) {
  const Interactions read = parse_interactions(GetParam().text, "some.file", options_);
  EXPECT_EQ(pairs(read), expected_);
  EXPECT_TRUE(read.user_ids.numeric());
  EXPECT_TRUE(read.item_ids.numeric());
  EXPECT_EQ(read.duplicates, 0);
  EXPECT_EQ(read.format, format_name(GetParam().format));
}

TEST_P(EveryFormat, IsGuessedFromItsContents) {
  EXPECT_EQ(guess_format(GetParam().text, "data"), GetParam().format);
  EXPECT_EQ(pairs(GetParam().text, ReadOptions()), expected_);
}

TEST_P(EveryFormat, TakesWindowsLineEnds) {
  EXPECT_EQ(pairs(replaced(GetParam().text, '\n', "\r\n"), options_), expected_);
}

TEST_P(EveryFormat, TakesAMissingLastNewline) {
  std::string text = GetParam().text;
  text.pop_back();
  EXPECT_EQ(pairs(text, options_), expected_);
}

TEST_P(EveryFormat, TakesAByteOrderMark) {
  EXPECT_EQ(pairs("\xEF\xBB\xBF" + GetParam().text, options_), expected_);
}

TEST_P(EveryFormat, TakesEmptyLinesExceptWhereTheyCount) {
  const std::string text = replaced(GetParam().text, '\n', "\n \t\n\n");
  if (GetParam().format == Format::kCiteulike) {
    refused(text, options_, "some.file:2: is empty; write 0 for a user without items");
  } else {
    EXPECT_EQ(pairs(text, options_), expected_);
  }
}

TEST_P(EveryFormat, DropsAndCountsDuplicates) {
  std::string text = GetParam().text;
  if (GetParam().format == Format::kCiteulike) {
    text = "3 10 70 10\n1 10\n";
  } else {
    text += text.substr(text.rfind('\n', text.size() - 2) + 1);
  }
  const Interactions read = parse_interactions(text, "some.file", options_);
  EXPECT_EQ(pairs(read), expected_);
  EXPECT_EQ(read.duplicates, 1);
}

TEST_P(EveryFormat, KeepsIdsBeyond32BitsAsNumbersAndBeyond64AsStrings) {
  const Interactions big =
      parse_interactions(replaced(GetParam().text, '7', "300000000"), "some.file", options_);
  EXPECT_EQ(pairs(big), (Pairs{"0:10", "0:3000000000", "1:10"}));
  EXPECT_TRUE(big.item_ids.numeric());
  const Interactions huge = parse_interactions(
      replaced(GetParam().text, '7', "30000000000000000000"), "some.file", options_);
  EXPECT_EQ(pairs(huge), (Pairs{"0:10", "0:300000000000000000000", "1:10"}));
  EXPECT_FALSE(huge.item_ids.numeric());
}

TEST_P(EveryFormat, KeepsStringsAndLeadingZeros) {
  const Interactions words =
      parse_interactions(replaced(GetParam().text, '7', "x\xC3\xA4"), "some.file", options_);
  EXPECT_EQ(pairs(words), (Pairs{"0:10",
                                 "0:x\xC3\xA4"
                                 "0",
                                 "1:10"}));
  EXPECT_EQ(pairs(replaced(GetParam().text, '7', "01"), options_),
            (Pairs{"0:10", "0:010", "1:10"}));
}

TEST_P(EveryFormat, RejectsWhatIsNoText) {
  refused(GetParam().text + std::string(1, '\0'), options_, "some.file: is not plain text");
  refused(
      "\xFF\xFE"
      "1",
      options_, "convert it from UTF-16 to UTF-8");
  refused(replaced(GetParam().text, '\n', "\r"), options_, "some.file:1: has a carriage return");
}

INSTANTIATE_TEST_SUITE_P(
    Formats, EveryFormat,
    testing::Values(Sample{Format::kCiteulike, "2 10 70\n1 10\n"},
                    Sample{Format::kAdjacency, "0 10 70\n1 10\n"},
                    Sample{Format::kTsv, "0\t10\n0\t70\n1\t10\n"},
                    Sample{Format::kCsv, "0,10,5,99\n0,70,4,98\n1,10,3,97\n"},
                    Sample{Format::kInter,
                           "user_id:token\titem_id:token\trating:float\n"
                           "0\t10\t5\n0\t70\t4\n1\t10\t3\n"},
                    Sample{Format::kMovielens, "0::10::5::99\n0::70::4::98\n1::10::3::97\n"}),
    [](const auto& sample) { return std::string(format_name(sample.param.format)); });

TEST(Citeulike, AUserWithoutItemsKeepsItsNumber) {
  const Interactions read = parse_interactions("1 7\n0\n2 7 8\n", "f", as(Format::kCiteulike));
  EXPECT_EQ(read.user_ids.size(), 3);
  EXPECT_EQ(pairs(read), (Pairs{"0:7", "2:7", "2:8"}));
}

TEST(Citeulike, RejectsWrongCounts) {
  const ReadOptions options = as(Format::kCiteulike);
  refused("1 7\n3 7 8\n", options, "some.file:2: announces 3 items and has 2");
  refused("1 7 8\n", options, "some.file:1: announces 1 items and has 2");
  refused("x 7\n", options, "some.file:1: begins with \"x\" instead of the number");
  refused("-1 7\n", options, "some.file:1: begins with \"-1\"");
  refused("18446744073709551616 7\n", options, "some.file:1: begins with");
  refused("18446744073709551615 7\n", options, "announces 18446744073709551615");
}

TEST(Citeulike, HasNoColumns) {
  ReadOptions options = as(Format::kCiteulike);
  options.user_column = "2";
  refused("1 7\n", options, "leave these options out");
  options = as(Format::kAdjacency);
  options.min_rating = 3;
  refused("1 7\n", options, "leave these options out");
}

TEST(Adjacency, AUserMayHaveNoItemsOrSeveralLines) {
  const Interactions read = parse_interactions("b 1 2\na\nb 3 \n", "f", as(Format::kAdjacency));
  EXPECT_EQ(read.user_ids.size(), 2);
  EXPECT_EQ(read.user_ids.text(1), "a");
  EXPECT_EQ(pairs(read), (Pairs{"b:1", "b:2", "b:3"}));
}

TEST(Tables, ChooseColumnsByNumber) {
  ReadOptions options = as(Format::kTsv);
  options.user_column = "3";
  options.item_column = "1";
  EXPECT_EQ(pairs("i1\tx\tu1\ni2\tx\tu1\n", options), (Pairs{"u1:i1", "u1:i2"}));
  options.item_column = "4";
  refused("i1\tx\tu1\n", options, "some.file:1: has 3 columns, and the item should be in column 4");
  options.item_column = "0";
  refused("i1\tx\tu1\n", options, "--item-column: columns are counted from 1");
}

TEST(Tables, ChooseColumnsByName) {
  ReadOptions options = as(Format::kCsv);
  options.user_column = "who";
  options.item_column = "what";
  const Interactions read = parse_interactions("what,when,who\ni1,1,u1\ni2,2,u2\n", "f", options);
  EXPECT_EQ(pairs(read), (Pairs{"u1:i1", "u2:i2"}));
  EXPECT_TRUE(read.skipped_header);
  refused("what,when\ni1,1\n", options,
          "some.file:1: has no column \"who\"; choose --user-column among \"what\", \"when\"");
  options.header = Header::kNo;
  refused("what,who\n1,2\n", options, "the file has no header; give the column's number");
}

TEST(Tables, DetectAHeader) {
  const auto skipped = [](std::string_view text) {
    return parse_interactions(text, "f", as(Format::kTsv)).skipped_header;
  };
  EXPECT_TRUE(skipped("user_id\titem_id\na\tb\n"));
  EXPECT_TRUE(skipped("UserID\twhatever\na\tb\n"));
  EXPECT_TRUE(skipped("who\twhat\n1\t2\n"));
  EXPECT_TRUE(skipped("who\twhat\tstars\na\tb\t5\n"));
  EXPECT_FALSE(skipped("a\tb\nc\td\n"));
  EXPECT_FALSE(skipped("a\t1\n2\t3\n"));
  EXPECT_FALSE(skipped("1\t2\n3\t4\n"));
  EXPECT_FALSE(skipped("ann\tbook\n"));

  ReadOptions options = as(Format::kTsv);
  options.header = Header::kYes;
  EXPECT_EQ(pairs("1\t2\n3\t4\n", options), (Pairs{"3:4"}));
  options.header = Header::kNo;
  EXPECT_EQ(pairs("user\titem\n3\t4\n", options), (Pairs{"user:item", "3:4"}));
}

TEST(Tables, DropLowRatings) {
  ReadOptions options = as(Format::kMovielens);
  options.min_rating = 3.5;
  const Interactions read =
      parse_interactions("1::2::3.5::9\n1::3::3::9\n2::2::1e1::9\n3::9::-1::9\n", "f", options);
  EXPECT_EQ(pairs(read), (Pairs{"1:2", "2:2"}));
  EXPECT_EQ(read.below_rating, 2);
  EXPECT_EQ(read.user_ids.size(), 2);  // user 3 has nothing that counts
  refused("1::2::x::9\n", options, "some.file:1: the rating \"x\" in column 3 is not a number");
  refused("1::2::nan::9\n", options, "is not a number");
  refused("1::2\n", options, "some.file:1: has 2 columns, and the rating should be in column 3");
}

TEST(Tables, RejectEmptyIdsAndMissingColumns) {
  refused("1\t2\n\t2\n", as(Format::kTsv), "some.file:2: has an empty user in column 1");
  refused("1\t2\n1\t \t3\n", as(Format::kTsv), "some.file:2: has an empty item in column 2");
  refused("1\t2\n1 2\n", as(Format::kTsv), "some.file:2: has 1 column, and the item");
}

TEST(Csv, UnderstandsQuotes) {
  const ReadOptions options = as(Format::kCsv);
  EXPECT_EQ(pairs("\"a, b\",\"say \"\"hi\"\"\",5\n x , \"y\" ,1\n\"\"\"\",z\n", options),
            (Pairs{"a, b:say \"hi\"", "x:y", "\":z"}));
  // An id with quotes is the id without them.
  EXPECT_EQ(parse_interactions("a,\"b\"\na,b\n", "f", options).duplicates, 1);
  EXPECT_EQ(pairs("\" a \",\"b \"\n", options), (Pairs{"a:b"}))
      << "as other files of ids drop them";
  refused("a,b\n\"a,b\n", options, "some.file:2: has a quote that is not closed");
  refused("\"a\"b,c\n", options, "some.file:1: has text behind a closing quote");
  refused("\"\",c\n", options, "empty user");
}

TEST(Csv, ATrailingCommaIsAnEmptyCell) {
  refused("a,b\nc,\n", as(Format::kCsv), "some.file:2: has an empty item");
  EXPECT_EQ(pairs("a,b,\n", as(Format::kCsv)), (Pairs{"a:b"}));
}

TEST(Inter, FindsItsColumnsByTheirNames) {
  ReadOptions options = as(Format::kInter);
  EXPECT_EQ(pairs("timestamp:float\titem_id:token\tuser_id:token\n9\t1\tann\n", options),
            (Pairs{"ann:1"}));
  refused("1\t2\n", options, "some.file:1: is not a RecBole header");
  refused("user_id:token\tthing:token\n1\t2\n", options, "has no column \"item_id\"");
  options.item_column = "thing";
  EXPECT_EQ(pairs("user_id:token\tthing:token\n1\t2\n", options), (Pairs{"1:2"}));
  options.min_rating = 2;
  refused("user_id:token\tthing:token\n1\t2\n", options, "has no column \"rating\"");
}

TEST(Guess, GoesByTheEndingFirst) {
  EXPECT_EQ(guess_format("", "a.inter"), Format::kInter);
  EXPECT_EQ(guess_format("", "a.tsv"), Format::kTsv);
  EXPECT_EQ(guess_format("", "a.csv"), Format::kCsv);
}

TEST(Guess, LeavesTheUserADoubtfulCase) {
  expect_error([] { guess_format("1 5\n1 7\n", "f"); }, "f: the format can't be told");
  expect_error([] { guess_format("\n \n", "f"); }, "f: is empty");
}

TEST(Guess, AMistakeInOneLineDoesNotMakeItAnotherFormat) {
  refused("2 10 70\n1 7\n3 10 20\n0\n", ReadOptions(), "some.file:3: announces 3");
}

TEST(Formats, HaveNames) {
  EXPECT_EQ(format_from_name("movielens"), Format::kMovielens);
  expect_error([] { format_from_name("xml"); }, "citeulike, adjacency, tsv");
}

TEST(Readers, NameTheFileAndTheLine) {
  const TestFolder folder;
  const auto path = folder.write("users.dat", "1 5\n2 5\n");
  expect_error([&] { read_interactions(path, as(Format::kCiteulike)); }, path + ":2: ");
  expect_error([&] { read_interactions(folder / "none", {}); }, "there is no such file");
}

}  // namespace
}  // namespace derrd::test::readers_test
