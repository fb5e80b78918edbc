#include "engine/distill/gate_recorder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "data/error.h"
#include "kernels/models/columns.h"
#include "kernels/platform/gemm.h"

namespace derrd {

namespace {

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

}  // namespace

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

}  // namespace derrd
