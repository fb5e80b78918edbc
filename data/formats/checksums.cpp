#include "data/formats/checksums.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <string_view>

#include "data/error.h"
#include "data/formats/file_bytes.h"
#include "data/formats/hash.h"

namespace derrd {

namespace fs = std::filesystem;

namespace {

std::string checksum_line(const fs::path& file, const Hasher& hasher) {
  return fmt::format("{}  {}\n", hasher.hex(), file.filename().string());
}

}  // namespace

FileGroup::FileGroup(const fs::path& list) : list_(list) {}

void FileGroup::add(const fs::path& path, std::initializer_list<std::span<const std::byte>> parts) {
  if (path.filename().string().find_first_of("\n\\") != std::string::npos) {
    throw Error(
        fmt::format("{}: a list of checksums can't name it; choose a name without line "
                    "ends and backslashes",
                    path.string()));
  }
  AtomicFile& file = files_.emplace_back(path);
  Hasher hasher;
  for (const std::span<const std::byte> part : parts) {
    file.write(part);
    hasher.add(part);
  }
  list_.write(checksum_line(path, hasher));
}

void FileGroup::commit() {
  // When the first of them gets its name, all are on disk. From then on old files do not match the
  // list.
  for (AtomicFile& file : files_) file.flush();
  list_.commit();
  for (AtomicFile& file : files_) file.commit();
}

fs::path checksum_list_of(const fs::path& file) {
  const std::string name = file.string();
  for (const std::string_view end : {".user.npy", ".item.npy", ".user_ids.txt", ".item_ids.txt"}) {
    if (name.ends_with(end)) return name.substr(0, name.size() - end.size()) + ".xxh128";
  }
  return {};
}

void check_by_list(const fs::path& file, std::span<const std::byte> contents) {
  const fs::path list = checksum_list_of(file);
  std::error_code error;
  if (list.empty() || !fs::is_regular_file(list, error)) return;
  Hasher hasher;
  hasher.add(contents);
  const std::string lines = "\n" + read_text(list);
  if (lines.find("\n" + checksum_line(file, hasher)) != std::string::npos) return;
  throw Error(fmt::format(
      "{}: {} has no line for it with its checksum: one of the two is damaged, changed, renamed, "
      "or of an export that was interrupted; export again, or remove {} if the change was meant",
      file.string(), list.string(), list.string()));
}

}  // namespace derrd
