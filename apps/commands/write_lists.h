#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/commands/list_writer.h"
#include "data/dataset.h"
#include "engine/models/model_file.h"
#include "kernels/platform/device.h"

namespace derrd {

/// Writes the best `top` items of some users (all there are if they are fewer), without those that
/// they trained with, and completes the writer's file.
/// @param users their numbers in the data set, in the order in which they are written
/// @param name of the model, for messages
/// @throws Error if a score is not finite or the file can't be written.
void write_lists(ListWriter& writer, const Dataset& dataset, SavedModel model,
                 const std::vector<int32_t>& users, int64_t top, const std::string& name,
                 const Stream& stream);

/// The numbers of all users.
std::vector<int32_t> all_users(const Dataset& dataset);

}  // namespace derrd
