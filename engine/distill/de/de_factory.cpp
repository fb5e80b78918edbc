#include "engine/distill/de/de_factory.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "data/error.h"
#include "engine/distill/de/de.h"
#include "engine/distill/de/pair_de.h"
#include "engine/distill/gate_recorder.h"
#include "engine/models/catalogue.h"
#include "engine/models/perceptron.h"

namespace derrd {

DeFactory::DeFactory() {
  options_ = {
      {"lambda-de", "Weight of the loss in the sum of all losses", &weight_, 0},
      {"experts",
       "Number of expert networks that rebuild the teacher's vectors from the student's. Users and "
       "items have a set of this size each, pairs have one",
       &experts_.experts, 1},
      {"gate",
       "Way of mixing the experts. gumbel: sampled weights, which approach a choice of one expert; "
       "attention: the gate's weights without noise; mean: equal weights, as in one large network",
       &gate_,
       {},
       {},
       {"gumbel", "attention", "mean"}},
      {"tap",
       "Vectors to rebuild. joint: the last layer of a NeuMF, which joins user and item; mlp: the "
       "perceptron's part of that layer; embedding: the vectors of users and of items; auto: joint "
       "if teacher and student have it, else embedding",
       &tap_,
       {},
       {},
       {"auto", "joint", "mlp", "embedding"}},
      {"expert-floor",
       "Smallest weight of an expert that counts; experts below it are skipped. The default, "
       "2^-24, is lost in a float32 sum of 1 anyway; 0 skips only weights that underflow",
       &experts_.floor, 0, 1},
  };
  for (LossOption& option : temperature_options()) options_.push_back(std::move(option));
}

std::vector<LossOption> DeFactory::temperature_options() {
  TemperatureSchedule& tau = experts_.temperature;
  constexpr double kSharpest = 1e-10;  // gumbel_softmax's bounds
  constexpr double kSmoothest = 10;
  return {
      {"tau-start", "Temperature of the gate in the first epoch: near 1 all experts are mixed",
       &tau.start, kSharpest, kSmoothest},
      {"tau-end",
       "Temperature of the gate at the horizon: near 0 each user, item or pair has one expert",
       &tau.end, kSharpest, kSmoothest},
      {"tau-horizon",
       "Epoch in which the temperature reaches --tau-end; it falls exponentially, whatever "
       "--epochs is",
       &tau.horizon, 1},
      {"tau-epoch",
       "Epochs to skip in the temperature's schedule, to time a late epoch without the early ones",
       &tau.offset, 0},
  };
}

std::optional<std::string> DeFactory::option_error() const {
  const TemperatureSchedule& tau = experts_.temperature;
  if (tau.end <= tau.start) return std::nullopt;
  return fmt::format("--tau-end {} is above --tau-start {}: the choice has to become sharper",
                     tau.end, tau.start);
}

std::optional<std::string> DeFactory::user_gate_error(bool joint_vectors) const {
  if (gate_ == "mean") {
    return "--gate mean mixes all experts alike, without a gate; take gumbel or attention";
  }
  if (tap_ == "joint" || tap_ == "mlp" || (joint_vectors && tap_ == "auto")) {
    return fmt::format(
        "--tap {} has experts of pairs of a user and an item, and none of users; take --tap "
        "embedding",
        tap_);
  }
  return std::nullopt;
}

double DeFactory::recommended_share(std::string_view model) const {
  return model == "neumf" ? 0.035 : 0.2;
}

ExpertOptions DeFactory::expert_options(const Conventions& conventions) const {
  ExpertOptions options = experts_;
  options.gate = gate_ == "attention" ? Gate::kAttention
                 : gate_ == "mean"    ? Gate::kMean
                                      : Gate::kGumbel;
  options.norm = conventions.reconstruction_norm;
  options.temperature.lag = conventions.temperature_lag;
  return options;
}

bool DeFactory::rebuilds_pairs(bool teacher_has, bool student_has) const {
  const bool possible = teacher_has && student_has;
  if (!possible && (tap_ == "joint" || tap_ == "mlp")) {
    throw Error(
        fmt::format("--tap {} rebuilds what a NeuMF makes of a user and an item together, "
                    "and the {} is none; take --tap embedding",
                    tap_, student_has ? "teacher" : "student"));
  }
  return possible && tap_ != "embedding";
}

double DeFactory::largest_matrix(double student_dim, double teacher_dim, double batch_size) const {
  // A NeuMF has two vectors.
  const double width = 2 * (student_dim + teacher_dim);
  return static_cast<double>(experts_.experts) * width * std::max(width, batch_size);
}

void DeFactory::add_memory(DistillMemory& memory) const {
  const ExpertOptions options = expert_options(memory.conventions);
  const TeacherSizes& teacher = memory.teacher.teacher();
  const auto shape = [&](int64_t student_dim, int64_t teacher_dim, int64_t capacity) {
    memory.arena += ExpertMixture::arena(options, student_dim, teacher_dim);
    return ExpertShape{options.experts, student_dim, expert_hidden_size(student_dim, teacher_dim),
                       teacher_dim, capacity};
  };
  memory.teacher.add_copy();
  const ModelSizes& student = memory.student;
  const bool student_has = has_layers(student.kind);
  const bool teacher_has =
      teacher.kind == TeacherSizes::Kind::kModel && has_layers(teacher.model.kind);
  if (student_has && teacher_has && tap_ != "embedding") {
    const int64_t from = hidden_widths(student.dim, student.layers).back();
    const int64_t to = hidden_widths(teacher.model.dim, teacher.model.layers).back();
    const bool mlp = tap_ == "mlp";
    const int64_t pairs = 2 * memory.batch_size;
    const ExpertShape pair =
        shape(from + (mlp ? 0 : student.dim), to + (mlp ? 0 : teacher.model.dim), pairs);
    memory.need.keep("experts of pairs", {PairDeLoss::device_bytes(pair, teacher.model.dim + to) +
                                              pairs * model_memory(teacher.model, {}).joint_pair,
                                          0});
    return;
  }
  const int64_t capacity =
      std::min(memory.batch_size, std::max(memory.data.users, memory.data.items));
  const int64_t from = student.dim * (student_has ? 2 : 1);
  const ExpertShape user = shape(from, teacher.vectors_of_users(), capacity);
  const ExpertShape item = shape(from, teacher.vectors_of_items(), capacity);
  memory.need.keep("experts of users and items", {DeLoss::device_bytes(user, item), 0});
  if (options.gate != Gate::kMean) {
    memory.gate_record =
        GateRecorder::memory(memory.data.users, user.experts, user.teacher, memory.gate_rows);
  }
}

std::unique_ptr<DistillationLoss> DeFactory::make(DistillContext& in) const {
  const ExpertOptions options = expert_options(in.conventions);
  const std::optional<PairVectors> pairs = in.student.representations().pairs;
  JointVectors* joint = in.teacher.joint_vectors(in.stream);
  if (rebuilds_pairs(joint != nullptr, pairs.has_value())) {
    const auto columns = [mlp = tap_ == "mlp"](int64_t all, int64_t product) {
      return mlp ? PairDeLoss::Columns{product, all - product} : PairDeLoss::Columns{0, all};
    };
    return std::make_unique<PairDeLoss>(weight_, options, *joint, in.student,
                                        columns(pairs->vectors.value.cols, pairs->product_dim),
                                        columns(joint->joint_dim(), joint->product_dim()),
                                        in.parameters);
  }
  const int64_t capacity = std::min(in.batch_size, std::max(in.data.users(), in.data.items()));
  return std::make_unique<DeLoss>(weight_, options, in.teacher.vectors(in.stream), in.student,
                                  capacity, in.parameters);
}

}  // namespace derrd
