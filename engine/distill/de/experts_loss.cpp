#include "engine/distill/de/experts_loss.h"

#include <fmt/format.h>

#include <optional>

#include "data/error.h"

namespace derrd {

ExpertMixture& ExpertsLoss::add_mixture(const std::string& entity, const ExpertOptions& options,
                                        int64_t student_dim, int64_t teacher_dim, int64_t capacity,
                                        Parameters& parameters) {
  mixtures_.push_back({entity, ExpertMixture("de." + entity, options, student_dim, teacher_dim,
                                             capacity, buffers_, parameters)});
  return mixtures_.back().experts;
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
