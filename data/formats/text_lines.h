#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/error.h"
#include "data/formats/text_input.h"

namespace derrd {

/// Failure in a line of a text.
class LineError : public Error {
 public:
  using Error::Error;
};

/// Reader of the lines of a text, in memory or from a file. A byte-order mark and the `\r` of
/// `\r\n` are dropped, and the last line may lack its newline.
class LineReader {
 public:
  /// Reads `text`; messages name `file`. Both must outlive the reader.
  /// @throws Error if the text is UTF-16 or binary.
  LineReader(std::string_view text, std::string_view file);
  /// Reads a file bit by bit, so that a line holds until the next one. The input must outlive the
  /// reader. @throws Error as above.
  explicit LineReader(TextInput& input);

  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  /// Complete lines at the beginning of the text, at most 64 KiB unless a line is longer. Valid
  /// until the first next().
  std::string_view head() const;

  /// Moves to the next line. Returns false after the last one.
  /// @throws LineError if a `\r` stands within the line; Error if the rest can't be read.
  bool next();
  /// Moves to the next line that is not blank. Returns false after the last one.
  /// @throws LineError as next().
  bool next_filled();
  /// Adds the next line, and the line end before it, to the current one. Returns false if there is
  /// none.
  bool extend();
  /// Takes lines that extend() added off again, down to a size that line() had before.
  void shrink(size_t size);

  /// Current line, without its end.
  std::string_view line() const { return line_; }
  /// Number of the current line, from 1; of its first line if it was extended.
  int64_t number() const { return number_; }
  /// Name of the file, for messages.
  std::string_view file() const { return file_; }

  /// Reports an error in the current line.
  /// @throws LineError `<file>:<line>: <what>`; `what` ends with the cure.
  [[noreturn]] void fail(std::string_view what) const;

 private:
  /// Takes the bytes up to the next newline off `rest_`; returns them behind the `before` bytes in
  /// front of it.
  std::string_view take_line(size_t before);
  /// Reads more behind `rest_`, and keeps `before` bytes in front of it. Returns false at the end.
  bool refill(size_t before);
  void check_start();
  void refuse_binary(std::string_view text) const;

  TextInput* input_ = nullptr;
  bool ended_ = true;         // nothing is left to read
  std::vector<char> buffer_;  // holds `rest_` and `line_`
  std::string_view rest_;
  std::string_view line_;
  std::string_view file_;
  int64_t number_ = 0;
  int64_t added_lines_ = 0;  // by extend()
};

/// Returns a text without the spaces and tabs at its ends.
std::string_view trim(std::string_view text);

/// Returns whether the bytes are well-formed UTF-8.
bool is_utf8(std::string_view text);

/// Splits a line at spaces and tabs into `words`, which are overwritten.
void split_words(std::string_view line, std::vector<std::string_view>& words);

}  // namespace derrd
