#pragma once

namespace derrd {

/// The project's version, as it is written into the metadata of every file.
inline constexpr const char* kVersion = DERRD_VERSION;

}  // namespace derrd
