#include "engine/distill/de/expert_mixture.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace derrd {

namespace {

/// PyTorch's default for linear layers: uniform in +-1/sqrt(fan_in), weights and biases alike.
Parameters::Initial linear_initial(int64_t fan_in) {
  return {Parameters::Initial::Kind::kUniform, 1.0f / std::sqrt(static_cast<float>(fan_in))};
}

Vector<float> as_vector(Matrix<float> row) { return row.flat(); }

}  // namespace

int64_t expert_hidden_size(int64_t student_dim, int64_t teacher_dim) {
  const int64_t width =
      student_dim == teacher_dim ? student_dim / 2 : (student_dim + teacher_dim) / 2;
  return std::max<int64_t>(1, width);
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

void ExpertBuffers::reserve(const CallList<ExpertShape>& shapes) {
  const auto entities_by = [&](auto width) {
    return total_units(shapes, [&](const ExpertShape& s) { return s.capacity * width(s); });
  };
  for (auto* array : {&reconstruction_, &grad_reconstruction_}) {
    grow(*array, entities_by([](const ExpertShape& s) { return s.teacher; }));
  }
  for (auto* array : {&logits_, &probability_, &selection_, &grad_selection_, &grad_logits_}) {
    grow(*array, entities_by([](const ExpertShape& s) { return s.experts; }));
  }
  grow(workspace_floats_, total_units(shapes, experts_workspace_floats));
  grow(workspace_integers_, total_units(shapes, experts_workspace_integers));
}

int64_t ExpertBuffers::device_bytes(const CallList<ExpertShape>& shapes) {
  const int64_t floats = total_units(shapes, [](const ExpertShape& s) {
    return s.capacity * (2 * s.teacher + 5 * s.experts) + experts_workspace_floats(s);
  });
  return (floats + total_units(shapes, experts_workspace_integers)) *
         static_cast<int64_t>(sizeof(float));
}

CallList<ExpertMemory> ExpertBuffers::deal(const CallList<ExpertShape>& shapes) const {
  const CallList<ExpertsWorkspace> workspaces =
      make_experts_workspaces(shapes, workspace_floats_.view(), workspace_integers_.view());
  CallList<ExpertMemory> dealt;
  int64_t by_teacher = 0, by_experts = 0;
  for (const ExpertsWorkspace& workspace : workspaces) {
    const ExpertShape& s = workspace.shape;
    const auto teacher = [&](const DeviceArray<float>& array) {
      return Matrix<float>{array.data() + by_teacher, s.capacity, s.teacher};
    };
    const auto experts = [&](const DeviceArray<float>& array) {
      return Matrix<float>{array.data() + by_experts, s.capacity, s.experts};
    };
    dealt.add({.reconstruction = teacher(reconstruction_),
               .grad_reconstruction = teacher(grad_reconstruction_),
               .logits = experts(logits_),
               .probability = experts(probability_),
               .selection = experts(selection_),
               .grad_selection = experts(grad_selection_),
               .grad_logits = experts(grad_logits_),
               .workspace = workspace});
    by_teacher += s.capacity * s.teacher;
    by_experts += s.capacity * s.experts;
  }
  return dealt;
}

ExpertMixture::ExpertMixture(const std::string& name, ExpertOptions options, int64_t student_dim,
                             int64_t teacher_dim, int64_t capacity, Parameters& parameters)
    : options_(options),
      shape_{options.experts, student_dim, expert_hidden_size(student_dim, teacher_dim),
             teacher_dim, capacity},
      parameters_(parameters),
      epoch_(1),
      pairs_(1) {
  const auto [experts, student, hidden, teacher, entities] = shape_;
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

int64_t ExpertMixture::arena(const ExpertOptions& options, int64_t student_dim,
                             int64_t teacher_dim) {
  Parameters parameters;
  const ExpertMixture declared("", options, student_dim, teacher_dim, 0, parameters);
  return parameters.arena_size();
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

ExpertStep ExpertMixture::step(const ExpertPass& pass, const ExpertMemory& memory,
                               const EpochPlan& plan) const {
  const bool has_gate = options_.gate != Gate::kMean;
  const ActiveRows active = pass.rows.active();
  const GumbelSoftmaxCall select = {
      .logits = memory.logits,
      .bias = has_gate ? as_vector(parameters_.value(gate_bias_)) : Vector<float>{},
      .rows = pass.rows,
      .options = {plan.seed(), pass.noise, static_cast<float>(options_.floor),
                  options_.gate == Gate::kGumbel, pass.included},
      .epoch = epoch_.data(),
      .pairs = pairs_.data()};
  const ExpertsCall experts = {
      .student = pass.student,
      .selection = memory.selection,
      .parameters = {parameters_.value(weight1_), as_vector(parameters_.value(bias1_)),
                     parameters_.value(weight2_), parameters_.value(bias2_)},
      .workspace = memory.workspace,
      .path = path_,
      .active = active};
  ExpertStep step = {.select = {memory.selection, memory.probability, select},
                     .rebuild = {memory.reconstruction, experts},
                     .compare = {.loss = pass.loss,
                                 .grad_reconstruction = memory.grad_reconstruction,
                                 .reconstruction = memory.reconstruction,
                                 .teacher = pass.teacher,
                                 .options = {options_.norm, pass.entity_weight, pass.weight},
                                 .active = active},
                     .rebuild_backward = {{.student = pass.grad_student,
                                           .selection = memory.grad_selection,
                                           .parameters = {parameters_.gradient(weight1_),
                                                          as_vector(parameters_.gradient(bias1_)),
                                                          parameters_.gradient(weight2_),
                                                          parameters_.gradient(bias2_)}},
                                          memory.grad_reconstruction,
                                          experts},
                     .select_backward = {memory.grad_logits, memory.grad_selection,
                                         memory.selection, memory.probability, select}};
  if (has_gate) {
    step.gate = {memory.logits,
                 pass.teacher,
                 transpose(parameters_.value(gate_weight_)),
                 {.active = active}};
    step.gate_bias = {as_vector(parameters_.gradient(gate_bias_)), memory.grad_logits, active};
    step.gate_weight = {parameters_.gradient(gate_weight_),
                        transpose(memory.grad_logits),
                        pass.teacher,
                        {.beta = 1.0f, .active = active}};
  }
  return step;
}

}  // namespace derrd
