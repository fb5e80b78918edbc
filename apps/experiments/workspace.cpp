#include "apps/experiments/workspace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "apps/cli/interrupt.h"
#include "apps/cli/message.h"
#include "data/error.h"

namespace derrd {

Workspace::Workspace(const std::filesystem::path& folder) {
  const auto fail = [&](const std::string& why) {
    throw Error(fmt::format("{}: can't be worked in ({}); check --work", folder.string(), why));
  };
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail(error.message());
  // Children inherit the descriptor, and with it the lock: one that outlives a killed program still
  // keeps the next one from its files.
  const std::filesystem::path path = folder / "lock";
  lock_ = ::open(path.c_str(), O_RDWR | O_CREAT, 0666);
  if (lock_ < 0) fail(std::strerror(errno));
  for (bool told = false; ::flock(lock_, LOCK_EX | LOCK_NB) != 0; told = true) {
    if (errno != EWOULDBLOCK && errno != EINTR) fail(std::strerror(errno));
    if (!told) say("{}: another derrd works here, waiting", folder.string());
    if (InterruptWatch::signal() != 0) {
      ::close(lock_);
      throw Interrupted("interrupted while waiting", InterruptWatch::signal());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

Workspace::~Workspace() { ::close(lock_); }

}  // namespace derrd
