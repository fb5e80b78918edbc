#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "apps/report/setting.h"
#include "engine/distill/gate_record.h"

namespace derrd {

/// DE with a record of its gate: a training by itself, as other figures need no record.
TrainedMethod recorded_de();

/// Returns the gate's record of the first split; none if its training is not in the plan or failed.
/// @throws Error if it can't be read.
std::optional<GateRecord> gate_record(const Setting& setting);

/// Returns the expert that the gate prefers for each user, at a row of its record; kNoExpert where
/// the teacher doesn't know the user.
std::span<const int32_t> choice_at(const GateRecord& record, int64_t row);

/// Expert and group of each user who has an expert.
struct ExpertsAndGroups {
  std::vector<int32_t> experts, groups;
};
ExpertsAndGroups experts_and_groups(const GateRecord& record, int64_t row, const UserGroups& users);

}  // namespace derrd
