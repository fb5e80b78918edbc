#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace derrd {

/// Reader of the lines of a text in memory. A byte-order mark and the `\r` of `\r\n` are dropped,
/// and the last line may lack its newline.
class LineReader {
 public:
  /// Reads `text`; messages name `file`. Both must outlive the reader.
  /// @throws Error if the text is UTF-16 or binary.
  LineReader(std::string_view text, std::string_view file);

  /// Moves to the next line. Returns false after the last one.
  /// @throws Error if a `\r` stands within the line.
  bool next();
  /// Moves to the next line that is not blank. Returns false after the last one.
  /// @throws Error as next().
  bool next_filled();

  /// Current line, without its end.
  std::string_view line() const { return line_; }
  /// Number of the current line, from 1.
  int64_t number() const { return number_; }
  /// Name of the file, for messages.
  std::string_view file() const { return file_; }

  /// Reports an error in the current line.
  /// @throws Error `<file>:<line>: <what>`; `what` ends with the cure.
  [[noreturn]] void fail(std::string_view what) const;

 private:
  std::string_view rest_;
  std::string_view line_;
  std::string_view file_;
  int64_t number_ = 0;
};

/// Returns a text without the spaces and tabs at its ends.
std::string_view trim(std::string_view text);

/// Splits a line at spaces and tabs into `words`, which are overwritten.
void split_words(std::string_view line, std::vector<std::string_view>& words);

}  // namespace derrd
