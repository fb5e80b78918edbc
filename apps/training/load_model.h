#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "engine/models/model_file.h"

namespace derrd {

/// Warns on stderr if a file's metadata names another data set.
/// @param by_id whether ids say which users and items the rows are
void warn_of_other_dataset(const std::string& path, const Metadata& metadata,
                           const Dataset& dataset, bool by_id = false);

/// Warns on stderr of tensors with a row per user or item that are not used, if there are any.
void warn_of_unused(const std::string& path, const std::vector<std::string>& tensors);

/// Reads a model for a data set. Its rows are brought into the data set's order by the file's ids,
/// if it has any. Prints on stderr how many users and items were matched by id; warns if the model
/// was trained on another data set, or a tensor is not used.
/// @throws Error as load_model_file does.
SavedModel load_model(const SafetensorsFile& file, const Dataset& dataset);
SavedModel load_model(const std::filesystem::path& path, const Dataset& dataset);

}  // namespace derrd
