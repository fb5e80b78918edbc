#pragma once

#include <filesystem>

#include "data/dataset.h"
#include "engine/model_file.h"

namespace derrd {

/// Reads a model or teacher that goes with a data set. One that derrd trained on another data set
/// gets a warning on stderr: it may have seen the items held out here.
/// @throws Error as load_model_file does.
SavedModel load_model(const std::filesystem::path& path, const Dataset& dataset);

}  // namespace derrd
