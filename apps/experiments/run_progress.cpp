#include "apps/experiments/run_progress.h"

#include "apps/cli/message.h"

namespace derrd {

RunProgress::RunProgress(bool quiet) : quiet_(quiet), terminal_(on_terminal()) {}

RunProgress::~RunProgress() { keep_status(); }

void RunProgress::line(const std::string& text) {
  if (!quiet_) complain(text);
}

void RunProgress::complain(const std::string& text) { say_line(text); }

void RunProgress::status(const std::string& text) {
  if (!due()) return;
  last_status_ = Clock::now();
  if (terminal_) {
    show_status(text);
  } else {
    say_line(text);
  }
}

bool RunProgress::due() const {
  using std::chrono_literals::operator""s;
  using std::chrono_literals::operator""ms;
  return !quiet_ && Clock::now() - last_status_ >= (terminal_ ? 250ms : 60s);
}

}  // namespace derrd
