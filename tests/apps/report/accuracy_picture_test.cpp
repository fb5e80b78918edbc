// The picture of Table 2: what it shows.

#include "apps/report/accuracy_picture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <string>
#include <vector>

namespace derrd::test::accuracy_picture_test {
namespace {

constexpr const char* kTitle = "Table 2, H@5: CiteULike, BPR";

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

}  // namespace
}  // namespace derrd::test::accuracy_picture_test
