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

TEST(Frontier, HasALineForEachMethodThatWasTrained) {
  const std::string svg = frontier_picture(
      "a < b", {{"student", {{.2, .40}, {2, .48}}}, {"rd", {}}, {"de-rrd", {{.2, .45}}}},
      /*teacher=*/.5);
  EXPECT_NE(svg.find("a &lt; b"), std::string::npos);
  EXPECT_NE(svg.find("<path class=\"level c0\""), std::string::npos) << "the teacher";
  EXPECT_NE(svg.find("<path class=\"line c1\""), std::string::npos) << "the student";
  EXPECT_EQ(svg.find("<path class=\"line c2\""), std::string::npos) << "RD";
  EXPECT_NE(svg.find("<path class=\"line c3\""), std::string::npos) << "its own style without RD";
  EXPECT_NE(svg.find(">DE-RRD</text>"), std::string::npos);
  EXPECT_EQ(frontier_picture("t", {{"de", {{.2, .4}}}}, {}).find("<path class=\"level"),
            std::string::npos);
}

struct Recorded {
  std::optional<double> teacher;
  std::vector<FrontierLine> lines;
};

/// The table that is recorded under "Figure 4": "| 0.1, RD | 0.4646 ± 0.0069 | ... | 0.61M |".
Recorded recorded() {
  const std::string text = read_text(kResults);
  std::istringstream lines(text.substr(text.find("\n## Figure 4")));
  Recorded all;
  for (std::string line; std::getline(lines, line);) {
    static const std::regex kRow(
        R"(\| (?:([01]\.\d), )?([-A-Za-z]+) \| (0\.\d+) ± .*\| (\d+\.\d+)M \|)");
    std::smatch found;
    if (!std::regex_match(line, found, kRow)) continue;
    const double hit = std::stod(found[3]), millions = std::stod(found[4]);
    if (!found[1].matched) {
      all.teacher = hit;
      continue;
    }
    std::string method = found[2];
    std::ranges::transform(method, method.begin(), [](unsigned char c) { return std::tolower(c); });
    auto same = std::ranges::find(all.lines, method, &FrontierLine::method);
    if (same == all.lines.end()) same = all.lines.insert(same, {method, {}});
    same->points.push_back({millions, hit});
  }
  return all;
}

TEST(Frontier, ReadmesIsDrawnFromTheRecordedFigures) {
  const auto [teacher, lines] = recorded();
  ASSERT_TRUE(teacher);
  ASSERT_EQ(lines.size(), 6u);
  for (const FrontierLine& line : lines) EXPECT_EQ(line.points.size(), 3u) << line.method;
  const std::string svg = frontier_picture("H@5 over parameters: CiteULike, BPR", lines, teacher);
  if (std::getenv("DERRD_WRITE_PICTURE") != nullptr) write_text(kPicture, svg);
  EXPECT_TRUE(read_text(kPicture) == svg)
      << kPicture << " is another one; write it again with DERRD_WRITE_PICTURE=1";
}

}  // namespace
}  // namespace derrd::test::frontier_test
