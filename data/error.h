#pragma once

#include <stdexcept>

namespace derrd {

/// Failure with a message that names the file (and line, if any), what is wrong and the cure.
/// Programs print it as `derrd: <message>` and exit with 1.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace derrd
