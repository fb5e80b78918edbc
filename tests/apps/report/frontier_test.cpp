// H@5 over parameters: its lines and picture, and that README's is drawn by this code from our
// figures.

#include "apps/report/frontier.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <optional>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "data/formats/atomic_file.h"
#include "data/formats/file_bytes.h"

namespace derrd::test::frontier_test {
namespace {

constexpr const char* kResults = DERRD_SOURCE "/bench/results/2026-11-30-epyc-2-cores.md";
constexpr const char* kPicture = DERRD_SOURCE "/bench/results/frontier-citeulike-bpr.svg";

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

/// The table that is recorded under "Figure 4": "| 0.1, RD | 0.4646 ± 0.0069 | ... | 0.61M |".
ReportTable recorded() {
  const std::string text = read_text(kResults);
  std::istringstream lines(text.substr(text.find("\n## Figure 4")));
  std::vector<ReportRow> rows;
  for (std::string line; std::getline(lines, line);) {
    static const std::regex kRow(
        R"(\| (?:([01]\.\d), )?([-A-Za-z]+) \| (0\.\d+) ± .*\| (\d+\.\d+)M \|)");
    std::smatch found;
    if (!std::regex_match(line, found, kRow)) continue;
    std::string id = found[2];
    std::ranges::transform(id, id.begin(), [](unsigned char c) { return std::tolower(c); });
    if (found[1].matched) id += " phi-" + found[1].str();
    rows.push_back(row_of(id, std::stod(found[3]), std::stod(found[4])));
  }
  return table_of(rows);
}

TEST(Frontier, ReadmesIsDrawnFromTheRecordedFigures) {
  const ReportTable table = recorded();
  ASSERT_EQ(table.rows.size(), 1u + 3 * 6);
  const std::string svg = frontier_picture("H@5 over parameters: CiteULike, BPR", table);
  if (std::getenv("DERRD_WRITE_PICTURE") != nullptr) write_text(kPicture, svg);
  EXPECT_TRUE(read_text(kPicture) == svg)
      << kPicture << " is another one; write it again with DERRD_WRITE_PICTURE=1";
}

}  // namespace
}  // namespace derrd::test::frontier_test
