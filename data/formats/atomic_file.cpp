#include "data/formats/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <utility>

#include "data/error.h"

namespace derrd {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kTemporaryBegin = "derrd-", kTemporaryEnd = ".tmp";
constexpr size_t kTemporaryDigits = 16;

/// Name that no process, on whatever machine, uses beside this one. It does not depend on the name
/// of the file, which may be as long as the file system allows.
std::string temporary_name() {
  std::random_device random;  // not a seed of the process: two containers have the same numbers
  return fmt::format("{}{:08x}{:08x}{}", kTemporaryBegin, random(), random(), kTemporaryEnd);
}

bool is_temporary_name(std::string_view name) {
  if (name.size() != kTemporaryBegin.size() + kTemporaryDigits + kTemporaryEnd.size()) return false;
  const std::string_view digits = name.substr(kTemporaryBegin.size(), kTemporaryDigits);
  return name.starts_with(kTemporaryBegin) && name.ends_with(kTemporaryEnd) &&
         digits.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

void remove_leftover(const fs::path& path) {
  // For writing, as NFS locks nothing else. Not blocking: it may be a pipe by now.
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor < 0) return;
  struct stat status {};
  if (::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) &&
      ::flock(descriptor, LOCK_EX | LOCK_NB) == 0) {
    ::unlink(path.c_str());
  }
  ::close(descriptor);
}

/// Removes leftovers from a folder for the first time in this process.
void remove_leftovers_once(const fs::path& folder) {
  static std::mutex mutex;
  static std::set<fs::path> seen;
  std::error_code error;
  const fs::path place = fs::canonical(folder, error);
  if (error) return;
  {
    const std::lock_guard lock(mutex);
    if (!seen.insert(place).second) return;
  }
  remove_leftovers(place);
}

}  // namespace

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)) {
  std::error_code error;
  // A rename would replace a link or a device (/dev/stdout) itself, not what it stands for.
  if (fs::is_symlink(path_, error)) {
    const fs::path target = fs::weakly_canonical(path_, error);
    if (!error) path_ = target;
  }
  struct stat status {};
  if (::stat(path_.c_str(), &status) != 0) {
    if (errno != ENOENT) fail("can't be written");
  } else if (!S_ISREG(status.st_mode)) {
    throw Error(fmt::format("{}: is not a regular file; name a file to write", path_.string()));
  }
  remove_leftovers_once(folder_of(path_));
  create();
}

void AtomicFile::create() {
  constexpr int kTries = 100;  // each can only fail by a process that removes leftovers just then
  for (int tries = 0; tries < kTries; ++tries) {
    temporary_ = path_;
    temporary_.replace_filename(temporary_name());
    descriptor_ =
        ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (descriptor_ < 0 && errno == EEXIST) continue;
    if (descriptor_ < 0) fail("can't create a file in its folder");
    // Between the two calls it looks like a leftover: who removes those may have it already.
    const bool taken = ::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    struct stat status {};
    if (!taken && ::fstat(descriptor_, &status) == 0 && status.st_nlink > 0) return;
    ::unlink(temporary_.c_str());
    ::close(std::exchange(descriptor_, -1));
  }
  errno = EEXIST;
  fail("can't create a file in its folder");
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::unlink(temporary_.c_str());
  ::close(descriptor_);
}

void AtomicFile::fail(std::string_view what) const {
  const int code = errno;
  const char* cure = code == ENOENT || code == ENOTDIR  ? "create the folder first"
                     : code == ENOSPC || code == EDQUOT ? "free some space"
                     : code == ENAMETOOLONG             ? "choose a shorter name"
                     : code == EFBIG                    ? "raise the limit on files (ulimit -f)"
                                                        : "check the folder's permissions and disk";
  throw Error(fmt::format("{}: {}: {}; {}", path_.string(), what, std::strerror(code), cure));
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("can't be written");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void AtomicFile::flush() {
  if (::fsync(descriptor_) != 0) fail("can't be flushed to disk");
}

void AtomicFile::commit() {
  flush();
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("can't be renamed into place");
  ::close(descriptor_);
  descriptor_ = -1;
  // The rename itself survives a power cut only once the folder is on disk too; not every file
  // system can do it.
  const int folder = ::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    ::fsync(folder);
    ::close(folder);
  }
}

void write_text(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

void remove_leftovers(const std::filesystem::path& folder) {
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (is_temporary_name(entry->path().filename().native())) remove_leftover(entry->path());
  }
}

}  // namespace derrd
