#include "apps/distill.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>

#include "apps/config_option.h"
#include "apps/load_model.h"
#include "apps/option_checks.h"
#include "apps/training_options.h"
#include "apps/training_run.h"
#include "kernels/negatives.h"
#include "kernels/relaxed_ranking.h"

namespace derrd {

namespace {

struct DistillCommand {
  TrainingOptions training;
  std::string teacher;
  std::string method = "de-rrd";
  double size = 0.1;
  std::optional<int64_t> dim;
  // Double, so that metadata show 0.01 as it was given and not as the nearest float.
  double lambda_de = 0.01, lambda_rrd = 1e-3, sharpness = 10;
  double expert_floor = DeOptions{}.floor;
  DistillOptions distill;
  TemperatureSchedule temperature;
  std::string interesting = "sampled";

  bool uses_de() const { return method.starts_with("de"); }
  bool uses_rrd() const { return method.ends_with("rrd"); }
};

static_assert(kMaxUninteresting >= kMaxRankingSamples - 1, "all that --l allows can be drawn");

/// The method and those options that it looks at.
Json method_options(const DistillCommand& command) {
  Json json = {{"command", "distill"}, {"model", "bpr"}, {"method", command.method}};
  if (command.uses_de()) {
    const TemperatureSchedule& tau = command.temperature;
    json["lambda-de"] = command.lambda_de;
    json["experts"] = command.distill.de.experts;
    json["expert-floor"] = command.expert_floor;
    json["tau-start"] = tau.start;
    json["tau-end"] = tau.end;
    json["tau-horizon"] = tau.horizon;
    json["tau-epoch"] = tau.offset;
  }
  if (command.uses_rrd()) {
    const RrdOptions& rrd = command.distill.rrd;
    json["lambda-rrd"] = command.lambda_rrd;
    json["k"] = rrd.interesting;
    json["l"] = rrd.uninteresting;
    json["t"] = command.sharpness;
    json["list"] = command.distill.list_length;
    json["interesting"] = command.interesting;
  }
  return json;
}

Recipe recipe_of(DistillCommand command) {
  const Preset preset = command.training.preset();
  DeOptions& de = command.distill.de;
  de.weight = static_cast<float>(command.lambda_de);
  de.floor = static_cast<float>(command.expert_floor);
  de.preset = preset;
  RrdOptions& rrd = command.distill.rrd;
  rrd.weight = static_cast<float>(command.lambda_rrd);
  rrd.sharpness = static_cast<float>(command.sharpness);
  rrd.preset = preset;
  rrd.selection =
      command.interesting == "top" ? RrdOptions::Selection::kTop : RrdOptions::Selection::kSampled;
  command.temperature.lag = preset == Preset::kAuthors ? 1 : 0;
  Recipe recipe;
  recipe.method = command.method;
  recipe.options = method_options(command);
  recipe.distill = command.distill;
  recipe.temperature = command.temperature;
  return recipe;
}

int64_t student_dim(const DistillCommand& command, const std::optional<Embeddings>& teacher) {
  if (command.dim) return *command.dim;
  return std::max<int64_t>(1, std::llround(command.size * static_cast<double>(teacher->dim)));
}

void run(const DistillCommand& command) {
  const auto usage = [](const std::string& what) { throw CLI::ValidationError("distill", what); };
  if (command.teacher.empty() && command.method != "none") {
    usage("--method " + command.method + " needs a --teacher");
  }
  if (command.teacher.empty() && !command.dim) {
    usage("without a --teacher give the student's dimension by --dim");
  }
  if (command.distill.list_length < command.distill.rrd.interesting && command.uses_rrd()) {
    usage("--list has to be at least --k: the interesting items are drawn from it");
  }

  const RrdOptions& rrd = command.distill.rrd;
  if (rrd.interesting + rrd.uninteresting > kMaxRankingSamples && command.uses_rrd()) {
    usage(fmt::format(
        "--k and --l are {} items per user together, at most {} are possible; lower one",
        rrd.interesting + rrd.uninteresting, kMaxRankingSamples));
  }

  TrainingRun training(command.training, command.teacher);
  std::optional<Embeddings> teacher;
  if (!command.teacher.empty()) teacher = load_model(command.teacher, training.dataset());
  Recipe recipe = recipe_of(command);
  recipe.dim = student_dim(command, teacher);
  recipe.teacher = teacher ? &*teacher : nullptr;
  training.train(recipe);
}

void add_expert_options(CLI::App& command, DistillCommand& options) {
  const auto add = [&](const char* name, auto& value, const char* description) {
    return command.add_option(name, value, description)
        ->group("Distillation Experts (de)")
        ->capture_default_str();
  };
  add("--lambda-de", options.lambda_de, "Weight of the loss in the sum of all losses")
      ->check(at_least(0));
  add("--experts", options.distill.de.experts,
      "Networks that reconstruct the teacher's vectors from the student's, for users and for items")
      ->check(at_least(1));
  add("--expert-floor", options.expert_floor,
      "Experts chosen with less than this weight are skipped; the default, 2^-24, changes nothing "
      "in a float32 sum of 1, 0 skips those only whose weight underflows")
      ->check(at_least(0));
  add("--tau-start", options.temperature.start,
      "Temperature of the choice among the experts at first: near 1 all of them are mixed")
      ->check(above(0));
  add("--tau-end", options.temperature.end,
      "Temperature at the horizon: near 0 every user and item has one expert of its own")
      ->check(above(0));
  add("--tau-horizon", options.temperature.horizon,
      "Epoch at which it is reached, exponentially; independent of --epochs")
      ->check(at_least(1));
  add("--tau-epoch", options.temperature.offset,
      "Epochs by which the schedule is ahead: times a late epoch without the early ones")
      ->check(at_least(0));
}

void add_ranking_options(CLI::App& command, DistillCommand& options) {
  const auto add = [&](const char* name, auto& value, const std::string& description) {
    return command.add_option(name, value, description)
        ->group("Relaxed Ranking Distillation (rrd)")
        ->capture_default_str();
  };
  RrdOptions& rrd = options.distill.rrd;
  add("--lambda-rrd", options.lambda_rrd, "Weight of the loss in the sum of all losses")
      ->check(at_least(0));
  add("--k", rrd.interesting,
      fmt::format("Interesting items per user, at most {}: the student learns their order",
                  kMaxRankingInteresting))
      ->check(between(1, kMaxRankingInteresting));
  add("--l", rrd.uninteresting,
      fmt::format("Uninteresting items per user, with --k at most {}: the student learns to place "
                  "them below the interesting ones",
                  kMaxRankingSamples))
      ->check(between(1, kMaxRankingSamples - 1));
  add("--t", options.sharpness,
      "How deep in the teacher's list interesting items are drawn: rank k has weight exp(-k/t)")
      ->check(above(0));
  add("--list", options.distill.list_length,
      "Length of the teacher's list per user, its best unobserved items")
      ->check(at_least(1));
  add("--interesting", options.interesting,
      "sampled: drawn from the list anew every epoch; top: the list's first k")
      ->check(CLI::IsMember({"sampled", "top"}));
}

}  // namespace

void add_distill(CLI::App& app) {
  auto options = std::make_shared<DistillCommand>();
  CLI::App* command =
      app.add_subcommand("distill", "Train a small student with the help of a large teacher");
  add_config_option(*command);
  command
      ->add_option("--teacher", options->teacher,
                   "Model to learn from: any safetensors file with user_embedding [users, d] and "
                   "item_embedding [items, d], as F32, F16 or BF16")
      ->type_name("FILE");
  command
      ->add_option("--method", options->method,
                   "What is learned from it. none: nothing; de: its vectors, through experts; rrd: "
                   "its rankings, relaxed; de-rrd: both")
      ->check(CLI::IsMember({"none", "de", "rrd", "de-rrd"}))
      ->capture_default_str();
  auto* size = command
                   ->add_option("--size", options->size,
                                "The student's dimension as a part of the teacher's, rounded")
                   ->check(above(0))
                   ->capture_default_str();
  command
      ->add_option("--dim", options->dim,
                   "The student's dimension itself; with it --method none needs no teacher")
      ->check(at_least(1))
      ->excludes(size);
  add_training_options(*command, options->training);
  add_expert_options(*command, *options);
  add_ranking_options(*command, *options);
  command->footer(
      "Example:\n  derrd distill --data citeulike.safetensors --teacher teacher.safetensors "
      "--method "
      "de-rrd --size 0.1 -o student.safetensors");
  command->callback([options] { run(*options); });
}

}  // namespace derrd
