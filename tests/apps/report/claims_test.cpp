// The verdicts on the paper's claims, over splits and over the users of one.

#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

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
  const auto verdict = [&](const char* id) { return row_of(table, id).figures.back().text; };
  const ReportRow& de = row_of(table, "de-0.1-above-student-0.1");
  EXPECT_NEAR(de.figures[0].values[0], .101, 1e-9);
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
    const size_t index = plan_.user_metrics(study_.data[0], {"citeulike", 0, "bpr", method});
    const derrd::ExperimentRun& run = plan_.runs()[index];
    std::filesystem::create_directories(run.folder);
    std::string text = "model\tuser\tH@5\nm\tnobody\t-\n";
    for (int u = 0; u < 200; ++u) text += fmt::format("m\t{}\t{}\n", u, u < hits ? 1 : 0);
    write_text(run.file(kUsersFile).string(), text);
  }
  const ReportTable table = tables_of("claims")[0];
  const ReportRow& de = row_of(table, "de-0.1-above-student-0.1");
  EXPECT_EQ(de.figures.back().text, "holds");
  EXPECT_TRUE(de.figures[1].values.empty()) << "no t of one split";
  // A share of .1 of 200 users: standard error .0212.
  double low = 0, high = 0;
  ASSERT_EQ(std::sscanf(de.figures[3].text.c_str(), "%lf to %lf", &low, &high), 2);
  EXPECT_NEAR(low, .1 - 1.96 * .0212, .006);
  EXPECT_NEAR(high, .1 + 1.96 * .0212, .006);
  EXPECT_EQ(row_of(table, "rrd-0.1-above-student-0.1").figures.back().text, "undecided");
}

TEST_F(Claims, ClaimsAloneTrainAllThatTheyTest) {
  const auto trainings_with = [&](const std::vector<std::string>& parts) {
    study_.parts = parts;
    RunPlan plan(path("work"), 0);
    for (const std::string& part : parts) {
      make_report_part(part)->add_runs(plan, study_, study_.data[0], "bpr");
    }
    return plan.trainings().size();
  };
  EXPECT_EQ(trainings_with({"table2", "claims"}), 3u * 7);
  // Six methods of three sizes, five ablations, Table 5's 16 and Figure 7's 21, a teacher.
  EXPECT_EQ(trainings_with({"claims"}), 3u * (6 * 3 + 5 + 16 + 21 + 1));
}

TEST_F(Claims, DamagedMetricsOfUsersAreRefused) {
  study_.splits = {0};
  for (const char* method : {"teacher", "student", "de"}) finish({method}, 0, .5);
  for (const char* method : {"student", "de"}) {
    const size_t index = plan_.user_metrics(study_.data[0], {"citeulike", 0, "bpr", method});
    const derrd::ExperimentRun& run = plan_.runs()[index];
    std::filesystem::create_directories(run.folder);
    write_text(run.file(kUsersFile).string(), "model\tuser\tH@5\nm\t0\t1\nm\t1\t0\n");
  }
  const std::string file =
      plan_.runs()[plan_.user_metrics().at({"citeulike", 0, "bpr", "de"})].file(kUsersFile);
  EXPECT_NO_THROW(tables_of("claims"));
  for (const auto& [text, what] :
       {std::pair{"model\tuser\nm\t0\n", ":1: has no column H@5"},
        {"model\tuser\tH@5\nm\t0\t1\nm\t1\n", ":3: is no row of the table"},
        {"model\tuser\tH@5\nm\t0\tmany\n", ":2: is no row of the table"}}) {
    write_text(file, text);
    expect_error([&] { tables_of("claims"); }, file + what);
  }
}

}  // namespace
}  // namespace derrd::test::claims_test
