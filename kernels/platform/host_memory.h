#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace derrd {

/// Memory of the host that this process can still get, in bytes: the smallest of what the machine
/// has available, swap included, what the control groups of the process (version 1 or 2) and their
/// ancestors leave, and what limits of address space and data (ulimit -v, -d) leave. Files in the
/// page cache that can be dropped count as free. None: the system does not say.
/// @param root folder that holds proc/ and sys/
std::optional<int64_t> available_host_memory(const std::filesystem::path& root = "/");

/// The most memory of the host that this process has had at once since it started, in bytes. None:
/// the system does not say.
/// @param root as above
std::optional<int64_t> peak_host_memory(const std::filesystem::path& root = "/");

}  // namespace derrd
