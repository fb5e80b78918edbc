#include "engine/distill/gate_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "data/error.h"
#include "data/parse_number.h"

namespace derrd {

namespace {

constexpr const char* kGateRecordFormat = "derrd-gate-record";
constexpr const char* kUserExpert = "user_expert";
constexpr const char* kGateEntropy = "gate_entropy";

/// Returns a number of the metadata. @throws Error unless it is from `low` to `high`.
int64_t number_in(const SafetensorsFile& file, const char* key, int64_t low, int64_t high) {
  const auto number = parse_number<int64_t>(file.metadata_or(key, ""));
  if (number && *number >= low && *number <= high) return *number;
  throw Error(fmt::format("{}: damaged: {} has to be a number from {} to {}; record it again",
                          file.name(), key, low, high));
}

}  // namespace

int64_t GateRows::bytes(int64_t users, int64_t rows) {
  return rows *
         (users * static_cast<int64_t>(sizeof(int32_t)) + static_cast<int64_t>(sizeof(float)));
}

TensorMap gate_tensors(const GateRows& rows) {
  return {{kUserExpert, tensor_view(std::span(rows.user_expert), {rows.rows(), rows.users})},
          {kGateEntropy, tensor_view(rows.entropy)}};
}

bool has_gate_rows(const SafetensorsFile& file) { return file.contains(kUserExpert); }

GateRows gate_rows(const SafetensorsFile& file) {
  const std::vector<int64_t>& shape = file.tensor(kUserExpert).shape;
  GateRows rows = {0, file.values<int32_t>(kUserExpert), file.values<float>(kGateEntropy)};
  if (shape.size() != 2 || file.tensor(kGateEntropy).shape != std::vector{shape[0]}) {
    throw Error(fmt::format("{}: damaged: {} and {} do not have equally many rows", file.name(),
                            kUserExpert, kGateEntropy));
  }
  rows.users = shape[1];
  return rows;
}

void save_gate_record(const std::filesystem::path& path, const GateRows& rows, int64_t experts,
                      int64_t best_row, Metadata model) {
  model["format"] = kGateRecordFormat;
  model["experts"] = std::to_string(experts);
  model["best_row"] = std::to_string(best_row);
  write_safetensors(path, gate_tensors(rows), model);
}

GateRecord read_gate_record(const std::filesystem::path& path) {
  const SafetensorsFile file = SafetensorsFile::read(path);
  if (file.metadata_or("format", "") != kGateRecordFormat) {
    throw Error(fmt::format(
        "{}: no gate record; give a file that derrd distill --snapshot-gate wrote", file.name()));
  }
  GateRecord record = {0, 0, gate_rows(file), file.metadata()};
  constexpr int64_t kMostExperts = std::numeric_limits<int32_t>::max();
  record.experts = number_in(file, "experts", 1, kMostExperts);
  record.best_row = number_in(file, "best_row", 1, record.rows.rows() - 1);
  const auto known = [&](int32_t expert) { return expert >= kNoExpert && expert < record.experts; };
  const auto possible = [](float entropy) { return std::isfinite(entropy) && entropy >= 0; };
  if (!std::ranges::all_of(record.rows.user_expert, known) ||
      !std::ranges::all_of(record.rows.entropy, possible)) {
    throw Error(fmt::format("{}: damaged: {} or {} has an impossible value; record it again",
                            file.name(), kUserExpert, kGateEntropy));
  }
  return record;
}

}  // namespace derrd
