// The tables of the paper from runs made up by hand; figures beside the paper's; Markdown, TSV.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "apps/report/parts/catalogue.h"
#include "tests/apps/report/made_up_runs.h"

namespace derrd::test::report_test {
namespace {

TEST(Published, FiguresAreThePapers) {
  const PublishedRow row = published_row({2, "citeulike", "neumf", "de-rrd"});
  EXPECT_EQ(row.marks, "****");
  EXPECT_EQ(row.figure("H@5"), .4758);
  EXPECT_EQ(row.figure("N@20"), .4099);
  EXPECT_FALSE(row.figure("H@7"));
  EXPECT_EQ(published_row({1, "-", "-", "foursquare"}).figure("train"), 609655);
  EXPECT_EQ(published_row({3, "foursquare", "bpr", "phi-0.5"}).figure("seconds"), 249.19);
  EXPECT_EQ(published_row({4, "foursquare", "neumf", "rrd-full"}).figure("N@10"), .3949);
  EXPECT_FALSE(published_row({4, "citeulike", "bpr", "de"}).figure("H@5"));
  // The paper computed its improvements before it rounded: they agree to the last digit but one.
  const double competitor = *published_row({2, "citeulike", "bpr", "cd"}).figure("M@20");
  const double best = *published_row({2, "citeulike", "bpr", "de-rrd"}).figure("M@20");
  EXPECT_NEAR(100 * (best / competitor - 1), 6.4, .05);
}

TEST(ReportFigure, IsMarkedOutsideTwoStandardErrors) {
  ReportFigure figure{
      FigureStyle::kMetric, {.48, .50}, std::nullopt};  // mean .49, standard error .01
  EXPECT_FALSE(figure.difference());
  EXPECT_FALSE(figure.outside());
  figure.paper = .511;
  EXPECT_TRUE(figure.outside());
  figure.paper = .469;
  EXPECT_TRUE(figure.outside());
  figure.paper = .509;
  EXPECT_FALSE(figure.outside());
  figure.values = {.48};
  EXPECT_FALSE(figure.outside()) << "a single value has no standard error";
  EXPECT_EQ(format_with_error({FigureStyle::kMetric, {.48, .50}, {}}), "0.4900 ± 0.0100");
  EXPECT_EQ(format_with_error({FigureStyle::kMetric, {.48}, {}}), "0.4800");
  EXPECT_EQ(format_with_error({FigureStyle::kMetric, {}, {}}), "–");
  EXPECT_EQ(format_figure(125580, FigureStyle::kCount), "125,580");
  EXPECT_EQ(format_difference(-1, FigureStyle::kCount), "-1");
  EXPECT_EQ(format_difference(1234567, FigureStyle::kCount), "+1,234,567");
  EXPECT_EQ(format_figure(6.08, FigureStyle::kMillions), "6.08M");
  EXPECT_EQ(format_difference(-.00731, FigureStyle::kMetric), "-0.0073");
}

class Tables : public MadeUpRuns {};

TEST_F(Tables, Table2TestsAgainstTheBestCompetitorAndTheStudent) {
  // Differences of .1 with a spread of .001, .002: t = .1 / (.001 / sqrt 3).
  const std::vector<std::vector<double>> hits = {{.40, .41, .42},    {.45, .46, .47},
                                                 {.44, .47, .44},    {.50, .511, .522},
                                                 {.449, .461, .469}, {.55, .561, .569}};
  for (size_t m = 0; m < methods_.size(); ++m) {
    for (const int split : study_.splits) finish({methods_[m]}, split, hits[m][split]);
  }
  for (const int split : study_.splits) finish({"teacher"}, split, .6);
  const auto tables = tables_of("table2");
  ASSERT_EQ(tables.size(), 2u);
  const ReportTable& table = tables[0];
  EXPECT_EQ(table.columns.size(), 9u);
  EXPECT_EQ(row_of(table, "teacher").marks, "");
  EXPECT_EQ(row_of(table, "student").marks, "");
  EXPECT_EQ(row_of(table, "rd").marks, "");
  EXPECT_EQ(row_of(table, "cd").marks, "");
  EXPECT_EQ(row_of(table, "de").marks, "****") << "equal differences to the student but rounding";
  EXPECT_EQ(row_of(table, "rrd").marks, "") << "not better than RD";
  EXPECT_EQ(row_of(table, "de-rrd").marks, "****");
  EXPECT_EQ(row_of(table, "de-rrd").paper_marks, "***");

  const ReportFigure& hit = row_of(table, "de-rrd").figures[0];
  EXPECT_EQ(hit.values, hits[5]);
  EXPECT_EQ(hit.paper, .4843);
  EXPECT_TRUE(hit.outside());
  EXPECT_NEAR(*row_of(table, "Improv.b").figures[0].mean(), 100 * (.56 / .46 - 1), 1e-9);
  EXPECT_NEAR(*row_of(table, "Improv.b").figures[0].paper, 6.44, .005);
  EXPECT_NEAR(*row_of(table, "Improv.s").figures[0].mean(), 100 * (.56 / .41 - 1), 1e-9);

  const ReportRow& tests = row_of(tables[1], "de-rrd");
  EXPECT_EQ(tables[1].columns[0], "difference to RD");
  EXPECT_NEAR(*tests.figures[0].mean(), .1, 1e-12);
  EXPECT_TRUE(row_of(tables[1], "rd").figures[0].values.empty());
  study_.splits = {0};
  EXPECT_EQ(tables_of("table2").size(), 1u) << "nothing to test";
}

TEST_F(Tables, FiguresOfASingleSplitHaveTheErrorOverItsUsers) {
  finish({"teacher"}, 0, .5);
  finish_users({"teacher"}, {1, 0, 1, std::nan(""), 0});  // a standard deviation of .577
  finish({"student"}, 0, .4);
  study_.methods = {"student"};
  const auto teacher = [&] { return row_of(tables_of("table2")[0], "teacher").figures[3]; };
  EXPECT_FALSE(teacher().error()) << "one of three splits";
  study_.splits = {0};
  EXPECT_NEAR(teacher().error().value_or(0), std::sqrt(1. / 3 / 4), 1e-12);
  const std::string table = markdown(tables_of("table2")[0]);
  EXPECT_TRUE(contains(table, "| Teacher | 0.5000 ± 0.2887 |"));
  EXPECT_TRUE(contains(table, "| Student | 0.4000 |")) << "its users were not evaluated";
  EXPECT_TRUE(contains(table, "Figure ± standard error over the users of split 0;"));
  EXPECT_FALSE(contains(table, "t-test"));
}

TEST_F(Tables, EachTrainingOfASingleSplitIsEvaluatedByUser) {
  const auto runs_of = [&](const std::string& part) {
    RunPlan plan(path("work"), 0);
    make_report_part(part)->add_runs(plan, study_, study_.data[0], "bpr");
    return std::pair(plan.trainings().size(), plan.user_metrics().size());
  };
  for (const char* part :
       {"table2", "table3", "table4", "table5", "figure4", "figure7", "capacity"}) {
    study_.splits = {0, 1};
    EXPECT_EQ(runs_of(part).second, 0u) << part;
    study_.splits = {1};
    const auto [trainings, evaluations] = runs_of(part);
    const size_t untabled = std::set<std::string>{"table4", "table5", "figure7"}.count(part);
    EXPECT_EQ(evaluations + untabled, trainings) << part << ": all but the teacher it learns from";
  }
}

TEST_F(Tables, AStudentWithAllOfItsTeachersOptionsIsNotTrainedAgain) {
  study_.splits = {0};
  study_.methods = {"student"};
  const auto same = [&](const std::string& recipe) {
    study_.data[0].recipe = RecipeFile::parse(recipe, "recipe", nullptr);
    RunPlan plan(path("work"), 0);
    make_report_part("figure4")->add_runs(plan, study_, study_.data[0], "bpr");
    return plan.trainings().at({"citeulike", 0, "bpr", "teacher"}) ==
           plan.trainings().at({"citeulike", 0, "bpr", "student", 1.0});
  };
  EXPECT_TRUE(same("[bpr.teacher]\ndim = 20\n[bpr.student]\n"));
  EXPECT_FALSE(same("[bpr.teacher]\ndim = 20\nlr = 0.01\n[bpr.student]\n"));
}

TEST_F(Tables, RunsThatFailedLeaveHoles) {
  finish({"teacher"}, 0, .6);
  finish({"teacher"}, 1, .6);
  finish({"de-rrd"}, 1, .55);
  finish({"student"}, 1, .4);
  study_.methods = {"student", "de", "de-rrd"};
  const ReportTable table = tables_of("table2")[0];
  EXPECT_EQ(row_of(table, "de-rrd").figures[0].values.size(), 1u);
  EXPECT_TRUE(row_of(table, "de").figures[0].values.empty());
  EXPECT_TRUE(contains(markdown(table), "Teacher: 2 of 3 splits"));
  EXPECT_TRUE(contains(markdown(table), "| DE | – |"));
  EXPECT_EQ(std::ranges::find(table.rows, "Improv.b", &ReportRow::id), table.rows.end());
}

TEST_F(Tables, Table3RelatesDeRrdToTheTeacher) {
  for (const int split : study_.splits) {
    finish({"teacher"}, split, .5 + .1 * split);
    finish({"de-rrd"}, split, .4 + .1 * split);
    finish({"de-rrd", 0.5}, split, .55);
  }
  const ReportTable table = tables_of("table3")[0];
  ASSERT_EQ(table.rows.size(), 4u);
  EXPECT_EQ(table.rows[1].id, "phi-1");
  EXPECT_TRUE(table.rows[1].figures[2].values.empty());
  EXPECT_EQ(table.rows[2].figures[2].paper, 1.01);
  EXPECT_NEAR(table.rows[3].figures[2].values[1], .5 / .6, 1e-12);
  EXPECT_NEAR(table.rows[2].figures[2].values[2], .55 / .7, 1e-12);
}

TEST_F(Tables, Table3HasThePapersSpeedAndOurs) {
  finish({"teacher"}, 0, .5);
  finish_timing({"teacher"}, 5, 2);
  EXPECT_EQ(plan_.runs().back().arguments[1], "--latency");
  const auto tables = tables_of("table3");
  EXPECT_EQ(row_of(tables[0], "teacher").figures[0].values, std::vector{5.0});
  EXPECT_EQ(row_of(tables[0], "teacher").figures[1].values, std::vector{4.0});
  EXPECT_TRUE(contains(markdown(tables[0]), "Measured on EPYC, threads: 2."));
  EXPECT_TRUE(contains(markdown(tables[1]), "Measured on EPYC, threads: 2."));
  const ReportRow& top10 = row_of(tables[1], "teacher top 10");
  EXPECT_EQ(top10.figures[0].values, std::vector{2000.0}) << "median";
  EXPECT_EQ(top10.figures[4].values, std::vector{3.0}) << "MB";
  const ReportRow& batched = row_of(tables[1], "teacher top 10, many users at a time");
  EXPECT_TRUE(batched.figures[1].values.empty()) << "no user by itself";
  EXPECT_NEAR(batched.figures[2].values[0], 400, 1e-9) << "100 users in .25 s";
}

TEST_F(Tables, Table5VariesBothWeights) {
  for (const int split : study_.splits) finish({"teacher"}, split, .6);
  finish({"de-rrd", kPaperSize, {{"lambda-de", "1e-2"}, {"lambda-rrd", "1e-3"}}}, 0, .53);
  const ReportTable table = tables_of("table5")[0];
  ASSERT_EQ(table.rows.size(), 4u);
  EXPECT_EQ(table.columns[1], "λ_RRD 1e-3");
  EXPECT_EQ(row_of(table, "1e-2").figures[1].values, std::vector{.53});
  EXPECT_TRUE(row_of(table, "1e-2").figures[0].values.empty());
  EXPECT_EQ(published_row({5, "foursquare", "bpr", "1e-2"}).figure("1e-3"), .5308);
  EXPECT_EQ(published_row({5, "foursquare", "neumf", "1e-1"}).figure("1e-1"), .5055);
  RunPlan plan(path("work"), 0);
  make_report_part("table5")->add_runs(plan, study_, study_.data[0], "bpr");
  EXPECT_EQ(plan.trainings().size(), 3u * (16 + 1)) << "and the teacher";
}

TEST_F(Tables, MarkdownAndTsvHoldEveryFigure) {
  ReportTable table;
  table.title = "T";
  table.data_set = "d";
  table.model = "m";
  table.first_column = "Method";
  table.columns = {"H@5"};
  table.rows = {{"de", "DE", "*", "**", {{FigureStyle::kMetric, {.48, .50}, .52}}}};
  table.notes = {"n"};
  EXPECT_EQ(markdown(table),
            "### T\n\n| Method | H@5 |\n|---|---:|\n| DE \\* | 0.4900 ± 0.0100 |\n"
            "| &nbsp; paper \\*\\* | 0.5200 |\n| &nbsp; difference | -0.0300 † |\n\n- n\n\n");
  const auto lines = lines_of(tsv({table}));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_TRUE(lines[1].starts_with("d\tm\tde\t*\tH@5\t0.49\t0.01")) << lines[1];
  EXPECT_TRUE(lines[1].ends_with("\tyes")) << lines[1];
}

}  // namespace
}  // namespace derrd::test::report_test
