// Tables 1 to 4 from the files of finished runs; figures beside the paper's; Markdown, TSV, curves.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "apps/report/chart.h"
#include "apps/report/parts/catalogue.h"
#include "data/formats/checked_line.h"
#include "data/formats/safetensors.h"
#include "engine/distill/gate_record.h"
#include "tests/apps/program.h"

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

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

/// Runs whose files are made up: each method's metrics are its number / 10 + split / 100.
class Tables : public CommandTest {
 protected:
  Tables() {
    std::string recipe = "[bpr.teacher]\ndim = 20\n";
    for (const std::string& method : methods_) recipe += "[bpr." + method + "]\n";
    for (const char* ablation :
         {"de-attention", "de-one-large", "de-one-small", "rrd-full", "rrd-interesting"}) {
      recipe += fmt::format("[bpr.{}]\n", ablation);
    }
    study_.data.push_back(
        {"citeulike", "users.dat", RecipeFile::parse(recipe, "recipe", nullptr), "hash"});
    study_.splits = {0, 1, 2};
    study_.models = {"bpr"};
    study_.methods = methods_;
  }

  void finish(const TrainedMethod& method, int split, double hit, double share = 0) {
    const TrainingName name = method.on("citeulike", "bpr", split);
    const derrd::ExperimentRun& run = plan_.runs()[plan_.training(study_.data[0], name)];
    std::filesystem::create_directories(run.folder);
    nlohmann::json metrics = {{"best_epoch", 3}, {"epochs", 9}};
    for (const char* part : {"valid", "test"}) {
      for (const int n : {5, 10, 20}) {
        for (const char* metric : {"H", "N", "M"}) {
          metrics[part][fmt::format("{}@{}", metric, n)] = hit;
        }
      }
    }
    const std::vector<float> vectors(static_cast<size_t>(1000 * method.size));
    write_safetensors(
        run.file(kModelFile),
        {{"user_embedding", tensor_view(std::span<const float>(vectors), {std::ssize(vectors)})}},
        {{"metrics", metrics.dump()}});
    write_text(run.file(kLogFile).string(),
               checked_line(R"({"epoch":0,"valid":{"H@5":0.1},"test":{"H@5":0.2}})") + "\n" +
                   checked_line(R"({"epoch":1,"valid":{"H@5":0.3},"test":{"H@5":0.4}})") + "\n" +
                   (share > 0 ? checked_line(nlohmann::json{{"epoch", 3},
                                                            {"valid", {{"H@5", .1}}},
                                                            {"test", {{"H@5", .1}}},
                                                            {"share", {{"de", share}}}}
                                                 .dump()) +
                                    "\n"
                              : ""));
  }
  ReportResults results() const {
    return {plan_, std::vector<RunOutcome>(plan_.runs().size(), RunOutcome::kFinished)};
  }
  std::vector<ReportSection> sections(const std::string& part) const {
    return make_report_part(part)->sections(study_, results());
  }
  std::vector<ReportTable> tables_of(const std::string& part) const {
    std::vector<ReportTable> tables;
    for (const ReportSection& section : sections(part)) {
      if (const auto* table = std::get_if<ReportTable>(&section)) tables.push_back(*table);
    }
    return tables;
  }
  Picture picture_of(const std::string& part) const {
    for (const ReportSection& section : sections(part)) {
      if (const auto* picture = std::get_if<Picture>(&section)) return *picture;
    }
    ADD_FAILURE() << "no picture of " << part;
    return {};
  }
  static const ReportRow& row_of(const ReportTable& table, const std::string& id) {
    const auto row = std::ranges::find(table.rows, id, &ReportRow::id);
    EXPECT_NE(row, table.rows.end()) << id;
    return *row;
  }

