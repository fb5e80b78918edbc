#pragma once

#include "data/formats/text_lines.h"
#include "data/interactions.h"
#include "data/readers.h"

namespace derrd {

/// A line per interaction, in the format of `options` (tsv, csv, inter or movielens).
Interactions parse_table(LineReader lines, const ReadOptions& options);

}  // namespace derrd
