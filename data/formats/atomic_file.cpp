#include "data/formats/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "data/error.h"

namespace derrd {

namespace fs = std::filesystem;

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)) {
  std::error_code error;
  // A rename would replace a link or a device (/dev/stdout) itself, not what it stands for.
  if (fs::is_symlink(path_, error)) {
    const fs::path target = fs::weakly_canonical(path_, error);
    if (!error) path_ = target;
  }
  if (fs::exists(path_, error) && !fs::is_regular_file(path_, error)) {
    throw Error(fmt::format("{}: is not a regular file; name a file to write", path_.string()));
  }
  temporary_ = path_;
  temporary_ += fmt::format(".tmp-{}", ::getpid());
  // Not O_EXCL: a killed process with the same number may have left its temporary file behind.
  descriptor_ =
      ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (descriptor_ < 0) fail("can't create a file in its folder");
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::fail(std::string_view what) const {
  const int code = errno;
  const char* cure = code == ENOENT || code == ENOTDIR  ? "create the folder first"
                     : code == ENOSPC || code == EDQUOT ? "free some space"
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

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) fail("can't be flushed to disk");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("can't be renamed into place");
  ::close(descriptor_);
  descriptor_ = -1;
  // The rename itself survives a power cut only once the folder is on disk too; not every file
  // system can do it.
  const fs::path folder = path_.has_parent_path() ? path_.parent_path() : fs::path(".");
  const int folder_descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_descriptor >= 0) {
    ::fsync(folder_descriptor);
    ::close(folder_descriptor);
  }
}

void write_text(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace derrd
