#pragma once

#include <cstdint>
#include <string>

#include "engine/device_dataset.h"
#include "engine/evaluation/latency.h"
#include "engine/models/model_file.h"
#include "kernels/platform/device.h"

namespace derrd {

/// Latencies of a model's lists for one user at a time.
struct ModelLatency {
  ListLatency full_sort;  ///< of all items
  ListLatency top10;
};

/// Measures a model's latencies. Shows the progress of long work on stderr.
/// @param name of the model, for the progress
/// @throws Error if a score is not finite.
ModelLatency measure_model_latency(const SavedModel& model, const DeviceDataset& data,
                                   const std::string& name, const Stream& stream);

}  // namespace derrd
