#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/distill/de/expert_mixture.h"
#include "engine/distill/loss.h"
#include "engine/parameters.h"

namespace derrd {

/// What the losses of Distillation Experts share: a mixture of experts for each kind of entity
/// (user, item, pair), its temperature and path in an epoch, and what it carries to the next one.
class ExpertsLoss : public DistillationLoss {
 public:
  std::string_view name() const final { return "de"; }
  void begin_epoch(const EpochPlan& plan, const Stream& stream) final;
  void end_epoch(const Stream& stream) final;
  /// The active share of each mixture in the last epoch; empty before the first has ended.
  std::vector<double> state() const final;
  void restore(const std::vector<double>& state) final;
  /// "live_experts_user", ...: experts per entity in the last epoch, on average.
  std::vector<std::pair<std::string, double>> measurements() const final;

 protected:
  using DistillationLoss::DistillationLoss;
  /// Adds the mixture of an entity, which lives as long as the loss, and declares its parameters
  /// ("de.<entity>.gate.weight", ...).
  /// @param capacity no batch has more entities
  ExpertMixture& add_mixture(const std::string& entity, const ExpertOptions& options,
                             int64_t student_dim, int64_t teacher_dim, int64_t capacity,
                             Parameters& parameters);

 private:
  struct Mixture {
    std::string entity;
    ExpertMixture experts;
  };

  ExpertBuffers buffers_;
  std::deque<Mixture> mixtures_;  // a deque: none of them moves
};

}  // namespace derrd
