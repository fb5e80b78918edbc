#include "apps/cli/message.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <iterator>

#include "data/error.h"

namespace derrd {

namespace {

bool status_open = false;
bool ends_by_sigpipe = false;  // if nobody reads stdout

constexpr std::string_view kEraseLine = "\r\x1b[K";

/// Length of the UTF-8 character that the text begins with; 0 if it is none.
size_t character_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const size_t length = byte(0) < 0x80   ? 1
                        : byte(0) < 0xc2 ? 0
                        : byte(0) < 0xe0 ? 2
                        : byte(0) < 0xf0 ? 3
                        : byte(0) < 0xf5 ? 4
                                         : 0;
  if (length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (byte(0) == 0xe0 && byte(1) < 0xa0) || (byte(0) == 0xf0 && byte(1) < 0x90);
  if (overlong) return 0;
  return length;
}

void write_error(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

/// Ends the program if nobody reads stdout any more.
void check_pipe() {
  if (errno != EPIPE || !ends_by_sigpipe) return;
  std::signal(SIGPIPE, SIG_DFL);
  std::raise(SIGPIPE);
}

}  // namespace

void ignore_broken_pipes() { ends_by_sigpipe = std::signal(SIGPIPE, SIG_IGN) != SIG_IGN; }

std::string visible(std::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    const auto first = static_cast<unsigned char>(text[0]);
    const size_t length = character_length(text);
    const bool control = (first < ' ' && first != '\n' && first != '\t') || first == 0x7f;
    if (length == 0 || control) {
      fmt::format_to(std::back_inserter(shown), "\\x{:02x}", first);
    } else if (first == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0) {
      fmt::format_to(std::back_inserter(shown), "\\u00{:02x}", static_cast<unsigned char>(text[1]));
    } else {
      shown += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return shown;
}

void say_formatted(fmt::string_view format, fmt::format_args arguments) noexcept {
  try {
    write_error((status_open ? std::string(kEraseLine) : "") +
                visible(fmt::vformat(format, arguments)) + "\n");
  } catch (const std::exception&) {  // no memory
    write_error("derrd: out of memory for a message\n");
  }
  status_open = false;
}

bool on_terminal() { return ::isatty(STDERR_FILENO) != 0; }

size_t terminal_width() {
  winsize size = {};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

void show_status(std::string_view text) noexcept {
  try {
    // A line that wraps could not be erased.
    write_error(std::string(kEraseLine) + visible(text).substr(0, terminal_width() - 1));
    status_open = true;
  } catch (const std::exception&) {  // no memory; the next one may have some
  }
}

void keep_status() noexcept {
  if (status_open) write_error("\n");
  status_open = false;
}

void print_text(std::string_view text) {
  static const bool terminal = ::isatty(STDOUT_FILENO) != 0;
  const std::string shown = terminal ? visible(text) : std::string();
  if (terminal) text = shown;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) check_pipe();
}

void finish_output() {
  if (std::fflush(stdout) != 0) check_pipe();
  if (std::ferror(stdout)) {
    throw Error("standard output can't be written; is the disk full?");
  }
}

}  // namespace derrd
