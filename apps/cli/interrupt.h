#pragma once

#include <stdexcept>
#include <string>

namespace derrd {

/// Catches the signals that ask a program to end, as long as it lives: SIGINT (Ctrl-C), SIGTERM,
/// SIGHUP (a closed terminal), SIGUSR1 and SIGXCPU (schedulers' warnings). Those that the program
/// was started to ignore stay ignored. It remembers the first signal; after it SIGINT and SIGTERM
/// end the program at once, and the others, which come repeatedly, do nothing. Only one object may
/// live at a time.
class InterruptWatch {
 public:
  InterruptWatch();
  ~InterruptWatch();
  InterruptWatch(const InterruptWatch&) = delete;
  InterruptWatch& operator=(const InterruptWatch&) = delete;

  /// Returns the signal that arrived, or 0.
  static int signal();
  /// Gives the signals their default effect, as between fork and exec.
  static void release();
};

/// Ends a run because a signal asked for it. The run's state has been saved.
class Interrupted : public std::runtime_error {
 public:
  Interrupted(const std::string& message, int signal)
      : std::runtime_error(message), exit_code(128 + signal) {}
  const int exit_code;  ///< as shells report the signal
};

}  // namespace derrd
