// The picture of Table 2: what it shows, and that README's is drawn by this code from our figures.

#include "apps/report/accuracy_picture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <optional>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "apps/report/published.h"
#include "data/formats/atomic_file.h"
#include "data/formats/file_bytes.h"

namespace derrd::test::accuracy_picture_test {
namespace {

constexpr const char* kResults = DERRD_SOURCE "/bench/results/2026-11-30-epyc-2-cores.md";
constexpr const char* kTitle = "Table 2, H@5: CiteULike, BPR";
constexpr const char* kPicture = DERRD_SOURCE "/bench/results/table2-citeulike-bpr.svg";

ReportTable table_of(const std::vector<ReportRow>& rows) {
  ReportTable table;
  table.columns = {"M@5", "H@5"};
  table.rows = rows;
  return table;
}

ReportRow row_of(const std::string& label, std::vector<double> values,
                 std::optional<double> paper) {
  std::string id = label;
  std::ranges::transform(id, id.begin(), [](unsigned char c) { return std::tolower(c); });
  return {id, label, "", "", {{}, {FigureStyle::kMetric, std::move(values), paper}}};
}

/// The methods of the recorded table of BPR, "| RD | 0.4681 ± 0.0006 | ...", with their H@5. Two
/// values stand for all splits: with the recorded mean and standard error.
std::vector<ReportRow> recorded_rows() {
  const std::string text = read_text(kResults);
  std::istringstream lines(text.substr(text.find("\n### BPR\n")));
  std::vector<ReportRow> rows;
  for (std::string line; std::getline(lines, line) && line != "### NeuMF";) {
    static const std::regex kRow(R"(\| ([-A-Za-z]+)[ \\*]* \| (0\.\d+) ± (0\.\d+) \|.*)");
    std::smatch found;
    if (!std::regex_match(line, found, kRow) || rows.size() == 7) continue;
    const double mean = std::stod(found[2]), error = std::stod(found[3]);
    rows.push_back(row_of(found[1], {mean - error, mean + error}, {}));
    rows.back().figures[1].paper =
        published_row({2, "citeulike", "bpr", rows.back().id}).figure("H@5");
  }
  return rows;
}

TEST(AccuracyPicture, HasALineForEachMethodWithFigures) {
  const std::string svg = accuracy_picture(
      kTitle, table_of({row_of("Teacher", {.50, .54}, .51),
                        row_of("Student", {.44}, {}),
                        row_of("RD", {}, .45),
                        {"improv", "Improv.s", "", "", {{}, {FigureStyle::kPercent, {9}, {}}}}}));
  EXPECT_NE(svg.find(">Table 2, H@5: CiteULike, BPR</text>"), std::string::npos);
  EXPECT_NE(svg.find(">Teacher</text>"), std::string::npos);
  EXPECT_NE(svg.find(">0.5200</text>"), std::string::npos) << "the mean";
  EXPECT_NE(svg.find(">0.5100</text>"), std::string::npos) << "the paper's";
  EXPECT_NE(svg.find(">0.4400</text>"), std::string::npos);
  EXPECT_EQ(svg.find(">RD</text>"), std::string::npos) << "not trained";
  EXPECT_EQ(svg.find("Improv"), std::string::npos) << "no hit rate";
  // The axis goes from .44 to .54, that is from 110 to 580.
  EXPECT_NE(svg.find("d=\"M392.0 76.0H580.0\""), std::string::npos) << "the teacher's error";
  EXPECT_NE(svg.find("<circle class=\"ours\" cx=\"486.0\" cy=\"76.0\""), std::string::npos);
  EXPECT_NE(svg.find("<circle class=\"paper\" cx=\"439.0\" cy=\"76.0\""), std::string::npos);
  EXPECT_NE(svg.find("<path class=\"level c1\" d=\"M110.0"), std::string::npos);
}

TEST(AccuracyPicture, EscapesItsTitle) {
  const ReportTable table = table_of({row_of("Student", {.44}, {})});
  EXPECT_NE(
      accuracy_picture("a < b & \"c\"", table).find("aria-label=\"a &lt; b &amp; &quot;c&quot;\""),
      std::string::npos);
}

TEST(AccuracyPicture, ReadmesIsDrawnFromTheRecordedFigures) {
  const std::vector<ReportRow> rows = recorded_rows();
  ASSERT_EQ(rows.size(), 7u);
  const std::string svg = accuracy_picture(kTitle, table_of(rows));
  if (std::getenv("DERRD_WRITE_PICTURE") != nullptr) write_text(kPicture, svg);
  EXPECT_TRUE(read_text(kPicture) == svg)
      << kPicture << " is another one; write it again with DERRD_WRITE_PICTURE=1";
}

}  // namespace
}  // namespace derrd::test::accuracy_picture_test
