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
  if (command.layers) check_layers(command.model);
  TrainingRun training(command.training, {});
  TrainingTask task;
  task.model = command.model;
  task.dim = command.dim;
  task.layers = command.layers.value_or(1);
  task.options = {{"command", "train"}, {"model", command.model}};
  training.train(task);
}

}  // namespace

void add_train(CLI::App& app) {
  auto options = std::make_shared<TrainCommand>();
  CLI::App* command = app.add_subcommand(
      "train", "Train a model on its own: a teacher, or a student to compare with");
  add_config_option(*command);
  command
      ->add_option(
          "--model", options->model,
          "Kind of model. bpr: matrix factorisation with the BPR loss; neumf: neural matrix "
          "factorisation, a product of vectors and a perceptron")
      ->check(CLI::IsMember(model_kinds()))
      ->capture_default_str();
  command
      ->add_option("--dim", options->dim,
                   "Length of each user's and item's vector; neumf has two for each user and item. "
                   "Longer vectors fit better and cost more")
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
