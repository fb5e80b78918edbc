// The verdicts on the paper's claims, over splits and over the users of one.

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "apps/report/group_gains.h"
#include "tests/apps/report/made_up_runs.h"

namespace derrd::test::claims_test {
namespace {

class Claims : public MadeUpRuns {};

TEST_F(Claims, ClaimsAreDecidedByATestOverSplits) {
  const std::vector<std::vector<double>> hits = {{.40, .41, .42}, {.44, .40, .44},
                                                 {.44, .40, .44}, {.50, .511, .522},
                                                 {.3, .30, .301}, {.39, .43, .41}};
  for (size_t m = 0; m < methods_.size(); ++m) {
    for (const int split : study_.splits) finish({methods_[m]}, split, hits[m][split]);
  }
  for (const int split : study_.splits) finish({"teacher"}, split, .6);
  const ReportTable table = tables_of("claims")[0];
  const auto verdict = [&](const char* id) { return row_of(table, id).figures.rbegin()[1].text; };
  const ReportRow& de = row_of(table, "de-0.1-above-student-0.1");
  EXPECT_NEAR(de.figures[0].values[0], .101, 1e-9);
  // Differences of .10, .101 and .102: standard error .001 / sqrt(3).
  EXPECT_NEAR(de.figures[1].values[0], .101 * std::sqrt(3) / .001, 1e-6);
  EXPECT_LT(de.figures[2].values[0], .0001);
  EXPECT_EQ(verdict("de-0.1-above-student-0.1"), "holds");
  EXPECT_EQ(verdict("rrd-0.1-above-student-0.1"), "does not hold");
  EXPECT_EQ(verdict("de-rrd-above-competitors"), "undecided");
  EXPECT_EQ(verdict("de-rrd-1-above-student-1"), "not tested");
  EXPECT_EQ(verdict("de-rrd-1-above-competitors"), "not tested") << "nor the competitors trained";
  EXPECT_EQ(verdict("k-30-40"), "not tested");
  EXPECT_EQ(std::ranges::find(table.rows, "rrd-gain-neumf", &ReportRow::id), table.rows.end())
      << "of NeuMF alone";
}

TEST_F(Claims, ClaimsOfOneSplitAreDecidedByItsUsers) {
  study_.splits = {0};
  finish({"teacher"}, 0, .6);
  finish({"student"}, 0, .4);
  finish({"de"}, 0, .5);
  finish({"rrd"}, 0, .41);
  // Of 200 users, DE has the test items of 100 and RRD those of 82 among the first five, 80 of
  // which the student has, too. A user has no test item.
  for (const auto& [method, hits] : {std::pair{"student", 80}, {"de", 100}, {"rrd", 82}}) {
    std::vector<double> values = {std::nan("")};
    for (int u = 0; u < 200; ++u) values.push_back(u < hits ? 1 : 0);
    finish_users({method}, values);
  }
  const ReportTable table = tables_of("claims")[0];
  const ReportRow& de = row_of(table, "de-0.1-above-student-0.1");
  EXPECT_EQ(de.figures.rbegin()[1].text, "holds");
  EXPECT_EQ(table.columns[1], "95 % interval") << "no t of one split";
  // A share of .1 of 200 users: standard error .0212.
  double low = 0, high = 0;
  ASSERT_EQ(std::sscanf(de.figures[1].text.c_str(), "%lf to %lf", &low, &high), 2);
  EXPECT_NEAR(low, .1 - 1.96 * .0212, .006);
  EXPECT_NEAR(high, .1 + 1.96 * .0212, .006);
  EXPECT_EQ(row_of(table, "rrd-0.1-above-student-0.1").figures.rbegin()[1].text, "undecided");
}

TEST_F(Claims, WeightsAreNearThoseThatAreBestAlone) {
  for (const int split : study_.splits) {
    finish({"teacher"}, split, .6);
    const double noise = .001 * split;
    // Alone the best of Table 5's weights are 1e-4 and 1e-2; the weight of 1 is none of these.
    for (const auto& [weight, de, rrd] : {std::tuple{"1e-4", .46, .45},
                                          {"1e-3", .45, .46},
                                          {"1e-2", .44, .47},
                                          {"1e-1", .43, .46},
                                          {"1", .49, .49}}) {
      finish({"de", kPaperSize, {{"lambda-de", weight}}}, split, de + noise);
      finish({"rrd", kPaperSize, {{"lambda-rrd", weight}}}, split, rrd + noise);
    }
    finish({"de-rrd", kPaperSize, {{"lambda-de", "1e-3"}, {"lambda-rrd", "1e-1"}}}, split, .50);
    finish({"de-rrd", kPaperSize, {{"lambda-de", "1e-2"}, {"lambda-rrd", "1e-2"}}}, split,
           .49 + noise);
  }
  const char* id = "weights-near-best-alone";
  const ReportTable table = tables_of("claims")[0];
  EXPECT_NEAR(row_of(table, id).figures[0].mean().value_or(0), .009, 1e-9);
  EXPECT_EQ(row_of(table, id).figures.back().text,
            "DE-RRD, lambda-de = 1e-3, lambda-rrd = 1e-1 − DE-RRD, lambda-de = 1e-2, "
            "lambda-rrd = 1e-2");
  EXPECT_EQ(row_of(table, id).figures.rbegin()[1].text, "holds");
  for (const int split : study_.splits) {
    finish({"de-rrd", kPaperSize, {{"lambda-de", "1e-4"}, {"lambda-rrd", "1e-4"}}}, split,
           .52 + .001 * split);
  }
  EXPECT_EQ(row_of(tables_of("claims")[0], id).figures.rbegin()[1].text, "does not hold");
}

TEST_F(Claims, TheBestValueLiesWhereThePaperFindsIt) {
  for (const int split : study_.splits) {
    finish({"teacher"}, split, .6);
    for (const auto& [experts, hit] :
         {std::pair{"5", .40}, {"10", .45}, {"20", .46}, {"30", .44}}) {
      finish({"de", kPaperSize, {{"experts", experts}}}, split,
             hit + (std::string(experts) == "20" ? .001 * split : 0));
    }
    finish({"de", kPaperSize, {{"lambda-de", "1e-2"}}}, split, .5, /*share=*/.3);
    finish({"de", kPaperSize, {{"lambda-de", "1"}}}, split, .4, /*share=*/9);
  }
  const auto words_of = [&](size_t table, const char* id) {
    const ReportRow row = row_of(tables_of("claims")[table], id);
    return std::pair(row.figures.rbegin()[1].text, row.figures.back().text);
  };
  EXPECT_EQ(words_of(0, "experts-10-20"),
            std::pair(std::string("holds"), std::string("DE, experts = 20 − DE, experts = 30")));
  EXPECT_EQ(words_of(1, "de-share"),
            std::pair(std::string("holds"), std::string("DE, lambda-de = 1e-2")));
  for (const int split : study_.splits) {
    finish({"de", kPaperSize, {{"experts", "5"}}}, split, .50 + .002 * split);
    finish({"de", kPaperSize, {{"lambda-de", "1e-2"}}}, split, .5, /*share=*/.5);
  }
  EXPECT_EQ(words_of(0, "experts-10-20").first, "does not hold");
  EXPECT_EQ(words_of(1, "de-share").first, "does not hold") << "more than twice the paper's 20 %";
}

TEST_F(Claims, SpeedIsComparedByMedians) {
  study_.models = {"bpr", "neumf"};
  study_.splits = {0};
  finish({"teacher"}, 0, .6);
  finish_timing({"teacher"}, 5, 2);
  const auto of_model = [&](size_t model, const char* id) {
    const ReportRow row = row_of(tables_of("claims")[2 * model + 1], id);
    return std::pair(row.figures[0].mean().value_or(0), row.figures.rbegin()[1].text);
  };
  EXPECT_EQ(of_model(0, "latency").second, "not tested");
  finish_timing({"de-rrd"}, 4, 2);
  EXPECT_EQ(of_model(0, "latency"), std::pair(1.25, std::string("holds")));
  finish_timing({"de-rrd"}, 4.8, 2);
  EXPECT_EQ(of_model(0, "latency").second, "undecided") << "noise";
  finish_timing({"de-rrd"}, 8, 2);
  EXPECT_EQ(of_model(0, "latency").second, "does not hold");
  EXPECT_EQ(of_model(1, "latency-neumf").second, "not tested");
  finish_timing({"teacher"}, 20, 2, "neumf");
  finish_timing({"de-rrd"}, 10, 2, "neumf");
  EXPECT_EQ(of_model(1, "latency-neumf"), std::pair(2 / .625, std::string("holds")));
  finish_timing({"teacher"}, 7.1, 2, "neumf");
  EXPECT_EQ(of_model(1, "latency-neumf").second, "undecided") << "1.14 times, of four times";
}

TEST(GroupGains, OnlyGainsCount) {
  const GroupGains gains{"de", {.1, -.2, 0, .3}, {0, 0, 1, 2}};
  EXPECT_EQ(groups_that_gain(gains, std::vector<uint32_t>{1, 1, 1, 1}), 1);
  EXPECT_EQ(groups_that_gain(gains, std::vector<uint32_t>{3, 1, 1, 0}), 1);
  EXPECT_EQ(groups_that_gain(gains, std::vector<uint32_t>{3, 1, 0, 1}), 2);
}

TEST_F(Claims, ASingleOneOfSeveralSplitsDecidesNothing) {
  for (const int split : study_.splits) finish({"teacher"}, split, .6);
  finish({"student"}, 0, .4);
  finish({"de"}, 0, .5);
  finish({"de"}, 1, .5);
  finish_users({"student"}, {0, 0, 0, 0});
  finish_users({"de"}, {1, 1, 1, 1});
  const ReportTable table = tables_of("claims")[0];
  EXPECT_EQ(row_of(table, "de-0.1-above-student-0.1").figures.rbegin()[1].text, "not tested");
}

TEST_F(Claims, TheBestIsOneOfTheSameSplits) {
  const std::vector<std::vector<double>> hits = {{.40, .41, .42}, {.51, .52, .54}};
  for (const int split : study_.splits) {
    finish({"teacher"}, split, .6);
    finish({"rd"}, split, hits[0][split]);
    finish({"rrd"}, split, hits[1][split]);
  }
  finish({"cd"}, 1, .45);  // failed where it is hard
  finish({"cd"}, 2, .45);
  const ReportRow row = row_of(tables_of("claims")[0], "rrd-above-competitors");
  EXPECT_NEAR(row.figures[0].mean().value_or(0), (.11 + .11 + .12) / 3, 1e-9);
  EXPECT_EQ(row.figures.back().text, "RRD − RD");
}

TEST_F(Claims, SpeedOnDifferentMachinesIsNotCompared) {
  study_.splits = {0};
  finish_timing({"teacher"}, 5, 2);
  finish_timing({"de-rrd"}, 1, 2, "bpr", "another");
  EXPECT_EQ(row_of(tables_of("claims")[1], "latency").figures.rbegin()[1].text, "not tested");
}

class ClaimsOnGroups : public GroupedUsers {};

TEST_F(ClaimsOnGroups, AreDecidedByUsers) {
  const auto row = [&](const char* id) { return row_of(tables_of("claims")[1], id); };
  EXPECT_EQ(row("groups-above-de-attention").figures.rbegin()[1].text, "not tested");
  EXPECT_EQ(row("experts-specialised").figures.rbegin()[1].text, "not tested");
  finish_gains();
  finish_gate();
  // DE improves the groups within one half of the users, attention none.
  const ReportTable figure5 = tables_of("figure5")[0];
  EXPECT_EQ(row("groups-above-de-attention").figures[0].values,
            row_of(figure5, "groups-that-gain").figures[3].values);
  EXPECT_EQ(row("groups-above-de-attention").figures.rbegin()[1].text, "holds");
  EXPECT_EQ(row("groups-above-de-one-large").figures.rbegin()[1].text, "not tested");
  // Before, all share an expert; then all of a group do, and of different groups those within a
  // half of the users.
  EXPECT_GT(row("experts-specialised").figures[0].mean().value_or(0), .5);
  EXPECT_EQ(row("experts-specialised").figures.rbegin()[1].text, "holds");
}

TEST_F(Claims, ClaimsAloneTrainAllThatTheyTest) {
  size_t timings = 0;
  const auto trainings_with = [&](const std::vector<std::string>& parts) {
    study_.parts = parts;
    RunPlan plan(path("work"), 0);
    for (const std::string& part : parts) {
      make_report_part(part)->add_runs(plan, study_, study_.data[0], "bpr");
    }
    timings = plan.timings().size();
    return plan.trainings().size();
  };
  EXPECT_EQ(trainings_with({"table2", "claims"}), 3u * 7);
  EXPECT_EQ(trainings_with({"table1", "claims"}), 0u);
  EXPECT_EQ(trainings_with({"capacity", "claims"}), trainings_with({"capacity"}));
  EXPECT_EQ(timings, 0u);
  // Six methods of three sizes, five ablations, Table 5's 16 and Figure 7's 21, a teacher; on one
  // split DE with a record of its gate.
  EXPECT_EQ(trainings_with({"claims"}), 3u * (6 * 3 + 5 + 16 + 21 + 1) + 1);
  EXPECT_EQ(timings, 4u) << "Table 3's";
}

TEST_F(Claims, DamagedMetricsOfUsersAreRefused) {
  study_.splits = {0};
  for (const char* method : {"teacher", "student", "de"}) finish({method}, 0, .5);
  for (const char* method : {"student", "de"}) finish_users({method}, {1, 0});
  const std::string file =
      plan_.runs()[plan_.user_metrics().at({"citeulike", 0, "bpr", "de"})].file(kUsersFile);
  EXPECT_NO_THROW(tables_of("claims"));
  const std::string columns = kUserColumns, good = "m\t0\t1\t1\t1\t1\t1\t1\t1\t1\t1\n";
  for (const auto& [text, what] :
       {std::pair<std::string, std::string>{"model\tuser\tH@5\nm\t0\t1\n", ":1: has no column M@5"},
        {columns + good + "m\t1\n", ":3: is no row of the table"},
        {columns + "m\t0\t1\t1\t1\t1\tmany\t1\t1\t1\t1\n", ":2: is no row of the table"}}) {
    write_text(file, text);
    expect_error([&] { tables_of("claims"); }, file + what);
  }
}

}  // namespace
}  // namespace derrd::test::claims_test
