#include "apps/commands/train.h"

#include <memory>
#include <optional>
#include <string>

#include "apps/cli/config_option.h"
#include "apps/cli/option_checks.h"
#include "apps/training/training_options.h"
#include "apps/training/training_run.h"
#include "engine/models/catalogue.h"

namespace derrd {

namespace {

struct TrainCommand {
  TrainingOptions training;
  std::string model = "bpr";
  int64_t dim = 200;
  std::optional<int64_t> layers;
};

void run(const TrainCommand& command) {
  if (command.layers && !has_layers(command.model)) {
    throw CLI::ValidationError("train", no_layers(command.model));
  }
  TrainingRun training(command.training, {});
  Recipe recipe;
  recipe.model = command.model;
  recipe.dim = command.dim;
  recipe.layers = command.layers.value_or(1);
  recipe.options = {{"command", "train"}, {"model", command.model}};
  training.train(recipe);
}

}  // namespace

void add_train(CLI::App& app) {
  auto options = std::make_shared<TrainCommand>();
  CLI::App* command = app.add_subcommand(
      "train", "Train a model on its own: a teacher, or a student to compare with");
  add_config_option(*command);
  command
      ->add_option("--model", options->model,
                   "Kind of model. bpr: matrix factorisation by BPR; neumf: neural matrix "
                   "factorisation, a perceptron beside a product of vectors")
      ->check(CLI::IsMember(model_kinds()))
      ->capture_default_str();
  command
      ->add_option("--dim", options->dim,
                   "Length of a user's or item's vector, of each of the two with neumf: more fits "
                   "better, and costs more")
      ->check(count_from(1))
      ->capture_default_str();
  add_layers_option(*command, options->layers, "1");
  add_training_options(*command, options->training);
  command->footer(
      "Example:\n  derrd train --data citeulike.safetensors --model bpr --dim 200 -o "
      "teacher.safetensors");
  command->callback([options] { run(*options); });
}

}  // namespace derrd
