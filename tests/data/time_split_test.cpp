// Splits with a holdout of any size, of the last interactions, and at moments.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/readers.h"
#include "data/split.h"
#include "tests/files.h"

namespace derrd::test::time_split_test {
namespace {

/// Interactions from rows `user,item,5,time`.
Interactions parse(std::string_view rows) {
  ReadOptions options;
  options.format = Format::kCsv;
  options.times = true;
  return parse_interactions(rows, "f", options);
}

/// A user with items 0..n-1.
Interactions one_user(int64_t n) {
  Interactions result;
  for (int64_t i = 0; i < n; ++i) {
    result.users.push_back(0);
    result.items.push_back(static_cast<int32_t>(i));
  }
  result.user_ids = IdTable::identity(1);
  result.item_ids = IdTable::identity(n);
  return result;
}

/// Rows as text: "u:a b v:c".
std::string text(const Dataset& dataset, const InteractionRows& rows) {
  std::string result;
  for (int64_t u = 0; u < rows.num_rows(); ++u) {
    if (rows.row(u).empty()) continue;
    result += (result.empty() ? "" : " ") + dataset.user_ids.text(u) + ":";
    std::vector<std::string> items;
    for (const int32_t i : rows.row(u)) items.push_back(dataset.item_ids.text(i));
    std::ranges::sort(items);
    for (const std::string& item : items) result += item;
  }
  return result;
}

/// The parts as text, with bars between.
std::string parts(const Dataset& dataset) {
  validate(dataset, "split");
  return text(dataset, dataset.train) + " | " + text(dataset, dataset.valid) + " | " +
         text(dataset, dataset.test);
}

Holdout holdout(std::string_view words) { return parse_holdout(words).value(); }
PartStart start(std::string_view words) { return parse_part_start(words).value(); }
TimeSplit at(std::string_view valid, std::string_view test, std::string_view rows) {
  return split_by_time(parse(rows), start(valid), start(test));
}

TEST(Holdout, IsANumberOrAShare) {
  EXPECT_EQ(std::get<int64_t>(holdout("1")), 1);
  EXPECT_EQ(std::get<int64_t>(holdout("250")), 250);
  EXPECT_EQ(std::get<Share>(holdout("0.25")).billionths, 250000000);
  EXPECT_EQ(std::get<Share>(holdout("1e-9")).billionths, 1);
  for (const char* words : {"", "0", "-1", "1.5", "-0.5", "x", "2015-01-31", "0.0", "10%"}) {
    EXPECT_FALSE(parse_holdout(words)) << words;
  }
}

TEST(Holdout, SharesAreRoundedToTheNearestHalvesUp) {
  const auto of = [](std::string_view share, int64_t n) {
    return std::get<Share>(holdout(share)).of(n);
  };
  EXPECT_EQ(of("0.1", 4), 0);
  EXPECT_EQ(of("0.1", 5), 1);
  EXPECT_EQ(of("0.1", 14), 1);
  EXPECT_EQ(of("0.1", 15), 2);
  EXPECT_EQ(of("0.145", 100), 15) << "as a double 0.145 * 100 is below 14.5";
  EXPECT_EQ(of("0.999999999", 1), 1);
  EXPECT_EQ(of("0.000000001", 499999999), 0);
  EXPECT_EQ(of("0.000000001", 500000000), 1);
  EXPECT_EQ(of("0.5", int64_t{1} << 62), int64_t{1} << 61);
}

TEST(Holdout, LeavesOneForTrainingAndServesTheTestFirst) {
  struct Case {
    const char* holdout;
    int64_t n, valid, test;
  };
  for (const auto& [words, n, valid, test] :
       {Case{"1", 1, 0, 0}, Case{"1", 2, 0, 1}, Case{"1", 3, 1, 1}, Case{"2", 1, 0, 0},
        Case{"2", 2, 0, 1}, Case{"2", 3, 0, 2}, Case{"2", 4, 1, 2}, Case{"2", 5, 2, 2},
        Case{"2", 9, 2, 2}, Case{"9000000000000000000", 5, 0, 4}, Case{"0.25", 1, 0, 0},
        Case{"0.25", 2, 0, 1}, Case{"0.25", 5, 1, 1}, Case{"0.25", 6, 2, 2}, Case{"0.9", 10, 0, 9},
        Case{"0.6", 10, 3, 6}}) {
    Interactions all = one_user(n);
    const Dataset random = split_random(all, holdout(words), 3);
    all.times.resize(n);
    const Dataset last = split_last(all, holdout(words));
    for (const Dataset* dataset : {&random, &last}) {
      validate(*dataset, "split");
      EXPECT_EQ(dataset->test.num_interactions(), test) << words << " of " << n;
      EXPECT_EQ(dataset->valid.num_interactions(), valid) << words << " of " << n;
      EXPECT_EQ(dataset->train.num_interactions(), n - test - valid) << words << " of " << n;
    }
  }
}

TEST(SplitRandom, HoldsOutEverySetEquallyOften) {
  const Interactions all = one_user(4);
  std::vector<int> tests(16);
  for (uint64_t seed = 0; seed < 6000; ++seed) {
    const Dataset dataset = split_random(all, int64_t{2}, seed);
    int set = 0;
    for (const int32_t item : dataset.test.row(0)) set += 1 << item;
    ++tests[set];
  }
  int pairs = 0;
  for (const int count : tests) {
    if (count == 0) continue;
    ++pairs;
    EXPECT_NEAR(count, 1000, 150);  // five standard deviations
  }
  EXPECT_EQ(pairs, 6);
}

TEST(SplitLast, HoldsOutTheLatest) {
  const Interactions all = parse("u,a,5,4\nu,b,5,1\nv,a,5,9\nu,c,5,3\nu,d,5,2\nv,c,5,8\nw,d,5,7\n");
  EXPECT_EQ(parts(split_last(all, int64_t{1})), "u:bd v:c w:d | u:c | u:a v:a");
  EXPECT_EQ(parts(split_last(all, int64_t{2})), "u:b v:c w:d | u:d | u:ac v:a");
  EXPECT_EQ(parts(split_last(all, holdout("0.5"))), "u:b v:c w:d | u:d | u:ac v:a");
}

TEST(ItemsWithoutTraining, CountsEachOnce) {
  const Interactions all = parse("u,a,5,4\nu,b,5,1\nv,a,5,9\nu,c,5,3\nu,d,5,2\nv,c,5,8\nw,d,5,7\n");
  EXPECT_EQ(items_without_training(split_last(all, int64_t{1})), 1) << "a of u and v";
}

TEST(SplitLast, OfEqualTimesTheOneLaterInTheFileIsLater) {
  EXPECT_EQ(parts(split_last(parse("u,d,5,1\nu,c,5,1\nu,b,5,1\nu,a,5,1\n"), int64_t{1})),
            "u:cd | u:b | u:a");
  EXPECT_EQ(parts(split_last(parse("u,a,5,1\nu,b,5,2\nu,c,5,1\nu,d,5,2\n"), int64_t{1})),
            "u:ac | u:b | u:d");
}

TEST(SplitLast, ComparesTimesExactlyAndDatesByTheirMoment) {
  EXPECT_EQ(parts(split_last(parse("u,a,5,1700000000000000002\nu,b,5,1700000000000000001\n"),
                             int64_t{1})),
            "u:b |  | u:a");
  EXPECT_EQ(parts(split_last(parse("u,a,5,2015-01-31T12:00:00+05:00\nu,b,5,2015-01-31T09:00:00Z\n"
                                   "u,c,5,2015-01-31T00:30:00-08:00\n"),
                             int64_t{1})),
            "u:a | u:c | u:b");
}

// Ten interactions of three users; w begins late.
constexpr const char* kTen =
    "u,a,5,10\nv,b,5,20\nu,b,5,30\nv,c,5,40\nu,c,5,50\nv,a,5,60\nu,d,5,70\nw,e,5,80\n"
    "v,f,5,90\nw,a,5,100\n";

TEST(SplitByTime, DividesAtMoments) {
  const TimeSplit split = at("65", "85", kTen);
  EXPECT_EQ(parts(split.dataset), "u:abc v:abc | u:d | v:f");
  EXPECT_EQ(split.valid_start, (Time{65, 0}));
  EXPECT_EQ(split.test_start, (Time{85, 0}));
  EXPECT_EQ(split.dropped_users, 1);
  EXPECT_EQ(split.dropped_valid, 1);
  EXPECT_EQ(split.dropped_test, 1);
  EXPECT_FALSE(split.dataset.item_ids.find("e")) << "w alone has e";
  EXPECT_EQ(items_without_training(split.dataset), 2) << "d and f";
  EXPECT_EQ(parts(at("70", "90", kTen).dataset), parts(split.dataset)) << "at the moment is after";
}

TEST(SplitByTime, DividesByShares) {
  EXPECT_EQ(parts(at("0.2", "0.2", kTen).dataset), "u:abc v:abc | u:d | v:f");
  EXPECT_EQ(at("0.2", "0.2", kTen).test_start, (Time{90, 0}));
  EXPECT_EQ(parts(at("0.3", "85", kTen).dataset), "u:abc v:bc | u:d v:a | v:f");
  EXPECT_EQ(parts(at("65", "0.3", kTen).dataset), "u:abc v:abc | u:d | v:f") << "w has e";
  EXPECT_EQ(parts(at("0.01", "0.2", kTen).dataset), "u:abcd v:abc w:e |  | v:f w:a");
  const TimeSplit none = at("0.01", "85", kTen);
  EXPECT_EQ(none.valid_start, none.test_start);
}

TEST(SplitByTime, NeverDividesEqualTimes) {
  const std::string ties =
      "u,a,5,1\nv,a,5,1\nu,b,5,2\nv,b,5,2\nu,c,5,2\nv,c,5,2\nu,d,5,3\nv,d,5,3\nu,e,5,3\nv,e,5,3\n";
  EXPECT_EQ(parts(at("0.1", "0.1", ties).dataset), "u:a v:a | u:bc v:bc | u:de v:de");
  expect_error([&] { at("0.5", "0.1", ties); }, "none of the 10 interactions is left for training");
}

TEST(SplitByTime, DoesNotLeak) {
  std::string rows;
  for (int k = 0; k < 400; ++k) {
    rows += "u" + std::to_string(k * 7 % 20) + ",i" + std::to_string(k * 13 % 50) + ",5," +
            std::to_string(k * k % 97) + "\n";
  }
  const Interactions all = parse(rows);
  const TimeSplit split = split_by_time(all, start("0.15"), start("0.2"));
  const Dataset& dataset = split.dataset;
  validate(dataset, "split");
  int64_t seen = 0;
  for (int64_t k = 0; k < all.size(); ++k) {
    const auto u = dataset.user_ids.find(all.user_ids.text(all.users[k]));
    const auto i = dataset.item_ids.find(all.item_ids.text(all.items[k]));
    if (!u) continue;
    ++seen;
    const Time time = all.times[k];
    const auto& part = time < split.valid_start  ? dataset.train
                       : time < split.test_start ? dataset.valid
                                                 : dataset.test;
    EXPECT_TRUE(i && part.contains(*u, *i)) << k;
  }
  EXPECT_EQ(seen, statistics(dataset).interactions);
  EXPECT_EQ(seen + split.dropped_valid + split.dropped_test, all.size());
}

TEST(SplitByTime, TakesDates) {
  const std::string rows =
      "u,a,5,2015-01-30\nu,b,5,2015-01-31T00:00:00+01:00\nu,c,5,2015-01-31\nu,d,5,2015-02-01\n";
  EXPECT_EQ(parts(at("2015-01-31", "2015/02/01", rows).dataset), "u:ab | u:c | u:d");
  EXPECT_EQ(parts(at("2015-01-30T23:00Z", "0.25", rows).dataset), "u:a | u:bc | u:d");
}

TEST(SplitByTime, RefusesMomentsOfAnotherKind) {
  expect_error([] { at("0.1", "2015-01-31", kTen); },
               "--time-test is a date, and the file's times are numbers, such as 10; give a number "
               "in the same unit, or a share");
  expect_error([] { at("2015-01-31", "0.1", kTen); }, "--time-valid is a date");
  expect_error([] { at("0.1", "5", "u,a,5,2015-01-31\nu,b,5,2015-02-01\n"); },
               "--time-test is a number, and the file's times are dates, such as "
               "2015-01-31T00:00:00Z; give a date or a share");
}

TEST(SplitByTime, RefusesEmptyParts) {
  expect_error([] { at("0.1", "101", kTen); },
               "none of the 10 interactions is in the test, which begins at 101; the times go from "
               "10 to 100; choose an earlier --time-test");
  expect_error([] { at("0.1", "0.01", kTen); },
               "this share of 10 interactions is none; choose a larger --time-test");
  for (const auto& [valid, test] : {std::pair("5", "50"), std::pair("10", "50"),
                                    std::pair("0.1", "10"), std::pair("0.9", "0.9")}) {
    expect_error([&] { at(valid, test, kTen); },
                 "none of the 10 interactions is left for training");
  }
  expect_error([] { at("85", "85", kTen); },
               "--time-valid 85 is not before the test, which begins at 85; choose an earlier one");
  expect_error([] { at("95", "0.2", kTen); }, "which begins at 90");
  expect_error([] { at("70", "95", kTen); },
               "none of the 1 test interactions, from 95 on, is of a user with training");
}

TEST(PartStart, IsAShareOrATime) {
  EXPECT_EQ(std::get<Share>(start("0.1")).billionths, 100000000);
  EXPECT_EQ(std::get<WrittenTime>(start("1")).time, (Time{1, 0}));
  EXPECT_EQ(std::get<WrittenTime>(start("0")).time, (Time{0, 0}));
  EXPECT_EQ(std::get<WrittenTime>(start("-0.5")).time, (Time{-1, 500000000}));
  EXPECT_EQ(std::get<WrittenTime>(start("1970-01-01T00:00:00.5")).kind, TimeKind::kDate);
  EXPECT_FALSE(parse_part_start("31/01/2015"));
}

}  // namespace
}  // namespace derrd::test::time_split_test
