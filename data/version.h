#pragma once

namespace derrd {

/// Version of the project, written into the metadata of every file.
inline constexpr const char* kVersion = DERRD_VERSION;

}  // namespace derrd
