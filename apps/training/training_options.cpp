#include "apps/training/training_options.h"

#include <fmt/format.h>

#include "apps/cli/option_checks.h"

namespace derrd {

namespace {

void add_threads_option(CLI::App& command, int& threads) {
  command
      .add_option("--threads", threads,
                  "Host threads of the CPU build, 0: one per core; results don't depend on it")
      ->check(count_from(0))
      ->capture_default_str();
}

void add_training_group(CLI::App& command, TrainingOptions& options) {
  const auto add = [&](const char* name, auto& value, const char* description) {
    return command.add_option(name, value, description)->group("Training")->capture_default_str();
  };
  add("--lr", options.learning_rate, "Adam's learning rate: how far a step goes")->check(above(0));
  add("--weight-decay", options.weight_decay,
      "L2 regularisation, added to the gradient: pulls all parameters towards 0 at every step")
      ->check(at_least(0));
  add("--batch", options.batch,
      "Samples (user, positive, negative) in a training step; all of an epoch's, where it has "
      "fewer")
      ->check(count_from(1));
  add("--negatives", options.negatives,
      "Unobserved items drawn for every interaction in every epoch, a sample each")
      ->check(count_from(1));
  add("--epochs", options.epochs, "Passes over the training interactions, at most")
      ->check(count_from(1));
  command
      .add_option("--patience", options.patience,
                  "Stop after so many epochs without a better validation hit ratio [20 with preset "
                  "authors, 30 with paper]")
      ->check(count_from(1))
      ->group("Training");
  add("--preset", options.preset_name,
      "Which convention holds where the paper and its authors' program differ: authors, to compare "
      "with the published figures; paper, the text")
      ->check(CLI::IsMember({"authors", "paper"}));
  add("--seed", options.seed,
      "Of all random numbers: on one build and one kind of processor or GPU the same seed gives "
      "the "
      "same bits")
      ->check(seed());
}

/// What decides how fast results come, and not which.
void add_speed_group(CLI::App& command, TrainingOptions& options) {
  command
      .add_option(
          "--row-updates", options.row_updates_name,
          "When Adam moves the rows of embedding tables. every-step: all at once, as in the "
          "textbook; when-read: each when a batch next reads it, which moves fewer bytes; "
          "auto: the latter where the tables exceed the cache. The same bits come out")
      ->check(CLI::IsMember({"auto", "when-read", "every-step"}))
      ->group("Speed")
      ->capture_default_str();
  command
      .add_option("--graph-steps", options.graph_steps,
                  "Training steps that a GPU is given at once, as a CUDA graph; 0: launch by "
                  "launch, as profilers want them. The same bits come out")
      ->check(count_from(0))
      ->group("Speed")
      ->capture_default_str();
}

void add_record_group(CLI::App& command, TrainingOptions& options) {
  const auto add = [&](const char* name, std::string& value, const char* description) {
    return command.add_option(name, value, description)
        ->check(file_name())
        ->type_name("FILE")
        ->group("Records");
  };
  add("--log", options.log,
      "Write a JSON line per epoch: every loss, every metric, seconds by phase");
  auto* checkpoint = add("--checkpoint", options.checkpoint,
                         "Keep the state of training here, so that --resume can go on with it");
  command
      .add_option(
          "--checkpoint-every", options.checkpoint_every,
          "Seconds between checkpoints, at least; 0: after every epoch. There is always one "
          "at the end of a run, also after Ctrl-C")
      ->check(at_least(0))
      ->needs(checkpoint)
      ->group("Records")
      ->capture_default_str();
  command
      .add_flag("--resume", options.resume,
                "Go on from the checkpoint if there is one; the result has the same bits as an "
                "uninterrupted run's")
      ->needs(checkpoint)
      ->group("Records");
  command.add_flag("--quiet", options.quiet, "Show no progress")->group("Records");
}

}  // namespace

void add_layers_option(CLI::App& command, std::optional<int64_t>& layers, const char* standard) {
  command
      .add_option(
          "--layers", layers,
          fmt::format("Hidden layers of neumf's perceptron, the first as wide as --dim, each "
                      "further one half as wide [{}]",
                      standard))
      ->check(count_from(1));
}

std::string no_layers(const std::string& model) {
  return fmt::format("--layers is for --model neumf; {} has no hidden layers", model);
}

void add_idle_options(CLI::App& command, IdleOptions& options) {
  add_threads_option(command, options.threads);
  command.add_option("--seed", options.seed, "Accepted by every command; this one draws nothing")
      ->check(seed())
      ->capture_default_str();
}

void add_training_options(CLI::App& command, TrainingOptions& options) {
  command.add_option("--data", options.data, "Data set, made by derrd prepare or derrd synthesize")
      ->required()
      ->type_name("FILE");
  command
      .add_option("-o,--output", options.output,
                  "Model to write: the one of the epoch that validation finds best")
      ->required()
      ->check(file_name())
      ->type_name("FILE");
  add_threads_option(command, options.threads);
  add_training_group(command, options);
  add_record_group(command, options);
  add_speed_group(command, options);
}

}  // namespace derrd
