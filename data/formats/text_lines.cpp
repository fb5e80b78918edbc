#include "data/formats/text_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "data/error.h"

namespace derrd {

namespace {
constexpr std::string_view kBlank = " \t";
constexpr size_t kHeadBytes = size_t{1} << 16;
constexpr size_t kBufferBytes = size_t{1} << 20;

bool is_utf16(std::string_view text) {
  return text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF");
}

}  // namespace

LineReader::LineReader(std::string_view text, std::string_view file) : rest_(text), file_(file) {
  check_start();
  refuse_binary(rest_);
}

LineReader::LineReader(TextInput& input)
    : input_(&input),
      ended_(false),
      buffer_(kBufferBytes),
      rest_(buffer_.data(), 0),
      file_(input.name()) {
  refill(0);
  check_start();
}

void LineReader::check_start() {
  if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);
  if (is_utf16(rest_)) {
    throw Error(fmt::format("{}: is not plain text; convert it from UTF-16 to UTF-8", file_));
  }
}

void LineReader::refuse_binary(std::string_view text) const {
  if (text.find('\0') == std::string_view::npos) return;
  throw Error(
      fmt::format("{}: is not plain text; unpack it, or check that it is the right file", file_));
}

bool LineReader::refill(size_t before) {
  if (ended_) return false;
  const size_t kept = before + rest_.size();
  std::memmove(buffer_.data(), rest_.data() - before, kept);
  if (2 * kept > buffer_.size()) buffer_.resize(2 * buffer_.size());
  const size_t wanted = buffer_.size() - kept;
  const size_t got = input_->read(buffer_.data() + kept, wanted);
  ended_ = got < wanted;
  rest_ = {buffer_.data() + before, rest_.size() + got};
  // UTF-16 has zeros too; check_start() says it better.
  if (number_ > 0 || !is_utf16(rest_)) refuse_binary({buffer_.data() + kept, got});
  return got > 0;
}

std::string_view LineReader::head() const {
  if (rest_.size() <= kHeadBytes) return rest_;
  size_t end = rest_.rfind('\n', kHeadBytes - 1);
  if (end == std::string_view::npos) end = rest_.find('\n');
  return rest_.substr(0, end == std::string_view::npos ? end : end + 1);
}

std::string_view LineReader::take_line(size_t before) {
  size_t end = 0;
  for (size_t searched = 0; (end = rest_.find('\n', searched)) == std::string_view::npos;) {
    end = searched = rest_.size();
    if (!refill(before)) break;
  }
  const std::string_view taken(rest_.data() - before, before + end);
  rest_.remove_prefix(std::min(end + 1, rest_.size()));
  return taken;
}

bool LineReader::next() {
  number_ += std::exchange(added_lines_, 0);
  if (rest_.empty() && !refill(0)) return false;
  line_ = take_line(0);
  ++number_;
  if (line_.ends_with('\r')) line_.remove_suffix(1);
  if (line_.find('\r') != std::string_view::npos) {
    fail("has a carriage return within the line; convert the line ends to \\n");
  }
  return true;
}

bool LineReader::extend() {
  const auto before = static_cast<size_t>(rest_.data() - line_.data());
  const size_t size = line_.size();
  const bool more = !rest_.empty() || refill(before);
  line_ = {rest_.data() - before, size};
  if (!more) return false;
  line_ = take_line(before);
  if (line_.ends_with('\r')) line_.remove_suffix(1);
  ++added_lines_;
  return true;
}

void LineReader::shrink(size_t size) {
  if (size == line_.size()) return;
  const char* end = rest_.data() + rest_.size();
  added_lines_ -= std::ranges::count(line_.substr(size), '\n');
  line_ = line_.substr(0, size);
  rest_ = {line_.data() + size, end};
  take_line(0);
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
