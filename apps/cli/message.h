#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace derrd {

/// Has the program outlive whoever reads its messages: writing to a pipe that nobody reads fails.
/// On stdout it still ends the program by SIGPIPE, unless that was ignored from the start. Call it
/// first.
void ignore_broken_pipes();

/// Text that is safe on a terminal: control characters other than newline and tab, and bytes that
/// are no UTF-8, become escapes such as `\x1b` and `\u009b`.
std::string visible(std::string_view text);

/// Prints lines on stderr, in one write, as visible(text). Replaces a status line. Errors are
/// ignored: a run outlives whoever reads its messages.
void say_formatted(fmt::string_view format, fmt::format_args arguments) noexcept;

template <class... Arguments>
void say(fmt::format_string<Arguments...> format, Arguments&&... arguments) noexcept {
  say_formatted(format, fmt::make_format_args(arguments...));
}

inline void say_line(std::string_view text) noexcept { say("{}", text); }

/// Tells whether a terminal shows stderr, where a status line may be rewritten.
bool on_terminal();
/// Returns the number of columns of that terminal.
size_t terminal_width();
/// Shows a line on that terminal, cut to its width, in place of the last status line.
void show_status(std::string_view text) noexcept;
/// Keeps the status line, if there is one, and moves on to the next line.
void keep_status() noexcept;

/// Prints a text on stdout; on a terminal as visible(text). finish_output tells of errors.
void print_text(std::string_view text);

/// Formats a text, and prints it by print_text.
template <class... Arguments>
void print_out(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  print_text(fmt::format(format, std::forward<Arguments>(arguments)...));
}

/// Writes what stdout still buffers. @throws Error if that, or an earlier print, failed.
void finish_output();

}  // namespace derrd
