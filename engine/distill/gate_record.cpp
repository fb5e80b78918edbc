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
#include "kernels/models/columns.h"
#include "kernels/platform/gemm.h"

namespace derrd {

namespace {

constexpr const char* kGateRecordFormat = "derrd-gate-record";
constexpr const char* kUserExpert = "user_expert";
constexpr const char* kGateEntropy = "gate_entropy";
constexpr int32_t kNoExpert = -1;
constexpr int64_t kFloatBytes = sizeof(float);

/// Users whose logits are in memory at once.
int64_t users_at_once(int64_t users, int64_t experts) {
  constexpr int64_t kLogits = int64_t{1} << 20;
  return std::clamp<int64_t>(kLogits / experts, 1, users);
}

/// Preferred expert of a user, and the entropy of the weights.
struct GateChoice {
  int32_t expert;
  double entropy;  // not finite where the logits are not
};

GateChoice choose_expert(std::span<const float> logits, std::span<const float> bias) {
  const auto logit = [&](size_t m) { return double{logits[m]} + bias[m]; };
  size_t best = 0;
  for (size_t m = 1; m < logits.size(); ++m) {
    if (logit(m) > logit(best)) best = m;
  }
  // With d = logit - greatest: log sum exp(d) - sum of d exp(d) / sum exp(d).
  double sum = 0, weighted = 0;
  for (size_t m = 0; m < logits.size(); ++m) {
    const double below = logit(m) - logit(best);
    const double weight = std::exp(below);
    sum += weight;
    weighted += below * weight;
  }
  return {static_cast<int32_t>(best), std::log(sum) - weighted / sum};
}

/// Returns a number of the metadata. @throws Error unless it is from `low` to `high`.
int64_t number_in(const SafetensorsFile& file, const char* key, int64_t low, int64_t high) {
  const auto number = parse_number<int64_t>(file.metadata_or(key, ""));
  if (number && *number >= low && *number <= high) return *number;
  throw Error(fmt::format("{}: damaged: {} has to be a number from {} to {}; record it again",
                          file.name(), key, low, high));
}

}  // namespace

int64_t GateRows::bytes(int64_t users, int64_t rows) {
  return rows * (users * static_cast<int64_t>(sizeof(int32_t)) + kFloatBytes);
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

GateRecorder::GateRecorder(UserGate gate, std::shared_ptr<GateRows> rows, int64_t most_rows,
                           const Stream& stream)
    : gate_(std::move(gate)),
      rows_(rows ? std::move(rows) : std::make_shared<GateRows>()),
      included_(static_cast<size_t>(gate_.included.size)),
      weight_(gate_.weight.size()) {
  const int64_t users = gate_.teacher[0].rows;
  if (rows_->rows() > 0 && rows_->users != users) {
    throw Error(fmt::format("the checkpoint holds the experts of {} users instead of {}",
                            rows_->users, users));
  }
  rows_->users = users;
  rows_->user_expert.reserve(static_cast<size_t>(most_rows * users));
  rows_->entropy.reserve(static_cast<size_t>(most_rows));
  logits_ = DeviceArray<float>(users_at_once(users, experts()) * experts());
  host_logits_.resize(static_cast<size_t>(logits_.size()));
  copy_to_host(included_.data(), gate_.included.data, gate_.included.size, stream);
}

MemoryBytes GateRecorder::memory(int64_t users, int64_t experts, int64_t teacher_dim,
                                 int64_t most_rows) {
  if (most_rows == 0) return {};
  const int64_t tile = users_at_once(users, experts) * experts;
  return {(experts * teacher_dim + tile) * kFloatBytes,
          GateRows::bytes(users, most_rows) + tile * kFloatBytes + users};
}

std::vector<GateRecorder::Part> GateRecorder::parts(const Stream& stream) const {
  std::vector<Part> parts;
  int64_t column = 0;
  for (const Matrix<const float>& table : gate_.teacher) {
    const Matrix<float> weight = {weight_.data() + column * experts(), experts(), table.cols};
    copy_columns(weight, gate_.weight, column, stream);
    parts.push_back({table, weight});
    column += table.cols;
  }
  return parts;
}

void GateRecorder::add_row(const Stream& stream) {
  const std::vector<Part> all = parts(stream);
  std::vector<float> bias(static_cast<size_t>(experts()));
  copy_to_host(bias.data(), gate_.bias.data, gate_.bias.size * kFloatBytes, stream);

  double entropy = 0;
  int64_t counted = 0;
  const int64_t at_once = logits_.size() / experts();
  for (int64_t first = 0; first < rows_->users; first += at_once) {
    const int64_t n = std::min(at_once, rows_->users - first);
    const Matrix<float> logits = logits_.matrix(n, experts());
    float beta = 0;
    for (const Part& part : all) {
      gemm(logits, part.teacher.slice(first, n), transpose(part.weight), {.beta = beta}, stream);
      beta = 1;
    }
    copy_to_host(host_logits_.data(), logits.data, logits.size() * kFloatBytes, stream);
    for (int64_t r = 0; r < n; ++r) {
      if (!included_.empty() && included_[static_cast<size_t>(first + r)] == 0) {
        rows_->user_expert.push_back(kNoExpert);
        continue;
      }
      const auto begin = host_logits_.begin() + r * experts();
      const GateChoice choice = choose_expert({begin, begin + experts()}, bias);
      rows_->user_expert.push_back(choice.expert);
      entropy += choice.entropy;
      ++counted;
    }
  }
  if (!std::isfinite(entropy)) {
    throw Error(fmt::format(
        "the gate of the experts is not finite after {} epochs: training diverged; lower --lr or "
        "--lambda-de",
        rows_->rows()));
  }
  rows_->entropy.push_back(static_cast<float>(entropy / static_cast<double>(counted)));
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
