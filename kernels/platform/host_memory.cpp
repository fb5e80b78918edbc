#include "kernels/platform/host_memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>

namespace derrd {

namespace {

namespace fs = std::filesystem;

constexpr int64_t kKilobyte = 1024;

/// The smallest of what is known.
class Least {
 public:
  void take(std::optional<int64_t> bytes) {
    if (!bytes) return;
    const int64_t left = std::max<int64_t>(0, *bytes);
    least_ = least_ ? std::min(*least_, left) : left;
  }
  std::optional<int64_t> value() const { return least_; }

 private:
  std::optional<int64_t> least_;
};

/// The number in a file that holds nothing else; none for "max", or if there is no such file.
std::optional<int64_t> number_in(const fs::path& path) {
  std::ifstream file(path);
  int64_t number = 0;
  if (file >> number) return number;
  return std::nullopt;
}

/// The number behind a word at the beginning of a line.
std::optional<int64_t> number_behind(const fs::path& path, std::string_view word) {
  std::ifstream file(path);
  std::string name;
  for (std::string rest; file >> name; std::getline(file, rest)) {
    int64_t number = 0;
    if (name == word && file >> number) return number;
  }
  return std::nullopt;
}

/// Names of the files of a control group.
struct GroupFiles {
  const char *limit, *use, *reclaimable;
};
constexpr GroupFiles kVersion1 = {"memory.limit_in_bytes", "memory.usage_in_bytes",
                                  "total_inactive_file"};
constexpr GroupFiles kVersion2 = {"memory.max", "memory.current", "inactive_file"};

std::optional<int64_t> left_in_group(const fs::path& group, const GroupFiles& files) {
  const std::optional<int64_t> limit = number_in(group / files.limit);
  const std::optional<int64_t> use = number_in(group / files.use);
  constexpr int64_t kNoLimit = int64_t{1} << 62;  // version 1 writes a number near 2^63
  if (!limit || !use || *limit >= kNoLimit) return std::nullopt;
  return *limit - *use + number_behind(group / "memory.stat", files.reclaimable).value_or(0);
}

/// The group at `path` below a mounted hierarchy, and those above it. A container may see its own
/// group as the topmost one, whatever the path says.
void take_groups(Least& least, const fs::path& mounted, const fs::path& path,
                 const GroupFiles& files) {
  for (fs::path group = path.relative_path();; group = group.parent_path()) {
    least.take(left_in_group(mounted / group, files));
    if (group.empty()) return;
  }
}

/// Lines "number:controllers:path"; version 2 has no controllers.
void take_control_groups(Least& least, const fs::path& root) {
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (controllers == ",,") {
      take_groups(least, root / "sys/fs/cgroup", path, kVersion2);
    } else if (controllers.find(",memory,") != std::string::npos) {
      take_groups(least, root / "sys/fs/cgroup/memory", path, kVersion1);
    }
  }
}

std::optional<int64_t> left_of_limit(decltype(RLIMIT_AS) resource, int64_t used_pages) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::nullopt;
  return static_cast<int64_t>(limit.rlim_cur) - used_pages * sysconf(_SC_PAGESIZE);
}

}  // namespace

std::optional<int64_t> available_host_memory(const fs::path& root) {
  Least least;
  const fs::path machine = root / "proc/meminfo";
  if (const auto kilobytes = number_behind(machine, "MemAvailable:")) {
    least.take((*kilobytes + number_behind(machine, "SwapFree:").value_or(0)) * kKilobyte);
  }
  take_control_groups(least, root);
  int64_t all = 0, resident = 0, shared = 0, code = 0, library = 0, data = 0;
  std::ifstream(root / "proc/self/statm") >> all >> resident >> shared >> code >> library >> data;
  least.take(left_of_limit(RLIMIT_AS, all));
  least.take(left_of_limit(RLIMIT_DATA, data));
  return least.value();
}

// Not from getrusage, whose peak includes that of the program that started this one.
std::optional<int64_t> peak_host_memory(const fs::path& root) {
  const auto kilobytes = number_behind(root / "proc/self/status", "VmHWM:");
  if (!kilobytes) return std::nullopt;
  return *kilobytes * kKilobyte;
}

}  // namespace derrd
