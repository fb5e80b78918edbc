#include "engine/distill/de/de_factory.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "data/error.h"
#include "engine/distill/de/pair_de.h"

namespace derrd {

std::vector<LossOption> DeFactory::options() {
  ExpertOptions& experts = values_.experts;
  TemperatureSchedule& tau = experts.temperature;
  constexpr double kSharpest = 1e-10;  // gumbel_softmax's bounds
  constexpr double kSmoothest = 10;
  return {
      {"lambda-de", "Weight of the loss in the sum of all losses", &values_.weight, 0},
      {"experts",
       "Networks that reconstruct the teacher's vectors from the student's: so many for users and "
       "for items each, or for pairs of both",
       &experts.experts, 1},
      {"gate",
       "How the experts are mixed. gumbel: one is selected, ever more sharply; attention: "
       "weighted, "
       "without noise; mean: all alike, one large expert",
       &gate_,
       {},
       {},
       {"gumbel", "attention", "mean"}},
      {"tap",
       "Which vectors are rebuilt. joint: what a NeuMF makes of user and item together, its last "
       "layer; mlp: of that the perceptron's output; embedding: users' and items' separately; "
       "auto: "
       "joint if teacher and student have it, else embedding",
       &tap_,
       {},
       {},
       {"auto", "joint", "mlp", "embedding"}},
      {"expert-floor",
       "Experts chosen with less than this weight are skipped; the default, 2^-24, changes nothing "
       "in a float32 sum of 1, 0 skips those only whose weight underflows",
       &experts.floor, 0, 1},
      {"tau-start",
       "Temperature of the choice among the experts at first: near 1 all of them are mixed",
       &tau.start, kSharpest, kSmoothest},
      {"tau-end",
       "Temperature at the horizon: near 0 every user and item, or pair, has one expert of its own",
       &tau.end, kSharpest, kSmoothest},
      {"tau-horizon", "Epoch at which it is reached, exponentially; independent of --epochs",
       &tau.horizon, 1},
      {"tau-epoch",
       "Epochs by which the schedule is ahead: times a late epoch without the early ones",
       &tau.offset, 0},
  };
}

std::string DeFactory::complaint() const {
  const TemperatureSchedule& tau = values_.experts.temperature;
  if (tau.end <= tau.start) return "";
  return fmt::format("--tau-end {} is above --tau-start {}: the choice has to become sharper",
                     tau.end, tau.start);
}

double DeFactory::recommended_share(std::string_view model) const {
  return model == "neumf" ? 0.035 : 0.2;
}

DeOptions DeFactory::options_for(Preset preset) const {
  DeOptions options = values_;
  options.experts.gate = gate_ == "attention" ? Gate::kAttention
                         : gate_ == "mean"    ? Gate::kMean
                                              : Gate::kGumbel;
  const bool paper = preset == Preset::kPaper;
  options.experts.norm = paper ? ReconstructionNorm::kEuclidean : ReconstructionNorm::kSquared;
  options.experts.temperature.lag = paper ? 0 : 1;
  return options;
}

std::unique_ptr<DistillationLoss> DeFactory::make(const DistillContext& in) const {
  const DeOptions options = options_for(in.preset);
  const std::optional<PairVectors> pairs = in.student.representations().pairs;
  JointVectors* joint = in.teacher.joint_vectors(in.stream);
  const bool possible = pairs && joint != nullptr;
  if (!possible && (tap_ == "joint" || tap_ == "mlp")) {
    throw Error(
        fmt::format("--tap {} rebuilds what a NeuMF makes of a user and an item together, "
                    "and the {} is none; take --tap embedding",
                    tap_, pairs ? "teacher" : "student"));
  }
  if (possible && tap_ != "embedding") {
    const bool mlp = tap_ == "mlp";
    const auto columns = [mlp](int64_t all, int64_t product) {
      return mlp ? PairDeLoss::Columns{product, all - product} : PairDeLoss::Columns{0, all};
    };
    return std::make_unique<PairDeLoss>(
        options, *joint, in.student, columns(pairs->vectors.value.cols, pairs->product_dim),
        columns(joint->joint_dim(), joint->product_dim()), in.parameters);
  }
  const int64_t capacity = std::min(in.batch_size, std::max(in.data.users(), in.data.items()));
  return std::make_unique<DeLoss>(options, in.teacher.vectors(), in.student, capacity,
                                  in.parameters, in.stream);
}

}  // namespace derrd
