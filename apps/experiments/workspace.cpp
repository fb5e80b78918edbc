#include "apps/experiments/workspace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

#include "apps/cli/interrupt.h"
#include "apps/cli/message.h"
#include "data/error.h"
#include "data/parse_number.h"

namespace derrd {

namespace {

namespace fs = std::filesystem;

/// Tells whether a process has a file open, as far as that may be known.
bool has_open(const fs::path& process, const struct stat& file) {
  std::error_code error;
  for (fs::directory_iterator entry(process / "fd", error), end; !error && entry != end;
       entry.increment(error)) {
    struct stat opened = {};
    if (::stat(entry->path().c_str(), &opened) == 0 && opened.st_dev == file.st_dev &&
        opened.st_ino == file.st_ino) {
      return true;
    }
  }
  return false;
}

/// Tells whether a process is stopped, as by Ctrl-Z.
bool is_stopped(const fs::path& process) {
  std::ifstream stat(process / "stat");
  const std::string text{std::istreambuf_iterator<char>(stat), {}};
  const size_t name_end = text.rfind(") ");  // a name may hold anything
  return name_end != std::string::npos && (text[name_end + 2] == 'T' || text[name_end + 2] == 't');
}

/// Describes the other processes that have the lock open: "process 12 (stopped), 14".
std::string describe_holders(int lock) {
  struct stat file = {};
  std::error_code error;
  if (::fstat(lock, &file) != 0) return "unknown";
  std::string holders;
  bool stopped = false;
  for (fs::directory_iterator process("/proc", error), end; !error && process != end;
       process.increment(error)) {
    const std::optional<int> number = parse_number<int>(process->path().filename().string());
    if (!number || *number == ::getpid() || !has_open(process->path(), file)) continue;
    holders += fmt::format("{}{}", holders.empty() ? "process " : ", ", *number);
    if (!is_stopped(process->path())) continue;
    holders += " (stopped)";
    stopped = true;
  }
  if (holders.empty()) return "of another user, container or machine";
  if (stopped) holders += "; kill -CONT lets the stopped go on, kill -KILL ends them";
  return holders;
}

}  // namespace

Workspace::Workspace(const fs::path& folder) {
  const auto fail = [&](const std::string& why) {
    throw Error(fmt::format("{}: can't be worked in ({}); check --work", folder.string(), why));
  };
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail(error.message());
  // Children inherit the descriptor, and with it the lock: one that outlives a killed program still
  // keeps the next one from its files.
  const fs::path path = folder / "lock";
  lock_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW, 0666);
  if (lock_ < 0) {
    const char* cure = errno == ELOOP || errno == EISDIR ? "; remove it" : "";
    fail(fmt::format("{}: {}{}", path.string(), std::strerror(errno), cure));
  }
  std::string told;
  for (int tries = 0; ::flock(lock_, LOCK_EX | LOCK_NB) != 0; ++tries) {
    if (errno != EWOULDBLOCK && errno != EINTR) fail(std::strerror(errno));
    constexpr int kTriesPerLook = 20;
    if (tries % kTriesPerLook == 0) {
      const std::string holders = describe_holders(lock_);
      if (holders != told)
        say("{}: waiting for another derrd that works here: {}", folder.string(), holders);
      told = holders;
    }
    if (InterruptWatch::signal() != 0) {
      ::close(lock_);
      throw Interrupted("interrupted while waiting", InterruptWatch::signal());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

Workspace::~Workspace() { ::close(lock_); }

}  // namespace derrd
