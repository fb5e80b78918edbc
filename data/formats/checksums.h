#pragma once

#include <cstddef>
#include <filesystem>
#include <initializer_list>
#include <list>
#include <span>
#include <string>

#include "data/formats/atomic_file.h"

namespace derrd {

/// Files that belong together, as the arrays and ids of a model, and the list of their checksums:
/// for each file a line `<XXH3-128 in hex>  <name>`, as `xxh128sum` writes and checks it. All are
/// in one folder. A group that is written only in part, since the process was killed, does not
/// match its list.
class FileGroup {
 public:
  /// Begins a group. @throws Error if the list can't be written.
  explicit FileGroup(const std::filesystem::path& list);

  /// Adds a file of these bytes, part after part, which replaces an old one only with commit().
  /// @throws Error if it can't be written, or its name has a line's end or a backslash in it.
  void add(const std::filesystem::path& path,
           std::initializer_list<std::span<const std::byte>> parts);

  /// Puts the list into place, and then the files. @throws Error if one of them can't be.
  void commit();

 private:
  AtomicFile list_;
  std::list<AtomicFile> files_;
};

/// Path of the list that has a file's checksum: `<f>.xxh128` for `<f>.user.npy`, `<f>.item.npy`,
/// `<f>.user_ids.txt` and `<f>.item_ids.txt`; empty for other names.
std::filesystem::path checksum_list_of(const std::filesystem::path& file);

/// Checks a file's contents by the list that has its checksum, if there is such a list.
/// @throws Error if the list has another checksum for it, or none.
void check_by_list(const std::filesystem::path& file, std::span<const std::byte> contents);

}  // namespace derrd
