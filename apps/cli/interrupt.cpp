#include "apps/cli/interrupt.h"

#include <unistd.h>

#include <csignal>
#include <string_view>

namespace derrd {

namespace {

volatile std::sig_atomic_t received = 0;

// Calls nothing but functions that are safe within a signal handler.
void note(int signal) {
  received = signal;
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  constexpr std::string_view kMessage =
      "\nstopping after this epoch; a second signal quits at once\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kMessage.data(), kMessage.size());
}

}  // namespace

InterruptWatch::InterruptWatch() {
  received = 0;
  std::signal(SIGINT, note);
  std::signal(SIGTERM, note);
}

InterruptWatch::~InterruptWatch() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

int InterruptWatch::signal() { return received; }

}  // namespace derrd
