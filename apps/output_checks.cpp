#include "apps/output_checks.h"

#include <fmt/format.h>

#include <filesystem>

#include "data/atomic_file.h"
#include "data/error.h"

namespace derrd {

namespace fs = std::filesystem;

void check_outputs(const std::vector<NamedFile>& inputs, const std::vector<NamedFile>& outputs) {
  std::vector<NamedFile> seen = inputs;
  for (const NamedFile& output : outputs) {
    if (output.path.empty()) continue;
    for (const NamedFile& other : seen) {
      if (other.path.empty()) continue;
      if (fs::weakly_canonical(other.path) == fs::weakly_canonical(output.path)) {
        throw Error(fmt::format("{} and {} both name {}; give each a file of its own", other.option,
                                output.option, output.path));
      }
    }
    seen.push_back(output);
    const AtomicFile writable(output.path);
  }
}

}  // namespace derrd
