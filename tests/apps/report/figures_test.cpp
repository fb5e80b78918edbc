// Figures 4 to 7, the choice of the teacher and the learning curves, from runs made up by hand.

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "apps/report/chart.h"
#include "apps/report/map.h"
#include "apps/report/picture.h"
#include "tests/apps/report/made_up_runs.h"

namespace derrd::test::figures_test {
namespace {

class Figures : public MadeUpRuns {};

/// An SVG element without its colours.
std::string without_colours(std::string svg) {
  for (const char* colour : {" c", " f"}) {
    for (size_t at = 0; (at = svg.find(colour, at)) != std::string::npos; ++at) {
      if (std::isdigit(static_cast<unsigned char>(svg[at + 2])) != 0) svg.erase(at, 3);
    }
  }
  return svg;
}

TEST(Styles, DifferWithoutColour) {
  std::set<std::string> bars, dots, small;
  for (size_t style = 0; style < kStyles; ++style) {
    bars.insert(without_colours(svg_bar({10, 10, 30, 90}, style)));
    dots.insert(without_colours(svg_dot(10, 10, style)));
    small.insert(without_colours(svg_dots(std::vector<std::array<double, 2>>{{1, 2}}, style)));
  }
  EXPECT_EQ(bars.size(), kStyles);
  EXPECT_EQ(dots.size(), kStyles);
  EXPECT_EQ(small.size(), kStyles);
  EXPECT_EQ(without_colours(svg_dot(1, 1, 3)).find(" c3"), std::string::npos);
}

TEST(Maps, LabelsDoNotCoverEachOther) {
  MapPanel panel{"", {}};
  for (const double y : {.5, .52, .51, .9, .5}) {
    panel.dots.push_back({"label", "", 0, 1, 1, {{.5, y}}});
  }
  panel.dots.push_back({"", "", 0, 1, 1, {{0, 0}, {1, 1}}});
  const std::string svg = svg_maps("", {panel});
  std::vector<double> heights;
  for (size_t at = 0; (at = svg.find("<text x=", at)) != std::string::npos; ++at) {
    const std::string text = svg.substr(at, svg.find('>', at) - at);
    const size_t y = text.find(" y=\"");
    if (contains(text, "label middle")) heights.push_back(std::stod(text.substr(y + 4)));
  }
  ASSERT_EQ(heights.size(), 5u);
  std::ranges::sort(heights);
  for (size_t i = 1; i < heights.size(); ++i) EXPECT_GE(heights[i] - heights[i - 1], 13.9);
}

TEST(Maps, TheLegendIsAsFaintAsItsDots) {
  const std::string svg = svg_maps("", {{"", {{"", "others", 0, .35, .35, {{0, 0}, {1, 1}}}}}});
  EXPECT_TRUE(contains(svg, "<g opacity=\"0.35\"><path class=\"dot"));
}

TEST(Charts, LongLinesHaveFewDotsAndShortOnesAll) {
  const auto dots_of = [](size_t points) {
    ChartLine line{.label = "DE", .style = 4};
    for (size_t i = 0; i < points; ++i) line.points.push_back({static_cast<double>(i), .5});
    return count(svg({"title", {{.title = "panel", .lines = {line}}}}), "<path class=\"dot ");
  };
  EXPECT_EQ(dots_of(1), 1u + 1) << "and one in the legend";
  EXPECT_EQ(dots_of(12), 12u + 1);
  EXPECT_LE(dots_of(1000), 13u + 1);
  EXPECT_GE(dots_of(1000), 10u + 1);
}

TEST_F(Figures, MethodsBeyondThePapersHaveStylesOfTheirOwn) {
  study_.methods = {"student", "cd-deep", "de-attention"};
  const ReportResults none = results();
  const Setting setting{study_, none, study_.data[0], study_.models[0]};
  std::set<size_t> styles;
  for (const char* method : {"teacher", "student", "cd-deep", "de-attention"}) {
    styles.insert(setting.style_of(method) % kStyles);
  }
  EXPECT_EQ(styles.size(), 4u);
  EXPECT_EQ(setting.style_of("de"), 4u) << "not among the report's methods";
}

TEST_F(Figures, Figure4FindsTheParametersThatReachTheTeacher) {
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
  EXPECT_EQ(count(svg, "<path class=\"level "), 2u + 1);
  EXPECT_EQ(count(picture_of("figure4", "frontier").svg, "<path class=\"level c0"), 1u + 1);
  EXPECT_EQ(count(svg, "<circle class=\"paper\""), 2u * 3 + 1) << "at size .1, and the legend";
}

TEST_F(Figures, WhiskersOfASingleSplitAreItsUsers) {
  study_.splits = {0};
  study_.methods = {"de"};
  for (const char* method : {"teacher", "student", "de"}) {
    finish({method}, 0, .5);
    finish_users({method}, {1, 0, 1, 0});
  }
  finish({"de", kPaperSize, {{"experts", "10"}}}, 0, .5, .2);
  finish_users({"de", kPaperSize, {{"experts", "10"}}}, {1, 0, 1, 0});
  const auto whiskers = [&](const char* part) {
    return count(picture_of(part).svg, "<path class=\"error\"");
  };
  EXPECT_EQ(whiskers("figure4"), 2u) << "two bars";
  EXPECT_EQ(whiskers("figure7"), 4u + 1) << "the student in four panels, and 10 experts";
  EXPECT_EQ(whiskers("capacity"), 1u) << "of the test items";
  for (const char* part : {"figure4", "figure7"}) {
    EXPECT_TRUE(contains(picture_of(part).note, "standard errors over the users of split 0"));
  }
  study_.splits = {0, 1};
  EXPECT_EQ(whiskers("figure4"), 0u);
  EXPECT_TRUE(contains(picture_of("figure4").note, "standard errors over splits 0, 1"));
}

TEST_F(Figures, Figure7ShowsTheSharesBesideTheOptions) {
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

TEST_F(GroupedUsers, Figure5ShowsWhoGains) {
  finish_gains();
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
  finish_gate();
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

TEST_F(Figures, TheTeacherIsChosenByValidation) {
  study_.splits = {0};
  finish({"teacher"}, 0, .50);
  finish({"teacher", kPaperSize, {{"dim", "40"}}}, 0, .52);
  finish({"teacher", kPaperSize, {{"dim", "5"}}}, 0, .3);
  const ReportTable table = tables_of("capacity")[0];
  ASSERT_EQ(table.rows.size(), 5u) << "dimensions 3, 5, 10, 20 and 40";
  EXPECT_EQ(row_of(table, "dim=20").figures[1].values, std::vector{.5}) << "the recipe's own";
  EXPECT_TRUE(contains(markdown(table), "Highest by validation: dim 40"));
}

TEST_F(Figures, CurvesStandBesideThePublishedOnes) {
  for (const char* method : {"teacher", "student", "de"}) finish({method}, 0, .5);
  std::filesystem::create_directories(path("data/citeulike"));
  write_text(path("data/citeulike/published_curves.tsv"),
             "method\tepoch\tvalid_H@5\ttest_H@5\nde\t0\t0.01\t0.02\n"
             "de\t1\t0.15\t0.16\nde\t2\t0.21\t0.22\n");
  const char* before = std::getenv("DERRD_DATA");
  const std::string kept = before == nullptr ? "" : before;
  ::setenv("DERRD_DATA", path("data").c_str(), 1);
  const Picture picture = picture_of("curves");
  EXPECT_EQ(count(picture.svg, "<path class=\"line c"), 2 * 4 + 4) << "two panels and the legend";
  EXPECT_EQ(count(picture.svg, "line c4 published"), 2 + 1);
  // Test items: theirs go from .16 to .22, ours from .4; what came before is not drawn.
  const std::string published = picture.svg.substr(picture.svg.find("line c4 published\" d=\"M62"));
  const std::string ours = picture.svg.substr(picture.svg.find("line c4\" d=\"M62"));
  const auto first_height = [](const std::string& line) {
    return std::stod(line.substr(line.find(' ', line.find(" d=") + 1) + 1));
  };
  EXPECT_GT(first_height(published), first_height(ours));
  EXPECT_EQ(count(published.substr(0, published.find("\">")), "L"), 1u) << "two points";

  ::setenv("DERRD_DATA", path("no").c_str(), 1);
  EXPECT_EQ(count(picture_of("curves").svg, "<path class=\"line c"), 2 * 3 + 3);
  EXPECT_TRUE(contains(picture_of("curves").note, "no published curves"));
  kept.empty() ? ::unsetenv("DERRD_DATA") : ::setenv("DERRD_DATA", kept.c_str(), 1);
}

TEST_F(Figures, ADamagedLogGivesNoCurve) {
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
}  // namespace derrd::test::figures_test
