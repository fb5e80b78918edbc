#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/distill/de/expert_mixture.h"
#include "engine/distill/loss_factory.h"

namespace derrd {

/// Makes "de".
class DeFactory final : public LossFactory {
 public:
  DeFactory();

  std::string_view name() const override { return "de"; }
  std::string_view title() const override { return "Distillation Experts (de)"; }
  std::optional<std::string> option_error() const override;
  std::optional<std::string> user_gate_error(bool joint_vectors) const override;
  TeacherPart needs() const override { return TeacherPart::kVectors; }
  double recommended_share(std::string_view model) const override;
  std::unique_ptr<DistillationLoss> make(DistillContext& context) const override;
  double largest_matrix(double student_dim, double teacher_dim, double batch_size) const override;
  void add_memory(DistillMemory& memory) const override;

 private:
  /// Options of the temperature at which experts are chosen.
  std::vector<LossOption> temperature_options();
  ExpertOptions expert_options(const Conventions& conventions) const;
  /// Returns true if vectors of pairs are rebuilt.
  /// @throws Error if --tap asks for them and the teacher or the student has none.
  bool rebuilds_pairs(bool teacher_has, bool student_has) const;

  double weight_ = 1e-2;
  ExpertOptions experts_;
  std::string gate_ = "gumbel", tap_ = "auto";
};

}  // namespace derrd
