#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/distill/de/de.h"
#include "engine/distill/loss_factory.h"

namespace derrd {

/// "de".
class DeFactory final : public LossFactory {
 public:
  DeOptions& values() { return values_; }

  std::string_view name() const override { return "de"; }
  std::string_view title() const override { return "Distillation Experts (de)"; }
  std::vector<LossOption> options() override;
  std::string complaint() const override;
  TeacherPart needs() const override { return TeacherPart::kVectors; }
  double recommended_share(std::string_view model) const override;
  std::unique_ptr<DistillationLoss> make(const DistillContext& context) const override;

 private:
  DeOptions options_for(Preset preset) const;

  DeOptions values_;
  std::string gate_ = "gumbel", tap_ = "auto";
};

}  // namespace derrd