  const std::vector<std::string> methods_ = {"student", "rd", "cd", "de", "rrd", "de-rrd"};
  ReportScope study_;
  RunPlan plan_{path("work"), 0};
};

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
  const size_t timed = plan_.timing(study_.data[0], {"citeulike", 0, "bpr", "teacher"});
  const derrd::ExperimentRun& run = plan_.runs()[timed];
  EXPECT_EQ(run.arguments[1], "--latency");
  std::filesystem::create_directories(run.folder);
  const auto one_by_one = [](double seconds) {
    return nlohmann::json{{"seconds", seconds},
                          {"median_us", seconds * 1e3},
                          {"p99_us", seconds * 2e3},
                          {"users_per_s", 100 / seconds},
                          {"peak_device_bytes", 3e6}};
  };
  const nlohmann::json model = {
      {"top10_ms", 250},
      {"parameters", 4e6},
      {"latency", {{"full_sort", one_by_one(5)}, {"top10", one_by_one(2)}}}};
  write_text(run.file(kOutputFile).string(), nlohmann::json{{"models", {model}}}.dump());
  const auto tables = tables_of("table3");
  EXPECT_EQ(row_of(tables[0], "teacher").figures[0].values, std::vector{5.0});
  EXPECT_EQ(row_of(tables[0], "teacher").figures[1].values, std::vector{4.0});
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

TEST_F(Tables, Figure4FindsTheParametersThatReachTheTeacher) {
  finish({"teacher"}, 0, .50);
  for (const auto& [size, hit] : {std::pair{.1, .40}, {.5, .50}, {1., .60}}) {
    finish({"de", size}, 0, hit);
    finish({"rrd", size}, 0, .2);
    finish({"de-rrd", size}, 0, .6);
  }
  study_.splits = {0};
  study_.methods = {"de", "rrd", "de-rrd"};
  const auto tables = tables_of("figure4");
  EXPECT_EQ(row_of(tables[0], "de phi-0.5").figures[0].values, std::vector{.5});
  EXPECT_EQ(row_of(tables[0], "de phi-0.5").figures[2].values, std::vector{500 / 1e6});
  EXPECT_EQ(row_of(tables[0], "de phi-0.1").figures[0].paper, .4817);
  EXPECT_FALSE(row_of(tables[0], "de phi-0.5").figures[0].paper);
  const ReportTable& reached = tables[1];
  EXPECT_NEAR(row_of(reached, "de").figures[2].values[0], 500 / 1e6, 1e-12) << "all of it";
  // .475 lies three quarters of the way from 100 to 500 parameters.
  EXPECT_NEAR(row_of(reached, "de").figures[0].values[0], 1e-4 * std::pow(5, .75), 1e-12);
  EXPECT_TRUE(row_of(reached, "rrd").figures[0].values.empty());
  EXPECT_EQ(row_of(reached, "de-rrd").figures[0].text, "≤ 0.00M");
  const std::string svg = picture_of("figure4").svg;
  EXPECT_EQ(count(svg, "class=\"bar "), 2u * 9 + 3) << "and the legend";
  EXPECT_EQ(count(svg, "<path class=\"level "), 3u + 1);
  EXPECT_EQ(count(svg, "<circle class=\"paper\""), 2u * 3 + 1) << "at size .1, and the legend";
}

TEST_F(Tables, Figure7ShowsTheSharesBesideTheOptions) {
  study_.splits = {0};
  finish({"teacher"}, 0, .6);
  finish({"student"}, 0, .4);
  finish({"de", kPaperSize, {{"experts", "10"}}}, 0, .5, .2);
  finish({"de", kPaperSize, {{"lambda-de", "1e-2"}}}, 0, .45, .1);
  finish({"de", kPaperSize, {{"lambda-de", "1"}}}, 0, .41, 10);
  finish({"rrd", kPaperSize, {{"k", "20"}, {"l", "20"}}}, 0, .43);
  const ReportTable table = tables_of("figure7")[0];
  EXPECT_EQ(row_of(table, "de experts=10").figures[0].values, std::vector{.5});
  EXPECT_EQ(row_of(table, "de experts=10").figures[2].values, std::vector{.2});
  EXPECT_EQ(row_of(table, "rrd k+l=20").figures[0].values, std::vector{.43});
  EXPECT_TRUE(row_of(table, "rrd k+l=20").figures[2].values.empty()) << "no share was logged";
  const std::string svg = picture_of("figure7").svg;
  EXPECT_EQ(count(svg, "<path class=\"level c1\""), 6u + 1);
  EXPECT_TRUE(contains(svg, ">0.1</text>")) << "a share, on the logarithmic axis";
}

TEST_F(Tables, ClaimsAreDecidedByATestOverSplits) {
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
  EXPECT_EQ(std::ranges::find(table.rows, "rrd-gain-neumf", &ReportRow::id), table.rows.end())
      << "of NeuMF alone";
}

