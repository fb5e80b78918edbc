#pragma once

#include <string>
#include <vector>

namespace derrd {

/// A file and the option that names it; an empty path: none.
struct NamedFile {
  const char* option;
  std::string path;
};

/// Whether two names lead to one file, through links too.
bool same_file(const std::string& a, const std::string& b);

/// @throws CLI::ValidationError if an output is also an input or another output.
void refuse_same_files(const std::vector<NamedFile>& inputs, const std::vector<NamedFile>& outputs);

/// Finds out at once what would otherwise end an hour's work: outputs that can't be written, or
/// that would destroy an input or each other. Leaves no file behind.
/// @throws CLI::ValidationError if two options name one file; Error if an output can't be written.
void check_outputs(const std::vector<NamedFile>& inputs, const std::vector<NamedFile>& outputs);

}  // namespace derrd
