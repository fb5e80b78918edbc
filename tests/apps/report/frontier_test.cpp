// H@5 over parameters: its lines and picture.

#include "apps/report/frontier.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace derrd::test::frontier_test {
namespace {

ReportRow row_of(const std::string& id, std::optional<double> hit, std::optional<double> millions) {
  return {id,
          "",
          "",
          "",
          {one_figure(FigureStyle::kMetric, hit), one_figure(FigureStyle::kMillions, millions)}};
}
ReportTable table_of(const std::vector<ReportRow>& rows) {
  ReportTable table;
  table.columns = {"H@5", "parameters"};
  table.rows = rows;
  return table;
}

TEST(Frontier, HasALineForEachMethodThatWasTrained) {
  const ReportTable table =
      table_of({row_of("teacher", .5, 2), row_of("student phi-0.1", .4, .2),
                row_of("rd phi-0.1", {}, {}), row_of("de-rrd phi-0.1", .45, .2),
                row_of("student phi-1", .48, 2), row_of("rd phi-1", {}, {}),
                row_of("de-rrd phi-1", {}, 2), row_of("student phi-2", .49, {})});
  const std::vector<FrontierLine> lines = frontier_lines(table);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].method, "student");
  ASSERT_EQ(lines[0].points.size(), 2u);
  EXPECT_EQ(lines[0].points[1].x, 2);
  EXPECT_EQ(lines[0].points[1].y, .48);
  EXPECT_TRUE(lines[1].points.empty());
  EXPECT_EQ(lines[2].points.size(), 1u) << "no size without both figures";

  const std::string svg = frontier_picture("a < b", table);
  EXPECT_NE(svg.find("a &lt; b"), std::string::npos);
  EXPECT_NE(svg.find("<path class=\"level c0\""), std::string::npos) << "the teacher";
  EXPECT_NE(svg.find("<path class=\"line c1\""), std::string::npos) << "the student";
  EXPECT_EQ(svg.find("<path class=\"line c2\""), std::string::npos) << "RD";
  EXPECT_NE(svg.find("<path class=\"line c3\""), std::string::npos) << "its own style without RD";
  EXPECT_NE(svg.find(">DE-RRD</text>"), std::string::npos);
}

}  // namespace
}  // namespace derrd::test::frontier_test
