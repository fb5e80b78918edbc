#include "data/formats/text_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

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

std::string_view LineReader::head() const {
  constexpr size_t kHeadBytes = 65536;
  if (rest_.size() <= kHeadBytes) return rest_;
  size_t end = rest_.rfind('\n', kHeadBytes - 1);
  if (end == std::string_view::npos) end = rest_.find('\n');
  return rest_.substr(0, end == std::string_view::npos ? end : end + 1);
}

size_t LineReader::take_line() {
  const size_t end = std::min(rest_.find('\n'), rest_.size());
  rest_.remove_prefix(std::min(end + 1, rest_.size()));
  return end;
}

bool LineReader::next() {
  number_ += std::exchange(added_lines_, 0);
  if (rest_.empty()) return false;
  const char* begin = rest_.data();
  line_ = {begin, take_line()};
  ++number_;
  if (line_.ends_with('\r')) line_.remove_suffix(1);
  if (line_.find('\r') != std::string_view::npos) {
    fail("has a carriage return within the line; convert the line ends to \\n");
  }
  return true;
}

bool LineReader::extend() {
  if (rest_.empty()) return false;
  const char* begin = line_.data();
  const char* next = rest_.data();
  line_ = {begin, next + take_line()};
  if (line_.ends_with('\r')) line_.remove_suffix(1);
  ++added_lines_;
  return true;
}

void LineReader::shrink(size_t size) {
  const char* end = rest_.data() + rest_.size();
  rest_ = {line_.data() + size, end};
  take_line();
  added_lines_ -= std::ranges::count(line_.substr(size), '\n');
  line_ = line_.substr(0, size);
}

bool LineReader::next_filled() {
  while (next()) {
    if (line_.find_first_not_of(kBlank) != std::string_view::npos) return true;
  }
  return false;
}

void LineReader::fail(std::string_view what) const {
  throw LineError(fmt::format("{}:{}: {}", file_, number_, what));
}

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

bool is_utf8(std::string_view text) {
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
  for (size_t at = 0; at < text.size();) {
    const unsigned first = byte(at);
    const size_t length = first < 0x80   ? 1
                          : first < 0xC2 ? 0
                          : first < 0xE0 ? 2
                          : first < 0xF0 ? 3
                          : first < 0xF5 ? 4
                                         : 0;
    if (length == 0 || at + length > text.size()) return false;
    for (size_t k = 1; k < length; ++k) {
      if ((byte(at + k) & 0xC0) != 0x80) return false;
    }
    // Overlong forms, surrogates, and what lies beyond U+10FFFF.
    const unsigned second = length > 2 ? byte(at + 1) : 0;
    if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second >= 0xA0) ||
        (first == 0xF0 && second < 0x90) || (first == 0xF4 && second >= 0x90)) {
      return false;
    }
    at += length;
  }
  return true;
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
