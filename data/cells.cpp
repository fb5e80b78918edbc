#include "data/cells.h"

#include <algorithm>

namespace derrd {

namespace {
constexpr auto kNone = std::string_view::npos;
}

CellSplitter::Range CellSplitter::plain_cell(std::string_view line, size_t at) const {
  const size_t end = separator_.empty() ? line.find_first_of(" \t", at) : line.find(separator_, at);
  return {at, std::min(end, line.size()), std::min(end, line.size())};
}

CellSplitter::Range CellSplitter::cell(LineReader& lines, size_t at) const {
  constexpr size_t kMaxCell = size_t{1} << 20;
  const bool tabs = separator_ == "\t";
  const char* blanks = tabs ? " " : " \t";
  const size_t quote = lines.line().find_first_not_of(blanks, at);
  if (quote == kNone || lines.line()[quote] != '"') return plain_cell(lines.line(), at);

  const size_t size = lines.line().size();  // to return to
  const auto as_text = [&](std::string_view error) {
    lines.shrink(size);
    if (!tabs) lines.fail(error);
    return plain_cell(lines.line(), at);
  };
  const auto tab_across_lines = [&](size_t end) {
    const std::string_view so_far = lines.line().substr(quote, end - quote);
    return tabs && end > size && so_far.find('\t') != kNone;
  };
  size_t end = quote + 1;
  for (;; end += 2) {
    for (; (end = lines.line().find('"', end)) == kNone;) {
      end = lines.line().size();
      if (tab_across_lines(end + 1) || end - quote > kMaxCell || !lines.extend()) {
        return as_text("has a quote that is not closed; close it");
      }
    }
    if (!lines.line().substr(end + 1).starts_with('"')) break;
  }
  const size_t next =
      std::min(lines.line().find_first_not_of(blanks, end + 1), lines.line().size());
  const bool separated =
      separator_.empty() ? next > end + 1 : lines.line().substr(next).starts_with(separator_);
  if (tab_across_lines(end) || (next < lines.line().size() && !separated)) {
    return as_text("has text behind a closing quote; double the quotes within a cell");
  }
  return {quote + 1, end, separator_.empty() ? end + 1 : next, true};
}

std::string_view CellSplitter::content(std::string_view line, const Range& range,
                                       std::string& unquoted) const {
  const std::string_view text = line.substr(range.begin, range.end - range.begin);
  if (!range.quoted || text.find('"') == kNone) return trim(text);
  unquoted.clear();
  for (size_t k = 0; k < text.size(); ++k) {
    unquoted += text[k];
    if (text[k] == '"') ++k;  // the second of a pair
  }
  return trim(unquoted);
}

void CellSplitter::split(LineReader& lines, std::vector<std::string_view>& cells) {
  const bool quotes = lines.line().find('"') != kNone;
  if (!quotes && separator_.empty()) return split_words(lines.line(), cells);
  ranges_.clear();
  for (size_t at = 0;;) {
    if (separator_.empty()) at = lines.line().find_first_not_of(" \t", at);
    if (at == kNone) break;  // blanks at the end
    ranges_.push_back(quotes ? cell(lines, at) : plain_cell(lines.line(), at));
    at = ranges_.back().next;
    if (at == lines.line().size()) break;
    at += separator_.size();
  }
  cells.clear();
  if (unquoted_.size() < ranges_.size()) unquoted_.resize(ranges_.size());
  for (size_t k = 0; k < ranges_.size(); ++k) {
    cells.push_back(content(lines.line(), ranges_[k], unquoted_[k]));
  }
}

}  // namespace derrd
