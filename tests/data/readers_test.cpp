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
                    Sample{Format::kTable, "0;10;5;99\n0;70;4;98\n1;10;3;97\n"},
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
  refused("what,when\ni1,1\n", options,
          "some.file:1: has no column \"who\"; choose --user-column among 1 \"what\", 2 \"when\"");
  options.header = Header::kNo;
  refused("what,who\n1,2\n", options, "the file has no header; give the column's number");
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

ReadOptions with_times(Format format) {
  ReadOptions options = as(format);
  options.times = true;
  return options;
}

/// The interactions as "user:item@time" in file order.
std::vector<std::string> timed(std::string_view text, const ReadOptions& options) {
  const Interactions read = parse_interactions(text, "some.file", options);
  std::vector<std::string> result = pairs(read);
  EXPECT_EQ(read.times.size(), result.size());
  for (size_t k = 0; k < read.times.size(); ++k) {
    result[k] += "@" + format_time(read.times[k], read.time_kind);
  }
  return result;
}

TEST(Times, AreReadOnlyIfAsked) {
  const std::string text = "u::a::5::978300760\nu::b::5::978302109.5\n";
  EXPECT_TRUE(parse_interactions(text, "f", as(Format::kMovielens)).times.empty());
  EXPECT_EQ(timed(text, with_times(Format::kMovielens)),
            (Pairs{"u:a@978300760", "u:b@978302109.5"}));
  EXPECT_EQ(timed("1,2,5,2015-01-31\n1,3,5,2015-02-01 00:30:00+0100\n", with_times(Format::kCsv)),
            (Pairs{"1:2@2015-01-31T00:00:00Z", "1:3@2015-01-31T23:30:00Z"}));
}

TEST(Times, OfARepeatedPairTheEarliestStays) {
  const ReadOptions options = with_times(Format::kTsv);
  const std::string text = "u\ta\t5\t9\nu\tb\t5\t8\nu\ta\t5\t7\nv\ta\t5\t1\nu\ta\t5\t7\n";
  EXPECT_EQ(timed(text, options), (Pairs{"u:b@8", "u:a@7", "v:a@1"}));
  const Interactions read = parse_interactions(text, "f", options);
  EXPECT_EQ(read.lines, (std::vector<int64_t>{2, 3, 4})) << "of two at 7 the first in the file";
  EXPECT_EQ(read.duplicates, 2);
}

TEST(Times, RefuseWhatIsNoTime) {
  const ReadOptions options = with_times(Format::kCsv);
  for (const std::string bad :
       {"01/02/2015", "\"09 13, 2009\"", "", "2015-02-30", "NULL", "1e30"}) {
    refused("1,2,5,2015-01-31\n1,3,5," + bad + "\n", options, "some.file:2: the time \"");
  }
  refused("1,2,5,01/02/2015\n", options,
          "some.file:1: the time \"01/02/2015\" in column 4 is neither a number, with at most 9 "
          "decimals, nor a date such as 2015-01-31 or 2015-01-31T13:45:10Z; correct it, choose "
          "--time-column, or skip such lines");
  refused(
      "1,2,5,2015\n1,3,5,2015-01-31\n", options,
      "some.file:2: the time \"2015-01-31\" in column 4 is a date, and those above are numbers");
  refused("1,2,5,2015-01-31\n1,3,5,2015\n", options, "is a number, and those above are dates");
  refused("1,2,5,9\n1,3,5\n", options, "some.file:2: has 3 columns, and the time");
}

TEST(Times, ABadTimeIsABadLine) {
  ReadOptions options = with_times(Format::kCsv);
  options.on_bad_line = OnBadLine::kSkip;
  EXPECT_EQ(timed("u,a,5,9\nv,b,5,x\nu,c,5,2015-01-31\nu,d,5,8\n", options),
            (Pairs{"u:a@9", "u:d@8"}));
  EXPECT_EQ(parse_interactions("u,a,5,9\nv,b,5,x\n", "f", options).user_ids.size(), 1)
      << "a line that is skipped numbers no ids";
}

