#include "apps/commands/distill.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "apps/cli/config_option.h"
#include "apps/cli/message.h"
#include "apps/cli/option_checks.h"
#include "apps/cli/usage_error.h"
#include "apps/training/load_model.h"
#include "apps/training/load_teacher.h"
#include "apps/training/training_options.h"
#include "apps/training/training_run.h"
#include "data/error.h"
#include "engine/distill/catalogue.h"
#include "engine/models/catalogue.h"

namespace derrd {

namespace {

struct DistillCommand {
  TrainingOptions training;
  ModelFiles teacher = teacher_files();
  std::string method = "de-rrd";
  std::optional<std::string> model;
  double size = 0.1;
  std::optional<int64_t> dim, layers;
  bool balance = false;
  std::vector<std::unique_ptr<LossFactory>> losses = loss_factories();
};

/// The method and the options that its losses read.
Json method_options(const std::string& model, const std::string& method,
                    const std::vector<const LossFactory*>& losses) {
  Json json = {{"command", "distill"}, {"model", model}, {"method", method}};
  for (const LossFactory* loss : losses) {
    for (const auto& [name, value] : loss->option_values()) {
      std::visit([&, &key = name](const auto& of) { json[key] = of; }, value);
    }
  }
  return json;
}

int64_t student_dim(const DistillCommand& command, const std::optional<TeacherData>& teacher) {
  if (command.dim) return *command.dim;
  const std::optional<int64_t> dim = teacher_dim(*teacher);
  if (!dim) {
    throw UsageError(
        "the teacher has no vectors of one length that --size could be a part of; give --dim");
  }
  return std::max<int64_t>(1, std::llround(command.size * static_cast<double>(*dim)));
}

/// Prints the losses whose weights --auto-lambda leaves alone. @throws UsageError if these are all.
void check_shares(const TrainingTask& task) {
  const auto without_share = [&](const LossFactory* loss) {
    return loss->recommended_share(task.model) == 0;
  };
  if (std::ranges::all_of(task.losses, without_share)) {
    throw UsageError(
        "--auto-lambda: the paper recommends shares for de and rrd only; leave it out");
  }
  for (const LossFactory* loss : task.losses) {
    if (!without_share(loss)) continue;
    say("--auto-lambda leaves --lambda-{} as it is: no share is recommended for it", loss->name());
  }
}

/// Checks that --snapshot-gate has a gate to record. @throws UsageError if it has none.
/// @param joint_vectors whether teacher and student have vectors of a user and an item together
void check_snapshots(const DistillCommand& command, const std::vector<const LossFactory*>& losses,
                     bool joint_vectors) {
  if (command.training.snapshot_gate.empty()) return;
  std::string error = "--method " + command.method + " has no experts; take one with de";
  for (const LossFactory* loss : losses) {
    const std::optional<std::string> of_loss = loss->user_gate_error(joint_vectors);
    if (!of_loss) return;
    if (!of_loss->empty()) error = *of_loss;
  }
  throw UsageError("--snapshot-gate records which expert each user has: " + error);
}

/// Checks what can be checked before any file is read. @throws UsageError.
void check_options(const DistillCommand& command, const std::vector<const LossFactory*>& losses) {
  if (!has_model(command.teacher) && command.method != "none") {
    throw UsageError("--method " + command.method + " needs a --teacher");
  }
  if (!has_model(command.teacher) && !command.dim) {
    throw UsageError("without a --teacher give the student's dimension by --dim");
  }
  if (command.layers && command.model) check_layers(*command.model);
  for (const LossFactory* loss : losses) {
    if (const std::optional<std::string> error = loss->option_error()) throw UsageError(*error);
  }
  check_snapshots(command, losses, /*joint_vectors=*/false);
  if (command.balance && losses.empty()) {
    throw UsageError("--auto-lambda sets the weights of losses; --method none has none");
  }
  if (const int first = BalanceOptions().epochs;
      command.balance && command.training.epochs <= first) {
    say("derrd: warning: --auto-lambda sets the weights after {} epochs, but training ends "
        "after --epochs {}; raise it, now or with --resume",
        first, command.training.epochs);
  }
  check_teacher_options(command.teacher);
}

/// Reads the teacher and derives from it what the command line leaves open.
void add_teacher(TrainingTask& task, const DistillCommand& command, const Dataset& dataset) {
  if (has_model(command.teacher)) {
    LoadedTeacher loaded = load_teacher(command.teacher, dataset);
    task.aligned_model = !loaded.report.empty() && std::holds_alternative<SavedModel>(loaded.data);
    task.teacher = std::move(loaded.data);
    check_requirements(*task.teacher, task.losses);
  }
  const auto* model = task.teacher ? std::get_if<SavedModel>(&*task.teacher) : nullptr;
  task.model = command.model.value_or(model != nullptr ? model->kind : task.model);
  check_snapshots(command, task.losses,
                  model != nullptr && has_layers(model->kind) && has_layers(task.model));
  if (command.layers) check_layers(task.model);
  task.dim = student_dim(command, task.teacher);
  const int64_t teacher_layers = model != nullptr ? model_layers(*model) : 0;
  task.layers = command.layers.value_or(std::max<int64_t>(1, teacher_layers));
}

void run(const DistillCommand& command) {
  TrainingTask task;
  task.losses = factories_of(command.method, command.losses);
  task.balance = command.balance;
  check_options(command, task.losses);
  TrainingRun training(command.training, model_inputs(command.teacher));
  add_teacher(task, command, training.dataset());
  if (command.balance) check_shares(task);
  task.options = method_options(task.model, command.method, task.losses);
  if (command.balance) task.options["auto-lambda"] = true;
  training.train(std::move(task));
}

/// Adds an option of a loss to the command line.
void add_loss_option(CLI::App& command, const std::string& group, const LossOption& option) {
  const std::string name = "--" + option.name;
  const auto add = [&](auto* value) {
    return command.add_option(name, *value, option.help)->group(group)->capture_default_str();
  };
  if (auto* const* number = std::get_if<double*>(&option.value)) {
    add(*number)->check(within(option.least, option.most));
  } else if (auto* const* whole = std::get_if<int64_t*>(&option.value)) {
    constexpr auto kMax = static_cast<double>(std::numeric_limits<int32_t>::max());
    add(*whole)->check(between(static_cast<int64_t>(option.least),
                               static_cast<int64_t>(std::min(option.most, kMax))));
  } else if (auto* const* number_or_default = std::get_if<std::optional<double>*>(&option.value)) {
    command.add_option(name, **number_or_default, option.help)
        ->group(group)
        ->check(within(option.least, option.most));
  } else if (auto* const* flag = std::get_if<bool*>(&option.value)) {
    command.add_flag(name, **flag, option.help)->group(group);
  } else {
    add(*std::get_if<std::string*>(&option.value))->check(CLI::IsMember(option.choices));
  }
}

}  // namespace

void add_distill(CLI::App& app) {
  auto options = std::make_shared<DistillCommand>();
  CLI::App* command =
      app.add_subcommand("distill", "Train a small student with the help of a large teacher");
  add_config_option(*command);
  add_teacher_options(*command, options->teacher);
  command
      ->add_option(
          "--method", options->method,
          "Losses to add to the base loss, joined by +, or none. de: rebuild the teacher's vectors "
          "by experts; rrd: relaxed ranking of each user's items; ir: relaxed ranking of each "
          "item's users, together with rrd; rd: count the teacher's best items as observed; cd: "
          "match the teacher's probabilities. de-rrd is de+rrd, ir-rrd is rrd+ir")
      ->check([losses = options.get()](const std::string& method) {
        try {
          factories_of(method, losses->losses);
          return std::string();
        } catch (const Error& e) {
          return std::string(e.what());
        }
      })
      ->capture_default_str();
  command
      ->add_option("--model", options->model,
                   "Kind of the student, bpr or neumf [the teacher's kind]")
      ->check(CLI::IsMember(model_kinds()));
  add_layers_option(*command, options->layers, "the teacher's number, or 1");
  auto* size = command
                   ->add_option("--size", options->size,
                                "Student's dimension as a fraction of the teacher's, rounded")
                   ->check(within_size())
                   ->capture_default_str();
  command
      ->add_option("--dim", options->dim,
                   "Student's dimension; with it --method none needs no teacher")
      ->check(count_from(1))
      ->excludes(size);
  add_training_options(*command, options->training);
  command
      ->add_option(
          "--snapshot-gate", options->training.snapshot_gate,
          "File for the expert that the gate of de prefers for each user, before the first "
          "epoch and after each. Pairs have no users' experts: of two NeuMFs take --tap "
          "embedding")
      ->check(file_name())
      ->type_name("FILE")
      ->group("Records");
  command->add_flag(
      "--auto-lambda", options->balance,
      "Choose and print the losses' weights after three epochs with the given ones. Each weighted "
      "loss becomes the part of the base loss that Section 5.4 of the paper recommends: DE 20 % "
      "(NeuMF: 3.5 %), RRD 8.5 % (NeuMF: 1000 %). Other losses keep their weights");
  for (const auto& loss : options->losses) {
    for (const LossOption& option : loss->options()) {
      add_loss_option(*command, std::string(loss->title()), option);
    }
  }
  command->footer(
      "Example:\n  derrd distill --data citeulike.safetensors --teacher teacher.safetensors "
      "--method "
      "de-rrd --size 0.1 -o student.safetensors");
  command->callback([options] { run(*options); });
}

}  // namespace derrd
