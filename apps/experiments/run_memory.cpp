#include "apps/experiments/run_memory.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "apps/cli/interrupt.h"
#include "apps/experiments/child_process.h"

namespace derrd {

namespace {

/// File in memory, which goes with the object and with the process.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(::memfd_create("derrd", MFD_CLOEXEC)) {}
  ~MemoryFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  bool is_open() const { return descriptor_ >= 0; }
  /// Path of the file for this process, and for its children until they execute a program.
  std::string path() const { return fmt::format("/proc/self/fd/{}", descriptor_); }
  std::string text() const {
    std::ifstream file(path());
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  int descriptor_;
};

}  // namespace

std::optional<ToldMemory> memory_of(const ExperimentRun& run) {
  const std::string& command = run.arguments.front();
  if (command != "train" && command != "distill") return std::nullopt;
  const MemoryFile output;
  if (!output.is_open()) return std::nullopt;
  std::vector<std::string> arguments = full_arguments(run);
  arguments.insert(arguments.end(), {"--threads=1", "--dry-run"});
  ChildProcess process(arguments, output.path(), "/dev/null");
  while (!process.poll()) {
    if (InterruptWatch::signal() != 0) return std::nullopt;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return read_memory_table(output.text());
}

}  // namespace derrd
