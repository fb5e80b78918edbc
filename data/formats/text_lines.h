#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace derrd {

/// Walks over the lines of a text in memory. A byte-order mark and the `\r` of `\r\n` are dropped,
/// and the last line may lack its newline.
class LineReader {
 public:
  /// Both have to outlive the reader. \throws Error if the text is UTF-16 or binary.
  LineReader(std::string_view text, std::string_view file);

  /// Moves to the next line; false after the last one.
  /// \throws Error if a `\r` stands within the line.
  bool next();
  /// Like next(), past lines that hold nothing but spaces and tabs.
  bool next_filled();

  std::string_view line() const { return line_; }
  /// Of the current line, from 1.
  int64_t number() const { return number_; }
  std::string_view file() const { return file_; }

  /// \throws Error `<file>:<line>: <what>`; `what` ends with the cure.
  [[noreturn]] void fail(std::string_view what) const;

 private:
  std::string_view rest_;
  std::string_view line_;
  std::string_view file_;
  int64_t number_ = 0;
};

/// Without spaces and tabs at its ends.
std::string_view trim(std::string_view text);

/// The words of a line, which are separated by spaces and tabs, into `words`.
void split_words(std::string_view line, std::vector<std::string_view>& words);

}  // namespace derrd
