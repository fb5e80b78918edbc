#include "engine/distill/de/expert_mixture.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/common/sum.h"

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

double expected_active_share(float temperature, float floor, int64_t experts) {
  // A weight vanishes once its log-score trails the best by x = -log(floor) tau. Of E scores with
  // Gumbel noise, E P(G > max - x) live; as E e^-max is distributed exponentially, that is
  // E e^x / (E + e^x) in the mean.
  const double threshold = std::max(floor, std::numeric_limits<float>::min());
  return 1 / (1 + static_cast<double>(experts) / std::exp(-std::log(threshold) * temperature));
}

ExpertPath expert_path(double active_share) {
  // What routing gathers and scatters costs about a fifth of a product more (measured on the CPU,
  // E = 30).
  constexpr double kRoutingPays = 0.8;
  return active_share < kRoutingPays ? ExpertPath::kRouted : ExpertPath::kStacked;
}

void ExpertBuffers::reserve(const ExpertShape& shape) {
  for (auto* array : {&reconstruction_, &grad_reconstruction_}) {
    grow(*array, shape.capacity * shape.teacher);
  }
  for (auto* array : {&logits_, &probability_, &selection_, &grad_selection_, &grad_logits_}) {
    grow(*array, shape.capacity * shape.experts);
  }
  grow(loss_terms_, shape.capacity);
  grow(workspace_floats_, experts_workspace_floats(shape));
  grow(workspace_integers_, experts_workspace_integers(shape));
}

ExpertMixture::ExpertMixture(const std::string& name, ExpertOptions options, int64_t student_dim,
                             int64_t teacher_dim, int64_t capacity, ExpertBuffers& buffers,
                             Parameters& parameters)
    : options_(options),
      shape_{options.experts, student_dim, expert_hidden_size(student_dim, teacher_dim),
             teacher_dim, capacity},
      buffers_(buffers),
      parameters_(parameters),
      epoch_(1),
      pairs_(1) {
  const auto [experts, student, hidden, teacher, entities] = shape_;
  buffers.reserve(shape_);
  if (options.gate != Gate::kMean) {
    gate_weight_ =
        parameters.declare(name + ".gate.weight", experts, teacher, linear_initial(teacher));
    gate_bias_ = parameters.declare(name + ".gate.bias", 1, experts, linear_initial(teacher));
  }
  weight1_ = parameters.declare(name + ".expert.weight1", experts * hidden, student,
                                linear_initial(student));
  bias1_ = parameters.declare(name + ".expert.bias1", 1, experts * hidden, linear_initial(student));
  weight2_ = parameters.declare(name + ".expert.weight2", experts * hidden, teacher,
                                linear_initial(hidden));
  bias2_ = parameters.declare(name + ".expert.bias2", experts, teacher, linear_initial(hidden));
}

float ExpertMixture::temperature(int epoch) const {
  return options_.gate == Gate::kGumbel ? options_.temperature.at(epoch) : 1.0f;
}

void ExpertMixture::begin_epoch(const EpochPlan& plan, const Stream& stream) {
  const EpochState state = {static_cast<uint32_t>(plan.epoch()), temperature(plan.epoch())};
  set_epoch(epoch_.data(), state, stream);
  const double expected =
      expected_active_share(state.temperature, static_cast<float>(options_.floor), shape_.experts);
  pairs_.zero(stream);
  path_ = expert_path(active_share_.value_or(options_.gate == Gate::kGumbel ? expected : 1.0));
}

void ExpertMixture::end_epoch(const Stream& stream) {
  active_share_ = pairs_.to_host(stream)[0].active_share();
}

LinearCall ExpertMixture::gate_call(const Pass& pass) const {
  return {.in = pass.teacher,
          .weight = parameters_.value(gate_weight_),
          .bias = as_vector(parameters_.value(gate_bias_)),
          .active = pass.rows.active()};
}

