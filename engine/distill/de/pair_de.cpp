#include "engine/distill/de/pair_de.h"

#include "kernels/models/columns.h"

namespace derrd {

PairDeLoss::PairDeLoss(double weight, const ExpertOptions& options, JointVectors& teacher,
                       const Model& student, Columns student_columns, Columns teacher_columns,
                       Parameters& parameters)
    : ExpertsLoss(weight),
      teacher_(teacher),
      student_columns_(student_columns),
      teacher_columns_(teacher_columns),
      experts_(add_mixture("pair", options, student_columns.count, teacher_columns.count,
                           student.representations().pairs->vectors.value.rows, parameters)),
      capacity_(experts_.shape().capacity),
      student_(capacity_ * student_columns.count),
      grad_student_(student_.size()),
      teacher_joint_(capacity_ * teacher.joint_dim()),
      teacher_part_(capacity_ * teacher_columns.count),
      loss_terms_(capacity_) {
  reserve(experts_.shape());
  teacher.reserve_pairs(capacity_);
}

int64_t PairDeLoss::device_bytes(const ExpertShape& shape, int64_t joint_dim) {
  const int64_t floats = shape.capacity * (2 * shape.student + joint_dim + shape.teacher + 1);
  return ExpertBuffers::device_bytes(shape) + floats * static_cast<int64_t>(sizeof(float));
}

void PairDeLoss::add_gradients(const EpochPlan& plan, Model& student, LossSum loss,
                               const Stream& stream) {
  const PairVectors pairs = *student.representations().pairs;
  const Matrix<float> h_s = student_.matrix(capacity_, student_columns_.count);
  const Matrix<float> grad_h_s = grad_student_.matrix(capacity_, student_columns_.count);
  const Matrix<float> joint = teacher_joint_.matrix(capacity_, teacher_.joint_dim());
  const Matrix<float> h_t = teacher_part_.matrix(capacity_, teacher_columns_.count);
  RowSegments entities;  // a pair is numbered by its position in the epoch
  entities.batch = pairs.batch;
  entities.capacity = capacity_;

  teacher_.joint_vectors(joint, pairs.rows, stream);
  copy_columns(h_t, joint, teacher_columns_.first, stream);
  copy_columns(h_s, pairs.vectors.value, student_columns_.first, stream);
  rebuild(Pass{&experts_,
               {h_s, h_t, grad_h_s, loss_terms_.view(), entities, RandomPurpose::kGumbelPairs, 1.0f,
                static_cast<float>(weight())}},
          plan, loss, stream);
  add_columns(pairs.vectors.grad, grad_h_s, student_columns_.first, &pairs.batch->count, stream);
}

}  // namespace derrd
