#pragma once

#include <string>
#include <vector>

namespace derrd {

/// A file and the option that names it. An empty path stands for no file.
struct NamedFile {
  std::string option;
  std::string path;
  /// Whether an output is written in place, so that other names of it (hard links) change too.
  bool in_place = false;
};

/// Returns true if two names lead to the same file, through links too.
bool same_file(const std::string& a, const std::string& b);

/// Checks that no output is also an input or another output, under whatever name if it is written
/// in place. @throws UsageError if one is.
void refuse_same_files(const std::vector<NamedFile>& inputs, const std::vector<NamedFile>& outputs);

/// Checks before the work begins that all outputs can be written, and that none of them would
/// destroy an input or another output. Leaves no file behind.
/// @throws UsageError if two options name one file; Error if an output can't be written.
void check_outputs(const std::vector<NamedFile>& inputs, const std::vector<NamedFile>& outputs);

}  // namespace derrd
