#include "apps/cli/interrupt.h"

#include <unistd.h>

#include <array>
#include <csignal>
#include <string_view>

namespace derrd {

namespace {

struct Watched {
  int number;
  bool repeats;  // without anybody's asking again
};
constexpr std::array kWatched = {Watched{SIGINT, false}, Watched{SIGTERM, false},
                                 Watched{SIGHUP, true}, Watched{SIGUSR1, true},
                                 Watched{SIGXCPU, true}};

volatile std::sig_atomic_t received = 0;

using Handler = void (*)(int);

/// Sets a signal's handler, unless the program was started to ignore it.
void handle(int signal, Handler handler) {
  struct sigaction current = {};
  if (::sigaction(signal, nullptr, &current) == 0 && current.sa_handler != SIG_IGN) {
    std::signal(signal, handler);
  }
}

// Calls nothing but functions that are safe within a signal handler.
void note(int signal) {
  received = signal;
  for (const Watched& watched : kWatched) {
    handle(watched.number, watched.repeats ? [](int) {} : SIG_DFL);
  }
  constexpr std::string_view kMessage =
      "\nstopping after this epoch; a second Ctrl-C or SIGTERM quits at once\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kMessage.data(), kMessage.size());
}

}  // namespace

InterruptWatch::InterruptWatch() {
  received = 0;
  for (const Watched& watched : kWatched) handle(watched.number, note);
}

InterruptWatch::~InterruptWatch() { release(); }

void InterruptWatch::release() {
  for (const Watched& watched : kWatched) handle(watched.number, SIG_DFL);
}

int InterruptWatch::signal() { return received; }

}  // namespace derrd