TEST(Times, AreInTablesOnly) {
  for (const Format format : {Format::kCiteulike, Format::kAdjacency}) {
    refused("1 7\n", with_times(format),
            "has no times; split by `--split random`, or convert the file to a table");
  }
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

TEST(Csv, AQuotedCellMayGoOnBelow) {
  const ReadOptions options = as(Format::kCsv);
  const Interactions read =
      parse_interactions("u,\"so\r\n\"\"good\"\"\n\",i\r\nv,x,j\r\n", "f", [&] {
        ReadOptions chosen = options;
        chosen.item_column = "3";
        return chosen;
      }());
  EXPECT_EQ(pairs(read), (Pairs{"u:i", "v:j"}));
  EXPECT_EQ(read.lines, (std::vector<int64_t>{1, 4}));
  refused("a,b\n\"c\nd\",e\n", options, "some.file:2: has a line end within the user in column 1");
  refused("a,b\n\"c\nd,e\nf,g\n", options, "some.file:2: has a quote that is not closed");
}

TEST(Csv, AQuoteWithinACellIsText) {
  EXPECT_EQ(pairs("u\"1\",i 12\"\nu,5\"\n", as(Format::kCsv)), (Pairs{"u\"1\":i 12\"", "u:5\""}));
}

TEST(Tsv, UnderstandsQuotesAndTitlesWithQuotes) {
  const ReadOptions options = as(Format::kTsv);
  EXPECT_EQ(pairs("\"a\tb\"\t\"say \"\"hi\"\"\"\n", options), (Pairs{"a\tb:say \"hi\""}));
  EXPECT_EQ(pairs("u\ti\t\"so\ngood\"\t5\nv\tj\tx\t5\n", options), (Pairs{"u:i", "v:j"}));
  // Neither ends its cell as a quote should.
  EXPECT_EQ(pairs("u\t\"Al\" Yankovic\tx\nu\t\"Heat\t5\nv\ti\t\"Heat\nw\tj\tAlien\"\n", options),
            (Pairs{"u:\"Al\" Yankovic", "u:\"Heat", "v:i", "w:j"}));
}

TEST(Ids, AreUtf8) {
  const std::string cure = " is not UTF-8; convert the file, such as by iconv -f latin1 -t utf-8";
  refused("u,\xC3\xA9\nu,caf\xE9\n", as(Format::kCsv),
          "some.file:2: the item \"caf\\ufffd\" in column 2" + cure);
  refused("caf\xE9\ti\n", as(Format::kTsv), "some.file:1: the user");
  refused("1 caf\xE9\n", as(Format::kCiteulike), cure);
  refused("1 2 caf\xE9\n", as(Format::kAdjacency), "in column 3" + cure);
  for (const std::string bad : {"\x80", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80",
                                "\xF4\x90\x80\x80", "\xF5", "\xE2\x82"}) {
    refused("u\t" + bad + "\n", as(Format::kTsv), cure);
  }
  for (const std::string good : {"\xC2\x80", "\xE2\x82\xAC", "\xF4\x8F\xBF\xBF", "\xED\x9F\xBF"}) {
    EXPECT_EQ(pairs("u\t" + good + "\n", as(Format::kTsv)), (Pairs{"u:" + good}));
  }
  // Other columns may be anything.
  EXPECT_EQ(pairs("u\ti\tcaf\xE9\n", as(Format::kTsv)), (Pairs{"u:i"}));
}

TEST(BadLines, AreSkippedCountedAndNamed) {
  ReadOptions options = as(Format::kTsv);
  std::string remarks;
  options.remark = [&](std::string_view line) { remarks += std::string(line) + "\n"; };
  options.on_bad_line = OnBadLine::kSkip;
  const Interactions read =
      parse_interactions("1\t2\nx\n1\t\n1\t\xE9\n1\t\xE9\n1\t3\r4\n1\t5\n", "f", options);
  EXPECT_EQ(pairs(read), (Pairs{"1:2", "1:5"}));
  expect_contains(remarks, {"f: skipped 5 bad lines", "f:2: has 1 column", "f:3: has an empty item",
                            "f:4: the item"});
  EXPECT_FALSE(contains(remarks, "f:5:"));

  options.format = Format::kCsv;
  EXPECT_EQ(pairs("1,2\n\"1,3\n1,4\n", options), (Pairs{"1:2", "1:4"}))
      << "an open quote costs its own line only";
  options.format = Format::kCiteulike;
  EXPECT_EQ(pairs("1 7\n3 8\n1 9\n", options), (Pairs{"0:7", "2:9"}));
  options.format = Format::kAdjacency;
  EXPECT_EQ(pairs("a 7\nb \xE9\nc 9\n", options), (Pairs{"a:7", "c:9"}));
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
  refused("user_id:token\tthing:token\n1\t2\n", options, "names no item column");
  options.item_column = "thing";
  EXPECT_EQ(pairs("user_id:token\tthing:token\n1\t2\n", options), (Pairs{"1:2"}));
  options.min_rating = 2;
  refused("user_id:token\tthing:token\n1\t2\n", options, "names no rating column");
}

TEST(Guess, GoesByTheEndingWhereTheContentsDoNotTell) {
  EXPECT_EQ(guess_format("", "a.inter"), Format::kInter);
  EXPECT_EQ(guess_format("", "a.tsv"), Format::kTsv);
  EXPECT_EQ(guess_format("x\n", "a.csv"), Format::kCsv);
  EXPECT_EQ(guess_format("a\tb\n", "a.csv"), Format::kTsv);
  EXPECT_EQ(guess_format("a;b\n", "a.csv"), Format::kTable);
}

TEST(Guess, OfListsIsSaid) {
  ReadOptions options;
  std::string remarks;
  options.remark = [&](std::string_view line) { remarks += std::string(line) + "\n"; };
  const auto remarks_of = [&](std::string_view text) {
    remarks.clear();
    parse_interactions(text, "f", options);
    return remarks;
  };
  EXPECT_EQ(remarks_of("2 10 70\n1 7\n"),
            "f: each line is taken for a user's number of items and the items, as in format "
            "citeulike; if not, name the --format\n");
  EXPECT_TRUE(contains(remarks_of("1 2 3\n2 2 3 4 5\n3 4\n"), "as in format adjacency"));
  options.format = Format::kAdjacency;
  EXPECT_EQ(remarks_of("1 2 3\n2 2 3 4 5\n3 4\n"), "") << "named, not guessed";

  const TestFolder folder;
  options.format = Format::kAuto;
  read_candidates(folder.write("n", "(0,5)\t7\t8\n"), options);
  EXPECT_TRUE(contains(remarks, "n: each line is taken for (user,item) and the user's candidates"));
}

TEST(Guess, GoesByWhatMostLinesSay) {
  const auto guess = [](std::string_view text) { return guess_format(text, "f"); };
  EXPECT_EQ(guess("8\n48\n1\t2\t9\n1\t3\t9\n2\t2\t9\n"), Format::kTsv);
  EXPECT_EQ(guess("urn::a\turn::b\nurn::a\turn::c\n"), Format::kTsv);
  EXPECT_EQ(guess("Doe, J\tbook\nRoe, J\tbook\n"), Format::kTsv);
  EXPECT_EQ(guess("1\t2\ta|b\n1\t3\tc|d\n"), Format::kTsv);
  EXPECT_EQ(guess("1::2::a|b::9\n1::3::c::9\n"), Format::kMovielens);
  EXPECT_EQ(guess("1;2;3,5\n1;3;4,0\n"), Format::kTable) << "the first of two in the lines";
  EXPECT_EQ(guess("1,2,a;b\n1,3,c;d\n"), Format::kCsv);
  EXPECT_EQ(guess("\"a;b\",c,5\n\"d\",e,4\n"), Format::kCsv);
  EXPECT_EQ(guess("1|2|3\n1|3|4\n"), Format::kTable);
  EXPECT_EQ(guess("1 2 3\n1 3 4\n1 4 5\n2 3 4\n"), Format::kTable) << "users come again";
  EXPECT_EQ(guess("7 2\n7 3\n8 3\n"), Format::kTable) << "pairs";
  EXPECT_EQ(guess("user item stars\na x 5\n"), Format::kTable) << "a header";
  EXPECT_EQ(guess("1 2 3\n2 2 3 4 5\n3 4\n"), Format::kAdjacency);
}

TEST(Guess, LeavesTheUserADoubtfulCase) {
  const auto doubtful = [](std::string_view text, std::string_view part) {
    expect_error([&] { guess_format(text, "f"); }, part);
  };
  doubtful("1 5\n1 7\n", "f: the format can't be told");
  doubtful("1 2 3\n2 3 4\n3 4 5\n", "name it with --format: table");
  doubtful("a\nb\nc\n", "f: the format can't be told");
  doubtful("1\t2\n2\t2\t3\t4\n3\t2\t1\n", "f:1: has tabs, but the lines differ");
  doubtful("\n \n", "f: is empty");
}

TEST(Guess, RefusesByNameWhatIsNoTable) {
  refused("1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n", ReadOptions(),
          "some.file:1: is the head of an item's block, as in Netflix's files");
  refused("{\"user\": 1, \"item\": 2}\n", ReadOptions(), "some.file:1: is JSON; convert");
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