TEST_F(Tables, ClaimsOfOneSplitAreDecidedByItsUsers) {
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

TEST_F(Tables, ClaimsAloneTrainAllThatTheyTest) {
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

/// A teacher whose users are two groups, apart from each other, and DE's gate on them.
class GroupedUsers : public Tables {
 protected:
  static constexpr int kUsers = 40;
  GroupedUsers() {
    study_.splits = {0};
    finish({"teacher"}, 0, .6);
    for (const char* method : {"student", "de", "de-attention"}) finish({method}, 0, .5);
    std::vector<float> vectors;
    for (int u = 0; u < kUsers; ++u) {
      for (int d = 0; d < 3; ++d) {
        vectors.push_back((in_first_group(u) ? 10.f : -10.f) +
                          .01f * static_cast<float>(u % 7 + d));
      }
    }
    const std::string teacher =
        plan_.runs()[plan_.trainings().at({"citeulike", 0, "bpr", "teacher"})].file(kModelFile);
    const Metadata metadata = SafetensorsFile::read(teacher).metadata();
    write_safetensors(
        teacher, {{"user_embedding", tensor_view(std::span<const float>(vectors), {kUsers, 3})}},
        metadata);
  }
  static bool in_first_group(int user) { return user % 2 == 0; }
};

TEST_F(GroupedUsers, Figure5ShowsWhoGains) {
  for (const char* method : {"student", "de", "de-attention"}) {
    const size_t index = plan_.user_metrics(study_.data[0], {"citeulike", 0, "bpr", method});
    const derrd::ExperimentRun& run = plan_.runs()[index];
    std::filesystem::create_directories(run.folder);
    std::string text = "model\tuser\tN@20\n";
    for (int u = 0; u < kUsers; ++u) {
      // DE gains .2 in the first group and loses .1 in the second; attention loses everywhere.
      const double gain = std::string(method) == "de"        ? (in_first_group(u) ? .2 : -.1)
                          : std::string(method) == "student" ? 0
                                                             : -.05;
      text += fmt::format("m\t{}\t{}\n", u, .5 + gain);
    }
    write_text(run.file(kUsersFile).string(), text);
  }
  const ReportTable table = tables_of("figure5")[0];
  EXPECT_EQ(table.columns, (std::vector<std::string>{"users", "(a) Attention", "its standard error",
                                                     "DE", "its standard error"}));
  double users = 0;
  for (const ReportRow& row : table.rows) {
    if (!row.id.starts_with("group-")) continue;
    users += row.figures[0].values[0];
    EXPECT_NEAR(row.figures[1].values[0], -.05, 1e-12) << "in all of a group";
    const double gain = row.figures[3].values[0];
    EXPECT_TRUE(std::abs(gain - .2) < 1e-9 || std::abs(gain + .1) < 1e-9) << gain;
  }
  EXPECT_EQ(users, kUsers);
  EXPECT_NEAR(row_of(table, "users-in-groups-that-lose").figures[3].values[0], 50, 1e-9);
  EXPECT_NEAR(row_of(table, "users-in-groups-that-lose").figures[1].values[0], 100, 1e-9);
  const std::string svg = picture_of("figure5").svg;
  EXPECT_TRUE(contains(svg, ">+0.200</text>"));
  EXPECT_TRUE(contains(svg, ">groups that lose</text>"));
}

TEST_F(GroupedUsers, Figure6ShowsHowExpertsGetSpecialised) {
  // Before training all prefer expert 2; afterwards each group has its own.
  GateRows rows;
  rows.users = kUsers;
  for (int row = 0; row < 5; ++row) {
    for (int u = 0; u < kUsers; ++u) rows.user_expert.push_back(row == 0 ? 2 : in_first_group(u));
    rows.entropy.push_back(1.f - .2f * static_cast<float>(row));
  }
  const TrainedMethod recorded{.method = "de", .records_gate = true};
  finish(recorded, 0, .5);
  const derrd::ExperimentRun& de =
      plan_.runs()[plan_.trainings().at(recorded.on("citeulike", "bpr", 0))];
  save_gate_record(de.file(kGateFile), rows, /*experts=*/3, /*best_row=*/4, {});
  const auto tables = tables_of("figure6");
  const ReportRow& before = row_of(tables[0], "row-0");
  const ReportRow& after = row_of(tables[0], "row-4");
  EXPECT_EQ(before.figures[0].values, std::vector{0.0}) << "one expert says nothing";
  EXPECT_EQ(before.figures[2].values, std::vector{1.0});
  EXPECT_GT(after.figures[0].values[0], .3) << "two experts, of twenty groups";
  EXPECT_EQ(after.figures[2].values, std::vector{2.0});
  EXPECT_NEAR(after.figures[3].values[0], .2, 1e-6);
  // Far users never share an expert afterwards, near ones always.
  const ReportTable& pairs = tables[1];
  EXPECT_EQ(pairs.rows.front().figures[1].values, std::vector{1.0});
  EXPECT_EQ(pairs.rows.front().figures[2].values, std::vector{0.0});
  EXPECT_EQ(pairs.rows.back().figures[2].values, std::vector{1.0});
  const std::string svg = picture_of("figure6").svg;
  EXPECT_TRUE(contains(svg, ">before training</text>"));
  EXPECT_TRUE(contains(svg, ">trained, 4 epochs</text>"));
}

TEST_F(Tables, TheTeacherIsChosenByValidation) {
  study_.splits = {0};
  finish({"teacher"}, 0, .50);
  finish({"teacher", kPaperSize, {{"dim", "40"}}}, 0, .52);
  finish({"teacher", kPaperSize, {{"dim", "5"}}}, 0, .3);
  const ReportTable table = tables_of("capacity")[0];
  ASSERT_EQ(table.rows.size(), 5u) << "dimensions 3, 5, 10, 20 and 40";
  EXPECT_EQ(row_of(table, "dim=20").figures[1].values, std::vector{.5}) << "the recipe's own";
  EXPECT_TRUE(contains(markdown(table), "Highest by validation: dim 40"));
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

TEST_F(Tables, CurvesStandBesideThePublishedOnes) {
  for (const char* method : {"teacher", "student", "de"}) finish({method}, 0, .5);
  std::filesystem::create_directories(path("data/citeulike"));
  write_text(path("data/citeulike/published_curves.tsv"),
             "method\tepoch\tvalid_H@5\ttest_H@5\nde\t0\t0.11\t0.12\nde\t1\t0.21\t0.22\n");
  const char* before = std::getenv("DERRD_DATA");
  const std::string kept = before == nullptr ? "" : before;
  ::setenv("DERRD_DATA", path("data").c_str(), 1);
  const Picture picture = picture_of("curves");
  EXPECT_EQ(count(picture.svg, "<path class=\"line c"), 2 * 4 + 4) << "two panels and the legend";
  EXPECT_EQ(count(picture.svg, "line c4 published"), 2 + 1);
  // Test items, from 0 to .4: theirs go from .12 to .22, ours from .2 to .4.
  const std::string published = picture.svg.substr(picture.svg.find("line c4 published\" d=\"M62"));
  const std::string ours = picture.svg.substr(picture.svg.find("line c4\" d=\"M62"));
  EXPECT_TRUE(published.starts_with("line c4 published\" d=\"M62.0")) << published.substr(0, 60);
  const auto first_height = [](const std::string& line) {
    return std::stod(line.substr(line.find(' ', line.find(" d=") + 1) + 1));
  };
  EXPECT_GT(first_height(published), first_height(ours));

  ::setenv("DERRD_DATA", path("no").c_str(), 1);
  EXPECT_EQ(count(picture_of("curves").svg, "<path class=\"line c"), 2 * 3 + 3);
  EXPECT_TRUE(contains(picture_of("curves").note, "no published curves"));
  kept.empty() ? ::unsetenv("DERRD_DATA") : ::setenv("DERRD_DATA", kept.c_str(), 1);
}

TEST_F(Tables, ADamagedLogGivesNoCurve) {
  for (const char* method : {"teacher", "student", "de"}) finish({method}, 0, .5);
  const auto log = std::ranges::find(plan_.runs(), true, [](const ExperimentRun& run) {
                     return std::filesystem::exists(run.file(kLogFile));
                   })->file(kLogFile);
  const std::string text = read_text(log);
  write_text(log, flipped(text, 8 * (text.find("H@5\":0.") + 7)));
  const auto curves = [&] { return picture_of("curves").svg; };
  expect_error([&] { curves(); }, "remove its folder, and the run will be done again");
  // A full disk tears the last line when a finished run trains for more epochs.
  write_text(log, text);
  const std::string whole = curves();
  write_text(log, text + text.substr(0, 50));
  EXPECT_EQ(curves(), whole);
}

}  // namespace
}  // namespace derrd::test::report_test
