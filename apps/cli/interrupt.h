#pragma once

#include <stdexcept>
#include <string>

namespace derrd {

/// While it lives, the first SIGINT (Ctrl-C) or SIGTERM is only noted; a second one ends the
/// program at once. One at a time.
class InterruptWatch {
 public:
  InterruptWatch();
  ~InterruptWatch();
  InterruptWatch(const InterruptWatch&) = delete;
  InterruptWatch& operator=(const InterruptWatch&) = delete;

  /// The signal that arrived, 0: none.
  static int signal();
};

/// A run ended because a signal asked it to; what was to be kept is kept.
class Interrupted : public std::runtime_error {
 public:
  Interrupted(const std::string& message, int signal)
      : std::runtime_error(message), exit_code(128 + signal) {}
  const int exit_code;  ///< as shells report a signal: 130 for SIGINT, 143 for SIGTERM
};

}  // namespace derrd
