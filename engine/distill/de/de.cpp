#include "engine/distill/de/de.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "data/error.h"
#include "kernels/models/embedding.h"

namespace derrd {

namespace {

int64_t width(const std::vector<VectorTable>& tables) {
  int64_t cols = 0;
  for (const VectorTable& table : tables) cols += table.value.cols;
  return cols;
}

}  // namespace

DeLoss::DeLoss(DeOptions options, const TeacherVectorsView& teacher, const Model& student,
               int64_t capacity, Parameters& parameters, const Stream& stream)
    : DistillationLoss(options.weight),
      options_(options),
      users_{ExpertMixture("de.user", options.experts, width(student.representations().user),
                           teacher.user.cols, capacity, buffers_, parameters),
             DeviceArray<float>(teacher.user.values, stream),
             DeviceArray<uint8_t>(teacher.has_user, stream), teacher.user.rows},
      items_{ExpertMixture("de.item", options.experts, width(student.representations().item),
                           teacher.item.cols, capacity, buffers_, parameters),
             DeviceArray<float>(teacher.item.values, stream),
             DeviceArray<uint8_t>(teacher.has_item, stream), teacher.item.rows} {
  const ExpertShape& user = users_.experts.shape();
  const ExpertShape& item = items_.experts.shape();
  student_ = DeviceArray<float>(capacity * std::max(user.student, item.student));
  grad_student_ = DeviceArray<float>(student_.size());
  teacher_ = DeviceArray<float>(capacity * std::max(user.teacher, item.teacher));
}

void DeLoss::begin_epoch(const EpochPlan& plan, const Stream& stream) {
  for (Side* side : {&users_, &items_}) {
    if (side->experts.begin_epoch(plan, stream)) step_changes();
  }
}

void DeLoss::end_epoch(const Stream& stream) {
  for (Side* side : {&users_, &items_}) side->experts.end_epoch(stream);
}

std::vector<double> DeLoss::state() const {
  if (!users_.experts.live_part()) return {};
  return {*users_.experts.live_part(), *items_.experts.live_part()};
}

void DeLoss::restore(const std::vector<double>& state) {
  if (!state.empty() && state.size() != 2) {
    throw Error(
        fmt::format("the checkpoint holds {} live parts of experts instead of 2", state.size()));
  }
  users_.experts.set_live_part(state.empty() ? std::nullopt : std::optional(state[0]));
  items_.experts.set_live_part(state.empty() ? std::nullopt : std::optional(state[1]));
}

std::vector<std::pair<std::string, double>> DeLoss::measurements() const {
  if (!users_.experts.live_part()) return {};
  const auto experts = static_cast<double>(options_.experts.experts);
  return {{"live_experts_user", *users_.experts.live_part() * experts},
          {"live_experts_item", *items_.experts.live_part() * experts}};
}

void DeLoss::add_gradients(const EpochPlan& plan, Model& student, double* loss,
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

void DeLoss::add_gradients(Side& side, const std::vector<VectorTable>& student, const Pass& pass,
                           const EpochPlan& plan, double* loss, const Stream& stream) {
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
  gather_rows(h_t, 0, side.teacher.matrix(side.rows, shape.teacher), pass.rows, stream);
  side.experts.add_gradients(grad_h_s,
                             {h_s, h_t, pass.rows, pass.noise, pass.loss_weight,
                              static_cast<float>(weight()), side.included.view()},
                             plan, loss, stream);
  column = 0;
  for (const VectorTable& table : student) {
    add_rows(table.grad, grad_h_s, column, pass.rows, stream);
    column += table.grad.cols;
  }
}

}  // namespace derrd
