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

/// Base of the losses of Distillation Experts: a mixture of experts for each kind of entity (user,
/// item, pair), its temperature and path in an epoch, and its state between epochs.
class ExpertsLoss : public DistillationLoss {
 public:
  std::string_view name() const final { return "de"; }
  void begin_epoch(const EpochPlan& plan, const Stream& stream) final;
  void end_epoch(const Stream& stream) final;
  /// The active share of each mixture in the last epoch; empty before the first has ended.
  std::vector<double> state() const final;
  /// Takes back what state() returned. @throws Error if it has another number of mixtures.
  void restore(const std::vector<double>& state) final;
  /// Mean number of active experts per entity in the last epoch: "live_experts_user", ...
  std::vector<std::pair<std::string, double>> measurements() const final;

 protected:
  using DistillationLoss::DistillationLoss;
  /// Adds the mixture of a kind of entity and declares its parameters ("de.<entity>.gate.weight",
  /// ...). The mixture lives as long as the loss.
  /// @param capacity no batch has more entities
  ExpertMixture& add_mixture(const std::string& entity, const ExpertOptions& options,
                             int64_t student_dim, int64_t teacher_dim, int64_t capacity,
                             Parameters& parameters);
  /// Entities of a batch, and the mixture that rebuilds them.
  struct Pass {
    const ExpertMixture* experts = nullptr;
    ExpertPass entities;
  };
  /// Makes room for passes that run together, one of each shape.
  void reserve(const CallList<ExpertShape>& shapes) { buffers_.reserve(shapes); }
  /// Queues forward and backward passes that run together: gradients of gates and experts
  /// accumulate, `loss` grows. Passes of one mixture are adjacent.
  void rebuild(const CallList<Pass>& passes, const EpochPlan& plan, LossSum loss,
               const Stream& stream) const;

 private:
  struct Mixture {
    std::string entity;
    ExpertMixture experts;
  };

  ExpertBuffers buffers_;
  std::deque<Mixture> mixtures_;  // a deque: none of them moves
};

}  // namespace derrd
