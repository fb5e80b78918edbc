#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/device_dataset.h"
#include "engine/distill/de.h"
#include "engine/distill/distiller.h"
#include "engine/distill/rrd.h"
#include "engine/parameters.h"
#include "engine/teacher.h"

namespace derrd {

struct DistillOptions {
  DeOptions de;
  RrdOptions rrd;
  int64_t list_length = 500;  ///< R, items in the teacher's ranking of each user
  int64_t batch_size = 1024;
  int64_t student_dim = 0;
};

/// The methods by name: "none", "de", "rrd", "de-rrd".
std::vector<std::string_view> distillation_methods();

/// The distillers of a method. To be called before Parameters::allocate(): they declare parameters
/// of their own.
/// @throws Error if there is no such method.
std::vector<std::unique_ptr<Distiller>> make_distillers(
    std::string_view method, const DistillOptions& options, const Embeddings& teacher,
    const DeviceDataset& data, Parameters& parameters, const Stream& stream);

}  // namespace derrd
