#pragma once

#include <stdexcept>

namespace derrd {

/// Refuses what the command line asks for: a value, or options that contradict each other. main()
/// prints the message and ends the program with exit code 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace derrd
