#include "engine/distill/de/de.h"

#include <algorithm>

#include "kernels/models/embedding.h"
#include "kernels/platform/slices.h"

namespace derrd {

namespace {

constexpr int64_t kPasses = 3;  ///< users, positive items, negative items

int64_t width(const std::vector<VectorTable>& tables) {
  int64_t cols = 0;
  for (const VectorTable& table : tables) cols += table.value.cols;
  return cols;
}

int64_t width(const EmbeddingTables& tables) {
  int64_t cols = 0;
  for (const Matrix<const float>& table : tables) cols += table.cols;
  return cols;
}

/// Shapes of the passes that run together.
CallList<ExpertShape> together(const ExpertShape& user, const ExpertShape& item) {
  CallList<ExpertShape> shapes(user);
  for (int64_t i = 1; i < calls_at_once(kPasses); ++i) shapes.add(item);
  return shapes;
}

}  // namespace

int64_t DeLoss::device_bytes(const ExpertShape& user, const ExpertShape& item) {
  const int64_t rows = user.capacity * calls_at_once(kPasses);
  const int64_t floats =
      rows * (2 * std::max(user.student, item.student) + std::max(user.teacher, item.teacher)) +
      user.capacity * kPasses;
  return std::max(ExpertBuffers::device_bytes(together(user, item)),
                  ExpertBuffers::device_bytes(item)) +
         floats * static_cast<int64_t>(sizeof(float));
}

DeLoss::DeLoss(double weight, const ExpertOptions& options, const TeacherVectorsView& teacher,
               const Model& student, int64_t capacity, Parameters& parameters)
    : ExpertsLoss(weight),
      users_{add_mixture("user", options, width(student.representations().user),
                         width(teacher.user), capacity, parameters),
             teacher.user, teacher.has_user},
      items_{add_mixture("item", options, width(student.representations().item),
                         width(teacher.item), capacity, parameters),
             teacher.item, teacher.has_item} {
  const ExpertShape& user = users_.experts.shape();
  const ExpertShape& item = items_.experts.shape();
  reserve(together(user, item));
  reserve(item);
  const int64_t rows = capacity * calls_at_once(kPasses);
  student_ = DeviceArray<float>(rows * std::max(user.student, item.student));
  grad_student_ = DeviceArray<float>(student_.size());
  teacher_ = DeviceArray<float>(rows * std::max(user.teacher, item.teacher));
  loss_terms_ = DeviceArray<float>(capacity * kPasses);
}

std::optional<UserGate> DeLoss::user_gate() const {
  const ExpertMixture& experts = users_.experts;
  if (experts.options().gate == Gate::kMean) return std::nullopt;
  return UserGate{experts.gate_weight(), experts.gate_bias(), users_.teacher, users_.included};
}

void DeLoss::add_gradients(const EpochPlan& plan, Model& student, LossSum loss,
                           const Stream& stream) {
  const Representations vectors = student.representations();
  CallList<Rows> passes;
  int64_t by_entity = 0;
  const auto add = [&](const Side& side, const std::vector<VectorTable>& tables, RowSegments rows,
                       RandomPurpose noise, float entity_weight) {
    const Vector<float> loss_terms = loss_terms_.view().slice(by_entity, rows.capacity);
    by_entity += rows.capacity;
    passes.add({&side, &tables, rows, loss_terms, noise, entity_weight});
  };
  add(users_, vectors.user, plan.distinct_users(), RandomPurpose::kGumbelUsers, 1.0f);
  add(items_, vectors.item, plan.distinct_positives(), RandomPurpose::kGumbelPositives, 0.5f);
  add(items_, vectors.item, plan.distinct_negatives(), RandomPurpose::kGumbelNegatives, 0.5f);
  run_calls(passes,
            [&](const CallList<Rows>& together) { rebuild_rows(together, plan, loss, stream); });
}

void DeLoss::rebuild_rows(const CallList<Rows>& passes, const EpochPlan& plan, LossSum loss,
                          const Stream& stream) {
  CallList<RowGathering> gathered;
  CallList<RowAddition> added;
  CallList<Pass> rebuilt;
  int64_t by_student = 0, by_teacher = 0;
  for (const Rows& pass : passes) {
    const int64_t n = pass.rows.capacity;
    const ExpertShape& shape = pass.side->experts.shape();
    const Matrix<float> h_s = {student_.data() + by_student, n, shape.student};
    const Matrix<float> grad_h_s = {grad_student_.data() + by_student, n, shape.student};
    const Matrix<float> h_t = {teacher_.data() + by_teacher, n, shape.teacher};
    by_student += h_s.size();
    by_teacher += h_t.size();

    int64_t column = 0;
    for (const VectorTable& table : *pass.student) {
      gathered.add({h_s, column, table.value, pass.rows});
      added.add({table.grad, grad_h_s, column, pass.rows});
      column += table.value.cols;
    }
    column = 0;
    for (const Matrix<const float>& table : pass.side->teacher) {
      gathered.add({h_t, column, table, pass.rows});
      column += table.cols;
    }
    rebuilt.add({&pass.side->experts,
                 {h_s, h_t, grad_h_s, pass.loss, pass.rows, pass.noise, pass.entity_weight,
                  static_cast<float>(weight()), pass.side->included}});
  }
  gather_rows(gathered, stream);
  rebuild(rebuilt, plan, loss, stream);
  add_rows(added, stream);
}

}  // namespace derrd
