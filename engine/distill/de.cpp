#include "engine/distill/de.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "data/error.h"
#include "kernels/embedding.h"

namespace derrd {

namespace {

int64_t width(const std::vector<VectorTable>& tables) {
  int64_t cols = 0;
  for (const VectorTable& table : tables) cols += table.value.cols;
  return cols;
}

}  // namespace

DeDistiller::DeDistiller(DeOptions options, const TeacherVectorsView& teacher, const Model& student,
                         int64_t capacity, Parameters& parameters, const Stream& stream)
    : Distiller(options.weight),
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

void DeDistiller::begin_epoch(const Batches& batches, const Stream& stream) {
  for (Side* side : {&users_, &items_}) side->experts.begin_epoch(batches, stream);
}

void DeDistiller::end_epoch(const Stream& stream) {
  for (Side* side : {&users_, &items_}) side->experts.end_epoch(stream);
}

std::vector<double> DeDistiller::state() const {
  if (!users_.experts.live_part()) return {};
  return {*users_.experts.live_part(), *items_.experts.live_part()};
}

void DeDistiller::restore(const std::vector<double>& state) {
  if (!state.empty() && state.size() != 2) {
    throw Error(
        fmt::format("the checkpoint holds {} live parts of experts instead of 2", state.size()));
  }
  users_.experts.set_live_part(state.empty() ? std::nullopt : std::optional(state[0]));
  items_.experts.set_live_part(state.empty() ? std::nullopt : std::optional(state[1]));
}

std::vector<std::pair<std::string, double>> DeDistiller::measurements() const {
  if (!users_.experts.live_part()) return {};
  const auto experts = static_cast<double>(options_.experts.experts);
  return {{"live_experts_user", *users_.experts.live_part() * experts},
          {"live_experts_item", *items_.experts.live_part() * experts}};
}

void DeDistiller::add_gradients(const Batches& batches, Model& student, double* loss,
                                const Stream& stream) {
  const Representations vectors = student.representations();
  add_gradients(users_, vectors.user, {batches.distinct_users(), RandomPurpose::kGumbelUsers, 1.0f},
                batches, loss, stream);
  add_gradients(items_, vectors.item,
                {batches.distinct_positives(), RandomPurpose::kGumbelPositives, 0.5f}, batches,
                loss, stream);
  add_gradients(items_, vectors.item,
                {batches.distinct_negatives(), RandomPurpose::kGumbelNegatives, 0.5f}, batches,
                loss, stream);
}

void DeDistiller::add_gradients(Side& side, const std::vector<VectorTable>& student,
                                const Pass& pass, const Batches& batches, double* loss,
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
  gather_rows(h_t, 0, side.teacher.matrix(side.rows, shape.teacher), pass.rows, stream);
  side.experts.add_gradients(grad_h_s,
                             {h_s, h_t, pass.rows, pass.noise, pass.loss_weight,
                              static_cast<float>(weight()), side.included.view()},
                             batches, loss, stream);
  column = 0;
  for (const VectorTable& table : student) {
    add_rows(table.grad, grad_h_s, column, pass.rows, stream);
    column += table.grad.cols;
  }
}

std::vector<LossOption> DeLoss::options() {
  ExpertOptions& experts = values_.experts;
  TemperatureSchedule& tau = experts.temperature;
  constexpr double kSmallest = std::numeric_limits<double>::min();
  return {
      {"lambda-de", "Weight of the loss in the sum of all losses", &values_.weight, 0},
      {"experts",
       "Networks that reconstruct the teacher's vectors from the student's, for users and for "
       "items",
       &experts.experts, 1},
      {"gate",
       "How the experts are mixed. gumbel: one is selected, ever more sharply; attention: "
       "weighted, "
       "without noise; mean: all alike, one large expert",
       &gate_,
       {},
       {},
       {"gumbel", "attention", "mean"}},
      {"expert-floor",
       "Experts chosen with less than this weight are skipped; the default, 2^-24, changes nothing "
       "in a float32 sum of 1, 0 skips those only whose weight underflows",
       &experts.floor, 0},
      {"tau-start",
       "Temperature of the choice among the experts at first: near 1 all of them are mixed",
       &tau.start, kSmallest},
      {"tau-end",
       "Temperature at the horizon: near 0 every user and item has one expert of its own", &tau.end,
       kSmallest},
      {"tau-horizon", "Epoch at which it is reached, exponentially; independent of --epochs",
       &tau.horizon, 1},
      {"tau-epoch",
       "Epochs by which the schedule is ahead: times a late epoch without the early ones",
       &tau.offset, 0},
  };
}

double DeLoss::recommended_share(std::string_view model) const {
  return model == "neumf" ? 0.035 : 0.2;
}

std::unique_ptr<Distiller> DeLoss::make(const DistillContext& in) const {
  if (!in.teacher.model().tensors.contains("user_embedding")) {
    throw Error(fmt::format(
        "Distillation Experts rebuild a teacher's vectors of users and of items, and a model of "
        "kind {} scores by more than these; take a teacher that bpr trained, or another method",
        in.teacher.model().kind));
  }
  DeOptions options = values_;
  options.experts.gate = gate_ == "attention" ? Gate::kAttention
                         : gate_ == "mean"    ? Gate::kMean
                                              : Gate::kGumbel;
  const bool paper = in.preset == Preset::kPaper;
  options.experts.norm = paper ? ReconstructionNorm::kEuclidean : ReconstructionNorm::kSquared;
  options.experts.temperature.lag = paper ? 0 : 1;
  const int64_t capacity = std::min(in.batch_size, std::max(in.data.users(), in.data.items()));
  return std::make_unique<DeDistiller>(options, in.teacher.vectors(), in.student, capacity,
                                       in.parameters, in.stream);
}

}  // namespace derrd
