#pragma once

#include <filesystem>

namespace derrd {

/// The folder that the runs of `derrd reproduce` and `derrd search` lie in. One program works in it
/// at a time: the lock is held until this object and every run that it started are gone.
class Workspace {
 public:
  /// Makes the folder, and waits while another program works in it. @throws Error; Interrupted.
  explicit Workspace(const std::filesystem::path& folder);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

 private:
  int lock_ = -1;
};

}  // namespace derrd
