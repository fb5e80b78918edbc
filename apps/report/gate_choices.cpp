#include "apps/report/gate_choices.h"

namespace derrd {

TrainedMethod recorded_de() { return {.method = "de", .records_gate = true}; }

std::optional<GateRecord> gate_record(const Setting& setting) {
  const ExperimentRun* trained =
      setting.results.run(setting.name(recorded_de(), setting.scope.splits.front()));
  if (trained == nullptr) return std::nullopt;
  return read_gate_record(trained->file(kGateFile));
}

std::span<const int32_t> choice_at(const GateRecord& record, int64_t row) {
  return std::span(record.rows.user_expert)
      .subspan(static_cast<size_t>(row * record.rows.users),
               static_cast<size_t>(record.rows.users));
}

ExpertsAndGroups experts_and_groups(const GateRecord& record, int64_t row,
                                    const UserGroups& users) {
  ExpertsAndGroups both;
  const auto choice = choice_at(record, row);
  for (size_t u = 0; u < choice.size(); ++u) {
    if (choice[u] == kNoExpert) continue;
    both.experts.push_back(choice[u]);
    both.groups.push_back(users.clusters.labels[u]);
  }
  return both;
}

}  // namespace derrd
