#include "engine/distill/de/de.h"

#include <algorithm>

#include "kernels/models/embedding.h"

namespace derrd {

namespace {

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

}  // namespace

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
  student_ = DeviceArray<float>(capacity * std::max(user.student, item.student));
  grad_student_ = DeviceArray<float>(student_.size());
  teacher_ = DeviceArray<float>(capacity * std::max(user.teacher, item.teacher));
}

void DeLoss::add_gradients(const EpochPlan& plan, Model& student, LossSum loss,
                           const Stream& stream) {
  const Representations vectors = student.representations();
  add_gradients(users_, vectors.user, {plan.distinct_users(), RandomPurpose::kGumbelUsers, 1.0f},
                plan, loss, stream);
  add_gradients(items_, vectors.item,
                {plan.distinct_positives(), RandomPurpose::kGumbelPositives, 0.5f}, plan, loss,
                stream);
  add_gradients(items_, vectors.item,
                {plan.distinct_negatives(), RandomPurpose::kGumbelNegatives, 0.5f}, plan, loss,
                stream);
}

void DeLoss::add_gradients(const Side& side, const std::vector<VectorTable>& student,
                           const Pass& pass, const EpochPlan& plan, LossSum loss,
                           const Stream& stream) {
  const int64_t n = pass.rows.capacity;
  const ExpertShape& shape = side.experts.shape();
  const Matrix<float> h_s = student_.matrix(n, shape.student);
  const Matrix<float> h_t = teacher_.matrix(n, shape.teacher);
  const Matrix<float> grad_h_s = grad_student_.matrix(n, shape.student);

  int64_t column = 0;
  for (const VectorTable& table : student) {
    gather_rows(h_s, column, table.value, pass.rows, stream);
    column += table.value.cols;
  }
  column = 0;
  for (const Matrix<const float>& table : side.teacher) {
    gather_rows(h_t, column, table, pass.rows, stream);
    column += table.cols;
  }
  side.experts.add_gradients(grad_h_s,
                             {h_s, h_t, pass.rows, pass.noise, pass.entity_weight,
                              static_cast<float>(weight()), side.included},
                             plan, loss, stream);
  column = 0;
  for (const VectorTable& table : student) {
    add_rows(table.grad, grad_h_s, column, pass.rows, stream);
    column += table.grad.cols;
  }
}

}  // namespace derrd
