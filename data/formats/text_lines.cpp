#include "data/formats/text_lines.h"

#include <fmt/format.h>

#include "data/error.h"

namespace derrd {

namespace {
constexpr std::string_view kBlank = " \t";
}

LineReader::LineReader(std::string_view text, std::string_view file) : rest_(text), file_(file) {
  if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);
  const bool utf16 = rest_.starts_with("\xFF\xFE") || rest_.starts_with("\xFE\xFF");
  if (utf16 || rest_.find('\0') != std::string_view::npos) {
    throw Error(fmt::format("{}: is not plain text; {}", file_,
                            utf16 ? "convert it from UTF-16 to UTF-8"
                                  : "unpack it, or check that it is the right file"));
  }
}

bool LineReader::next() {
  if (rest_.empty()) return false;
  const size_t end = rest_.find('\n');
  line_ = rest_.substr(0, end);
  rest_ = end == std::string_view::npos ? std::string_view() : rest_.substr(end + 1);
  ++number_;
  if (line_.ends_with('\r')) line_.remove_suffix(1);
  if (line_.find('\r') != std::string_view::npos) {
    fail("has a carriage return within the line; convert the line ends to \\n");
  }
  return true;
}

bool LineReader::next_filled() {
  while (next()) {
    if (line_.find_first_not_of(kBlank) != std::string_view::npos) return true;
  }
  return false;
}

void LineReader::fail(std::string_view what) const {
  throw Error(fmt::format("{}:{}: {}", file_, number_, what));
}

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

void split_words(std::string_view line, std::vector<std::string_view>& words) {
  words.clear();
  for (size_t begin = line.find_first_not_of(kBlank); begin != std::string_view::npos;) {
    const size_t end = line.find_first_of(kBlank, begin);
    words.push_back(line.substr(begin, end - begin));
    begin = line.find_first_not_of(kBlank, end);
  }
}

}  // namespace derrd
