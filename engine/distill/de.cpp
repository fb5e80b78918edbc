#include "engine/distill/de.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "data/error.h"
#include "kernels/embedding.h"
#include "kernels/gumbel_softmax.h"
#include "kernels/linear.h"
#include "kernels/sum.h"

namespace derrd {

namespace {

/// PyTorch's default for linear layers: uniform in +-1/sqrt(fan_in), weights and biases alike.
Parameters::Initial linear_initial(int64_t fan_in) {
  return {Parameters::Initial::Kind::kUniform, 1.0f / std::sqrt(static_cast<float>(fan_in))};
}

Vector<float> as_vector(Matrix<float> row) { return row.flat(); }

}  // namespace

int64_t expert_hidden_size(int64_t student_dim, int64_t teacher_dim) {
  return student_dim == teacher_dim ? student_dim / 2 : (student_dim + teacher_dim) / 2;
}

double expected_live_part(float temperature, float floor, int64_t experts) {
  // A weight vanishes once its log-score trails the best by x = -log(floor) tau. Of E scores with
  // Gumbel noise, E P(G > max - x) live; as E e^-max is distributed exponentially, that is
  // E e^x / (E + e^x) in the mean.
  const double threshold = std::max(floor, std::numeric_limits<float>::min());
  return 1 / (1 + static_cast<double>(experts) / std::exp(-std::log(threshold) * temperature));
}

ExpertPath expert_path(double live_part) {
  // What routing gathers and scatters costs about a fifth of a product more (measured on the CPU,
  // E = 30).
  constexpr double kRoutingPays = 0.8;
  return live_part < kRoutingPays ? ExpertPath::kRouted : ExpertPath::kStacked;
}

DeDistiller::DeDistiller(DeOptions options, const Embeddings& teacher, int64_t student_dim,
                         int64_t capacity, Parameters& parameters, const Stream& stream)
    : options_(options),
      shape_{options.experts, student_dim, expert_hidden_size(student_dim, teacher.dim),
             teacher.dim, capacity},
      parameters_(parameters),
      users_(declare("de.user.", parameters)),
      items_(declare("de.item.", parameters)),
      student_(capacity * shape_.student),
      grad_student_(capacity * shape_.student),
      teacher_(capacity * shape_.teacher),
      reconstruction_(capacity * shape_.teacher),
      grad_reconstruction_(capacity * shape_.teacher),
      logits_(capacity * shape_.experts),
      probability_(capacity * shape_.experts),
      selection_(capacity * shape_.experts),
      grad_selection_(capacity * shape_.experts),
      grad_logits_(capacity * shape_.experts),
      loss_terms_(capacity),
      workspace_floats_(experts_workspace_floats(shape_)),
      workspace_integers_(experts_workspace_integers(shape_)) {
  users_.teacher = DeviceArray<float>(teacher.user, stream);
  users_.rows = teacher.users;
  users_.pairs = DeviceArray<PairCount>(1);
  items_.teacher = DeviceArray<float>(teacher.item, stream);
  items_.rows = teacher.items;
  items_.pairs = DeviceArray<PairCount>(1);
}

DeDistiller::Side DeDistiller::declare(const char* name, Parameters& parameters) const {
  const auto [experts, student, hidden, teacher, capacity] = shape_;
  const std::string prefix = name;
  Side side;
  side.gate_weight =
      parameters.declare(prefix + "gate.weight", experts, teacher, linear_initial(teacher));
  side.gate_bias = parameters.declare(prefix + "gate.bias", 1, experts, linear_initial(teacher));
  side.weight1 = parameters.declare(prefix + "expert.weight1", experts * hidden, student,
                                    linear_initial(student));
  side.bias1 =
      parameters.declare(prefix + "expert.bias1", 1, experts * hidden, linear_initial(student));
  side.weight2 = parameters.declare(prefix + "expert.weight2", experts * hidden, teacher,
                                    linear_initial(hidden));
  side.bias2 =
      parameters.declare(prefix + "expert.bias2", experts, teacher, linear_initial(hidden));
  return side;
}

void DeDistiller::begin_epoch(const Batches& batches, const Stream& stream) {
  const double expected = expected_live_part(batches.temperature(), options_.floor, shape_.experts);
  for (Side* side : {&users_, &items_}) {
    side->path = expert_path(side->live_part.value_or(expected));
    side->pairs.zero(stream);
  }
}

void DeDistiller::end_epoch(const Stream& stream) {
  for (Side* side : {&users_, &items_}) {
    side->live_part = side->pairs.to_host(stream)[0].live_part();
  }
}

std::vector<double> DeDistiller::state() const {
  if (!users_.live_part) return {};
  return {*users_.live_part, *items_.live_part};
}

void DeDistiller::restore(const std::vector<double>& state) {
  if (!state.empty() && state.size() != 2) {
    throw Error(
        fmt::format("the checkpoint holds {} live parts of experts instead of 2", state.size()));
  }
  users_.live_part = state.empty() ? std::nullopt : std::optional(state[0]);
  items_.live_part = state.empty() ? std::nullopt : std::optional(state[1]);
}

std::vector<std::pair<std::string, double>> DeDistiller::measurements() const {
  if (!users_.live_part) return {};
  const auto experts = static_cast<double>(shape_.experts);
  return {{"live_experts_user", *users_.live_part * experts},
          {"live_experts_item", *items_.live_part * experts}};
}

void DeDistiller::add_gradients(const Batches& batches, const Representations& student,
                                double* loss, const Stream& stream) {
  add_gradients(users_,
                {batches.distinct_users(), student.user, student.grad_user,
                 RandomPurpose::kGumbelUsers, 1.0f},
                batches, loss, stream);
  add_gradients(items_,
                {batches.distinct_positives(), student.item, student.grad_item,
                 RandomPurpose::kGumbelPositives, 0.5f},
                batches, loss, stream);
  add_gradients(items_,
                {batches.distinct_negatives(), student.item, student.grad_item,
                 RandomPurpose::kGumbelNegatives, 0.5f},
                batches, loss, stream);
}

void DeDistiller::add_gradients(const Side& side, const Pass& pass, const Batches& batches,
                                double* loss, const Stream& stream) {
  const int64_t n = pass.rows.capacity;
  ExpertShape shape = shape_;
  shape.capacity = n;
  const ExpertsWorkspace workspace =
      make_experts_workspace(shape, workspace_floats_.view(), workspace_integers_.view());
  const ExpertParameters experts = {parameters_.value(side.weight1),
                                    as_vector(parameters_.value(side.bias1)),
                                    parameters_.value(side.weight2), parameters_.value(side.bias2)};
  const ExpertGradients grad_experts = {
      parameters_.gradient(side.weight1), as_vector(parameters_.gradient(side.bias1)),
      parameters_.gradient(side.weight2), parameters_.gradient(side.bias2)};
  const Matrix<float> gate = parameters_.value(side.gate_weight);
  const Vector<float> gate_bias = as_vector(parameters_.value(side.gate_bias));

  const Matrix<float> h_s = student_.matrix(n, shape.student);
  const Matrix<float> h_t = teacher_.matrix(n, shape.teacher);
  const Matrix<float> logits = logits_.matrix(n, shape.experts);
  const Matrix<float> alpha = probability_.matrix(n, shape.experts);
  const Matrix<float> s = selection_.matrix(n, shape.experts);
  const Matrix<float> reconstruction = reconstruction_.matrix(n, shape.teacher);
  const Matrix<float> grad_reconstruction = grad_reconstruction_.matrix(n, shape.teacher);
  const Matrix<float> grad_h_s = grad_student_.matrix(n, shape.student);
  const Matrix<float> grad_s = grad_selection_.matrix(n, shape.experts);
  const Matrix<float> grad_logits = grad_logits_.matrix(n, shape.experts);
  const Vector<float> loss_terms = loss_terms_.view().slice(0, n);

  const int32_t* live = &pass.rows.batch->count;
  const ExpertPath path = side.path;
  const GumbelOptions gumbel = {batches.seed(), pass.noise, options_.floor};
  const ReconstructionOptions reconstruction_options = {options_.preset == Preset::kPaper
                                                            ? ReconstructionNorm::kEuclidean
                                                            : ReconstructionNorm::kSquared,
                                                        pass.loss_weight, options_.weight};

  gather_rows(h_s, pass.student, pass.rows, stream);
  gather_rows(h_t, side.teacher.matrix(side.rows, shape.teacher), pass.rows, stream);
  linear_forward(logits, h_t, gate, gate_bias, Activation::kNone, live, stream);
  gumbel_softmax_forward(s, alpha, logits, pass.rows, gumbel, batches.epoch_state(), stream);
  count_pairs(side.pairs.data(), s, live, stream);
  experts_forward(reconstruction, h_s, s, experts, workspace, path, live, stream);
  reconstruction_loss(loss_terms, grad_reconstruction, reconstruction, h_t, reconstruction_options,
                      live, stream);
  accumulate_sum(loss, loss_terms, stream);

  experts_backward(grad_h_s, grad_s, grad_experts, grad_reconstruction, h_s, s, experts, workspace,
                   path, live, stream);
  gumbel_softmax_backward(grad_logits, grad_s, s, alpha, pass.rows, batches.epoch_state(), stream);
  linear_backward({}, parameters_.gradient(side.gate_weight),
                  as_vector(parameters_.gradient(side.gate_bias)), grad_logits, h_t, logits, gate,
                  Activation::kNone, live, stream);
  add_rows(pass.grad_student, grad_h_s, pass.rows, stream);
}

}  // namespace derrd
