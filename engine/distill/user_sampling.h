#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/distill/conventions.h"
#include "engine/distill/loss_option.h"
#include "engine/distill/ranking_sampler.h"

namespace derrd {

/// Options of the items that Relaxed Ranking Distillation samples for each user. The losses rrd and
/// ir share them.
class UserSampling {
 public:
  UserSampling();
  UserSampling(const UserSampling&) = delete;
  UserSampling& operator=(const UserSampling&) = delete;

  /// Options to set; their values belong to this object.
  const std::vector<LossOption>& options() { return options_; }
  OptionValues option_values() const { return values_of(options_); }
  /// Returns an error message if the options contradict each other.
  std::optional<std::string> option_error() const;

  /// Options of the draw.
  RankingSamplerOptions sampler(const Conventions& conventions) const;
  /// Returns true if the order of all samples is learned (ablation (d) of Table 4), not only that
  /// of the interesting ones.
  bool orders_all() const { return ranking_ == "full"; }

 private:
  RankingSamplerOptions values_;
  std::string interesting_ = "sampled", ranking_ = "relaxed";
  std::vector<LossOption> options_;
};

}  // namespace derrd
