#include "apps/experiments/run_progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "apps/cli/progress.h"

namespace derrd {

RunProgress::RunProgress(bool quiet) : quiet_(quiet), terminal_(::isatty(STDERR_FILENO) != 0) {}

RunProgress::~RunProgress() {
  if (status_open_) fmt::print(stderr, "\n");
}

void RunProgress::line(const std::string& text) {
  if (!quiet_) complain(text);
}

void RunProgress::complain(const std::string& text) {
  fmt::print(stderr, "{}{}\n", status_open_ ? "\r\x1b[K" : "", text);  // return, erase the line
  status_open_ = false;
}

void RunProgress::status(const std::string& text) {
  if (!due()) return;
  last_status_ = Clock::now();
  if (terminal_) {
    fmt::print(stderr, "\r\x1b[K{}", text.substr(0, terminal_width() - 1));
    status_open_ = true;
  } else {
    fmt::print(stderr, "{}\n", text);
  }
}

bool RunProgress::due() const {
  using std::chrono_literals::operator""s;
  using std::chrono_literals::operator""ms;
  return !quiet_ && Clock::now() - last_status_ >= (terminal_ ? 250ms : 60s);
}

}  // namespace derrd
