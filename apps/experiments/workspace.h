#pragma once

#include <filesystem>

namespace derrd {

/// Folder for the runs of `derrd reproduce` and `derrd search`. Only one program at a time works in
/// it: the lock is held until this object and all processes started meanwhile are gone.
class Workspace {
 public:
  /// Makes the folder, and waits while another program works in it.
  /// @throws Error if it can't be made; Interrupted by a signal while waiting.
  explicit Workspace(const std::filesystem::path& folder);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

 private:
  int lock_ = -1;
};

}  // namespace derrd
