#include "apps/cli/output_checks.h"

#include <fmt/format.h>

#include <filesystem>

#include "apps/cli/usage_error.h"
#include "data/formats/atomic_file.h"

namespace derrd {

namespace fs = std::filesystem;

namespace {

/// The place of a file, which need not exist, whatever path names it.
fs::path place_of(const std::string& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  const fs::path place = fs::weakly_canonical(absolute, error);
  return error ? absolute : place;  // some links lead nowhere: /dev/stdout of a pipe
}

/// Tells whether two names are of one file that is there.
bool hard_linked(const std::string& a, const std::string& b) {
  std::error_code error;
  return fs::equivalent(a, b, error) && !error;
}

}  // namespace

bool same_file(const std::string& a, const std::string& b) { return place_of(a) == place_of(b); }

void refuse_same_files(const std::vector<NamedFile>& inputs,
                       const std::vector<NamedFile>& outputs) {
  std::vector<NamedFile> seen = inputs;
  for (const NamedFile& output : outputs) {
    if (output.path.empty()) continue;
    for (const NamedFile& other : seen) {
      if (other.path.empty()) continue;
      const bool in_place = output.in_place || other.in_place;
      if (!same_file(other.path, output.path) &&
          !(in_place && hard_linked(other.path, output.path))) {
        continue;
      }
      throw UsageError(fmt::format("{} and {} both name {}; give each a file of its own",
                                   other.option, output.option, output.path));
    }
    seen.push_back(output);
  }
}

void check_outputs(const std::vector<NamedFile>& inputs, const std::vector<NamedFile>& outputs) {
  refuse_same_files(inputs, outputs);
  for (const NamedFile& output : outputs) {
    if (!output.path.empty()) const AtomicFile writable(output.path);
  }
}

}  // namespace derrd
