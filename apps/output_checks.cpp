#include "apps/output_checks.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "data/atomic_file.h"

namespace derrd {

namespace fs = std::filesystem;

bool same_file(const std::string& a, const std::string& b) {
  std::error_code error;  // of a name that can't be followed, /dev/stdout of a pipe
  const fs::path first = fs::weakly_canonical(a, error);
  if (error) return a == b;
  const fs::path second = fs::weakly_canonical(b, error);
  return error ? a == b : first == second;
}

void check_outputs(const std::vector<NamedFile>& inputs, const std::vector<NamedFile>& outputs) {
  std::vector<NamedFile> seen = inputs;
  for (const NamedFile& output : outputs) {
    if (output.path.empty()) continue;
    for (const NamedFile& other : seen) {
      if (other.path.empty()) continue;
      if (same_file(other.path, output.path)) {
        throw CLI::ValidationError(
            output.option,
            fmt::format("{} names {} too; give each a file of its own", other.option, output.path));
      }
    }
    seen.push_back(output);
    const AtomicFile writable(output.path);
  }
}

}  // namespace derrd
