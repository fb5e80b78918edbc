#include "data/text_sample.h"

#include <algorithm>
#include <array>
#include <map>

#include "data/cells.h"

namespace derrd {

TextSample sample_text(std::string_view head) {
  TextSample sample;
  int64_t number = 0;
  const auto is_comment = [](const SampleLine& line) {
    return line.text.starts_with('#') || line.text.starts_with('%');
  };
  while (!head.empty()) {
    const size_t end = std::min(head.find('\n'), head.size());
    SampleLine line{++number, head.substr(0, end)};
    head.remove_prefix(std::min(end + 1, head.size()));
    if (line.text.ends_with('\r')) line.text.remove_suffix(1);
    if (trim(line.text).empty()) continue;
    sample.lines.push_back(line);
  }
  const auto first = std::ranges::find_if_not(sample.lines, is_comment);
  if (first == sample.lines.end()) return sample;
  sample.comments.assign(sample.lines.begin(), first);
  sample.lines.erase(sample.lines.begin(), first);
  return sample;
}

Widths widths_of(std::span<const SampleLine> lines, const std::string& separator) {
  Widths widths;
  CellSplitter splitter(separator);
  std::vector<std::string_view> cells;
  std::map<size_t, size_t> lines_of_width;
  for (const SampleLine& line : lines) {
    LineReader reader(line.text, "");
    try {
      reader.next();
      splitter.split(reader, cells);
    } catch (const LineError&) {
      cells.clear();
    }
    widths.of_line.push_back(cells.size());
    ++lines_of_width[cells.size()];
  }
  for (const auto& [width, count] : lines_of_width) {
    if (width > 0 && count >= widths.usual_lines)
      widths = {std::move(widths.of_line), width, count};
  }
  return widths;
}

std::optional<std::string> agreed_separator(std::span<const SampleLine> lines) {
  const auto agreed = [&](const std::string& separator) {
    return widths_of(lines, separator).agree();
  };
  if (agreed("\t")) return "\t";
  std::string marks;
  for (const char mark : {',', ';', '|'}) {
    if (agreed(std::string(1, mark))) marks += mark;
  }
  std::map<char, int64_t> lines_begun;
  for (const SampleLine& line : lines) {
    const size_t at = line.text.find_first_of(marks);
    if (at != std::string_view::npos) ++lines_begun[line.text[at]];
  }
  if (!lines_begun.empty()) {
    return std::string(1, std::ranges::max_element(lines_begun, {}, [](const auto& entry) {
                            return entry.second;
                          })->first);
  }
  if (agreed("::")) return "::";
  return std::nullopt;
}

}  // namespace derrd