GumbelSoftmaxCall ExpertMixture::softmax_call(const Pass& pass, const EpochPlan& plan) const {
  return {.logits = buffers_.logits_.matrix(pass.rows.capacity, shape_.experts),
          .rows = pass.rows,
          .options = {plan.seed(), pass.noise, static_cast<float>(options_.floor),
                      options_.gate == Gate::kGumbel, pass.included},
          .epoch = epoch_.data()};
}

void ExpertMixture::select(const Pass& pass, const EpochPlan& plan, const Stream& stream) {
  const int64_t n = pass.rows.capacity;
  const Matrix<float> logits = buffers_.logits_.matrix(n, shape_.experts);
  if (options_.gate == Gate::kMean) {
    fill_zero(logits.data, logits.size() * static_cast<int64_t>(sizeof(float)), stream);
  } else {
    linear_forward(logits, gate_call(pass), stream);
  }
  gumbel_softmax_forward(buffers_.selection_.matrix(n, shape_.experts),
                         buffers_.probability_.matrix(n, shape_.experts), softmax_call(pass, plan),
                         stream);
}

void ExpertMixture::select_backward(const Pass& pass, const EpochPlan& plan, const Stream& stream) {
  if (options_.gate == Gate::kMean) return;
  const int64_t n = pass.rows.capacity;
  const Matrix<float> grad_logits = buffers_.grad_logits_.matrix(n, shape_.experts);
  gumbel_softmax_backward(grad_logits, buffers_.grad_selection_.matrix(n, shape_.experts),
                          buffers_.selection_.matrix(n, shape_.experts),
                          buffers_.probability_.matrix(n, shape_.experts), softmax_call(pass, plan),
                          stream);
  linear_backward({.weight = parameters_.gradient(gate_weight_),
                   .bias = as_vector(parameters_.gradient(gate_bias_))},
                  grad_logits, buffers_.logits_.matrix(n, shape_.experts), gate_call(pass), stream);
}

void ExpertMixture::add_gradients(Matrix<float> grad_student, const Pass& pass,
                                  const EpochPlan& plan, LossSum loss, const Stream& stream) {
  const int64_t n = pass.rows.capacity;
  ExpertShape shape = shape_;
  shape.capacity = n;
  const Matrix<float> s = buffers_.selection_.matrix(n, shape.experts);
  const ExpertsCall call = {
      .student = pass.student,
      .selection = s,
      .parameters = {parameters_.value(weight1_), as_vector(parameters_.value(bias1_)),
                     parameters_.value(weight2_), parameters_.value(bias2_)},
      .workspace = make_experts_workspace(shape, buffers_.workspace_floats_.view(),
                                          buffers_.workspace_integers_.view()),
      .path = path_,
      .active = pass.rows.active()};
  const Matrix<float> reconstruction = buffers_.reconstruction_.matrix(n, shape.teacher);
  const Matrix<float> grad_reconstruction = buffers_.grad_reconstruction_.matrix(n, shape.teacher);
  const Vector<float> loss_terms = buffers_.loss_terms_.view().slice(0, n);

  select(pass, plan, stream);
  count_pairs(pairs_.data(), s, call.active, stream);
  experts_forward(reconstruction, call, stream);
  reconstruction_loss(loss_terms, grad_reconstruction,
                      {.reconstruction = reconstruction,
                       .teacher = pass.teacher,
                       .options = {options_.norm, pass.entity_weight, pass.weight},
                       .active = call.active},
                      stream);
  accumulate_sum(loss.total(), loss_terms, stream);

  experts_backward(
      {.student = grad_student,
       .selection = buffers_.grad_selection_.matrix(n, shape.experts),
       .parameters = {parameters_.gradient(weight1_), as_vector(parameters_.gradient(bias1_)),
                      parameters_.gradient(weight2_), parameters_.gradient(bias2_)}},
      grad_reconstruction, call, stream);
  select_backward(pass, plan, stream);
}

}  // namespace derrd
