#include "apps/experiments/run_memory.h"

#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "apps/cli/interrupt.h"
#include "apps/experiments/child_process.h"
#include "data/formats/file_bytes.h"

namespace derrd {

namespace {

namespace fs = std::filesystem;

/// A new folder that goes with the object; without a name if none could be made.
class PassingFolder {
 public:
  PassingFolder() {
    std::error_code none;
    std::string name = (fs::temp_directory_path(none) / "derrd-XXXXXX").string();
    if (mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~PassingFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  PassingFolder(const PassingFolder&) = delete;
  PassingFolder& operator=(const PassingFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace

std::optional<ToldMemory> memory_of(const ExperimentRun& run) {
  const std::string& command = run.arguments.front();
  if (command != "train" && command != "distill") return std::nullopt;
  const PassingFolder folder;
  if (folder.path().empty()) return std::nullopt;
  std::vector<std::string> arguments = full_arguments(run);
  arguments.insert(arguments.end(), {"--threads=1", "--dry-run"});
  const fs::path output = folder.path() / "output";
  ChildProcess process(arguments, output, folder.path() / "errors");
  while (!process.poll()) {
    if (InterruptWatch::signal() != 0) return std::nullopt;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  if (!fs::exists(output)) return std::nullopt;
  return read_memory_table(read_text(output));
}

}  // namespace derrd
