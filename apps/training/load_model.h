#pragma once

#include <filesystem>
#include <string>

#include "data/dataset.h"
#include "engine/models/model_file.h"

namespace derrd {

/// Warns on stderr if a file's metadata names another data set.
void warn_of_other_dataset(const std::string& path, const Metadata& metadata,
                           const Dataset& dataset);

/// Reads a model for a data set; warns if it was trained on another one.
/// @throws Error as load_model_file does.
SavedModel load_model(const std::filesystem::path& path, const Dataset& dataset);

}  // namespace derrd
