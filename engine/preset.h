#pragma once

namespace derrd {

/// Which convention applies where the paper and its authors' program differ.
enum class Preset { kAuthors, kPaper };

}  // namespace derrd
