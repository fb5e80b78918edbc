#include "engine/distill/de/experts_loss.h"

#include <fmt/format.h>

#include <optional>

#include "data/error.h"

namespace derrd {

ExpertMixture& ExpertsLoss::add_mixture(const std::string& entity, const ExpertOptions& options,
                                        int64_t student_dim, int64_t teacher_dim, int64_t capacity,
                                        Parameters& parameters) {
  mixtures_.push_back({entity, ExpertMixture("de." + entity, options, student_dim, teacher_dim,
                                             capacity, parameters)});
  return mixtures_.back().experts;
}

void ExpertsLoss::rebuild(const CallList<Pass>& passes, const EpochPlan& plan, LossSum loss,
                          const Stream& stream) const {
  const CallList<ExpertMemory> memory = buffers_.deal(
      passes.map([](const Pass& pass) { return pass.experts->shape(pass.entities.student.rows); }));
  CallList<ExpertStep> steps;
  for (int32_t i = 0; i < passes.count; ++i) {
    steps.add(passes[i].experts->step(passes[i].entities, memory[i], plan));
  }
  // One operation of all steps, and of the steps on one path.
  const auto all = [&](auto operation) {
    return steps.map([&](const ExpertStep& step) { return step.*operation; });
  };
  const auto on = [&](ExpertPath path, auto operation) {
    return all(operation).filter([&](const auto& pass) { return pass.call.path == path; });
  };
  const bool has_gate = passes[0].experts->options().gate != Gate::kMean;
  constexpr ExpertPath kPaths[] = {ExpertPath::kStacked, ExpertPath::kRouted};

  if (has_gate) {
    gemm(all(&ExpertStep::gate), stream);
  } else {
    for (const ExpertMemory& m : memory) {
      fill_zero(m.logits.data, m.logits.size() * static_cast<int64_t>(sizeof(float)), stream);
    }
  }
  gumbel_softmax_forward(all(&ExpertStep::select), stream);
  for (const ExpertPath path : kPaths) experts_forward(on(path, &ExpertStep::rebuild), stream);
  reconstruction_loss(all(&ExpertStep::compare), stream);
  for (const Pass& pass : passes) loss.add(pass.entities.loss);

  for (const ExpertPath path : kPaths) {
    experts_backward(on(path, &ExpertStep::rebuild_backward), stream);
  }
  if (!has_gate) return;
  gumbel_softmax_backward(all(&ExpertStep::select_backward), stream);
  accumulate_bias(all(&ExpertStep::gate_bias), stream);
  gemm(all(&ExpertStep::gate_weight), stream);
}

void ExpertsLoss::begin_epoch(const EpochPlan& plan, const Stream& stream) {
  for (Mixture& mixture : mixtures_) mixture.experts.begin_epoch(plan, stream);
}

void ExpertsLoss::end_epoch(const Stream& stream) {
  for (Mixture& mixture : mixtures_) mixture.experts.end_epoch(stream);
}

std::vector<double> ExpertsLoss::state() const {
  std::vector<double> state;
  for (const Mixture& mixture : mixtures_) {
    if (mixture.experts.active_share()) state.push_back(*mixture.experts.active_share());
  }
  return state;
}

void ExpertsLoss::restore(const std::vector<double>& state) {
  if (!state.empty() && state.size() != mixtures_.size()) {
    throw Error(fmt::format("the checkpoint holds {} active shares of experts instead of {}",
                            state.size(), mixtures_.size()));
  }
  for (size_t i = 0; i < mixtures_.size(); ++i) {
    mixtures_[i].experts.set_active_share(state.empty() ? std::nullopt : std::optional(state[i]));
  }
}

std::vector<std::pair<std::string, double>> ExpertsLoss::measurements() const {
  std::vector<std::pair<std::string, double>> measurements;
  for (const auto& [entity, experts] : mixtures_) {
    if (!experts.active_share()) continue;
    measurements.emplace_back(
        "live_experts_" + entity,
        *experts.active_share() * static_cast<double>(experts.shape().experts));
  }
  return measurements;
}

}  // namespace derrd
