#pragma once

#include <stdexcept>
#include <string>

namespace derrd {

/// Catches SIGINT (Ctrl-C) and SIGTERM as long as it lives. It remembers the first signal; a second
/// one ends the program at once. Only one object may live at a time.
class InterruptWatch {
 public:
  InterruptWatch();
  ~InterruptWatch();
  InterruptWatch(const InterruptWatch&) = delete;
  InterruptWatch& operator=(const InterruptWatch&) = delete;

  /// Returns the signal that arrived, or 0.
  static int signal();
};

/// Ends a run because a signal asked for it. The run's state has been saved.
class Interrupted : public std::runtime_error {
 public:
  Interrupted(const std::string& message, int signal)
      : std::runtime_error(message), exit_code(128 + signal) {}
  const int exit_code;  ///< 130 for SIGINT, 143 for SIGTERM, as shells report them
};

}  // namespace derrd
