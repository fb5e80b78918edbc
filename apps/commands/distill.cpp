#include "apps/commands/distill.h"

#include <fmt/format.h>

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
#include "apps/cli/option_checks.h"
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
  TeacherFiles teacher;
  std::string method = "de-rrd";
  std::optional<std::string> model;
  double size = 0.1;
  std::optional<int64_t> dim, layers;
  bool balance = false;
  std::vector<std::unique_ptr<LossFactory>> losses = loss_factories();
};

/// The losses whose options matter: a method's, and those that these consult.
std::vector<const LossFactory*> with_consulted(std::vector<const LossFactory*> losses) {
  for (size_t i = 0; i < losses.size(); ++i) {
    const LossFactory* other = losses[i]->consulted();
    if (other != nullptr && std::ranges::find(losses, other) == losses.end()) {
      losses.push_back(other);
    }
  }
  return losses;
}

/// The method and those options that its losses look at.
Json method_options(const std::string& model, const std::string& method,
                    const std::vector<const LossFactory*>& losses) {
  Json json = {{"command", "distill"}, {"model", model}, {"method", method}};
  for (const LossFactory* loss : with_consulted(losses)) {
    // Options refer to their loss's values; they are only read here.
    for (const LossOption& option : const_cast<LossFactory*>(loss)->options()) {
      std::visit([&](const auto* value) { json[option.name] = *value; }, option.value);
    }
  }
  return json;
}

[[noreturn]] void usage(const std::string& what) { throw CLI::ValidationError("distill", what); }

int64_t student_dim(const DistillCommand& command, const std::optional<TeacherData>& teacher) {
  if (command.dim) return *command.dim;
  const std::optional<int64_t> dim = teacher_dim(*teacher);
  if (!dim) {
    usage("the teacher has no vectors of one length that --size could be a part of; give --dim");
  }
  return std::max<int64_t>(1, std::llround(command.size * static_cast<double>(*dim)));
}

/// Says which losses --auto-lambda leaves at their weights. @throws CLI::Error if it is all.
void check_shares(const Recipe& recipe) {
  const auto without_share = [&](const LossFactory* loss) {
    return loss->recommended_share(recipe.model) == 0;
  };
  if (std::ranges::all_of(recipe.losses, without_share)) {
    usage("--auto-lambda: the paper recommends shares for de and rrd only; leave it out");
  }
  for (const LossFactory* loss : recipe.losses) {
    if (!without_share(loss)) continue;
    fmt::print(stderr,
               "--auto-lambda leaves --lambda-{} as it is: no share is recommended for it\n",
               loss->name());
  }
}

void run(const DistillCommand& command) {
  if (!has_teacher(command.teacher) && command.method != "none") {
    usage("--method " + command.method + " needs a --teacher");
  }
  if (!has_teacher(command.teacher) && !command.dim) {
    usage("without a --teacher give the student's dimension by --dim");
  }
  if (command.layers && command.model && !has_layers(*command.model)) {
    usage(no_layers(*command.model));
  }
  Recipe recipe;
  recipe.losses = factories_of(command.method, command.losses);
  for (const LossFactory* loss : with_consulted(recipe.losses)) {
    if (const std::string complaint = loss->complaint(); !complaint.empty()) usage(complaint);
  }
  recipe.balance = command.balance;
  if (command.balance && recipe.losses.empty())
    usage("--auto-lambda sets the weights of losses; --method none has none");
  if (const int first = TrainOptions().balance_epochs;
      command.balance && command.training.epochs <= first) {
    fmt::print(stderr,
               "derrd: warning: --auto-lambda sets the weights after {} epochs, and --epochs {} "
               "has none with them; raise it, now or with --resume\n",
               first, command.training.epochs);
  }

  if (const std::string complaint = teacher_complaint(command.teacher); !complaint.empty()) {
    usage(complaint);
  }

  TrainingRun training(command.training, teacher_inputs(command.teacher));
  std::optional<TeacherData> teacher;
  if (has_teacher(command.teacher)) {
    LoadedTeacher loaded = load_teacher(command.teacher, training.dataset());
    recipe.aligned_model =
        !loaded.report.empty() && std::holds_alternative<SavedModel>(loaded.data);
    teacher = std::move(loaded.data);
    const std::string unmet = unmet_need(*teacher, recipe.losses);
    if (!unmet.empty()) usage(unmet);
  }
  const auto* model = teacher ? std::get_if<SavedModel>(&*teacher) : nullptr;
  recipe.model = command.model.value_or(model != nullptr ? model->kind : recipe.model);
  if (command.layers && !has_layers(recipe.model)) usage(no_layers(recipe.model));
  if (command.balance) check_shares(recipe);
  recipe.dim = student_dim(command, teacher);
  const int64_t teacher_layers = model != nullptr ? model_layers(*model) : 0;
  recipe.layers = command.layers.value_or(std::max<int64_t>(1, teacher_layers));
  recipe.options = method_options(recipe.model, command.method, recipe.losses);
  if (command.balance) recipe.options["auto-lambda"] = true;
  recipe.teacher = std::move(teacher);
  training.train(std::move(recipe));
}

/// The option of a loss on the command line.
void add_loss_option(CLI::App& command, const std::string& group, const LossOption& option) {
  const std::string name = "--" + option.name;
  const auto add = [&](auto* value) {
    return command.add_option(name, *value, option.help)->group(group)->capture_default_str();
  };
  if (auto* const* number = std::get_if<double*>(&option.value)) {
    add(*number)->check(within(option.least, option.most));
  } else if (auto* const* whole = std::get_if<int64_t*>(&option.value)) {
    constexpr auto kMost = static_cast<double>(std::numeric_limits<int32_t>::max());
    add(*whole)->check(between(static_cast<int64_t>(option.least),
                               static_cast<int64_t>(std::min(option.most, kMost))));
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
      ->add_option("--method", options->method,
                   "What is learned from it: none, or losses with + between them. de: its vectors, "
                   "through experts; rrd: its rankings of items, relaxed; ir: of users, with rrd; "
                   "rd: its best items, as if observed; cd: its probabilities. de-rrd is de+rrd, "
                   "ir-rrd rrd+ir")
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
                   "Kind of the student, as of derrd train [the teacher's]")
      ->check(CLI::IsMember(model_kinds()));
  add_layers_option(*command, options->layers, "as many as the teacher has, or 1");
  auto* size = command
                   ->add_option("--size", options->size,
                                "The student's dimension as a part of the teacher's, rounded")
                   ->check(within_size())
                   ->capture_default_str();
  command
      ->add_option("--dim", options->dim,
                   "The student's dimension itself; with it --method none needs no teacher")
      ->check(count_from(1))
      ->excludes(size);
  add_training_options(*command, options->training);
  command->add_flag(
      "--auto-lambda", options->balance,
      "After three epochs with the given weights, set the weight of each loss so that it is the "
      "part of the base loss that Section 5.4 of the paper recommends: DE 20 % (NeuMF: 3.5 %), RRD "
      "8.5 % (NeuMF: 1000 %); says what it chose. Other losses keep theirs");
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
