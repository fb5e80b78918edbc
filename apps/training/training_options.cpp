#include "apps/training/training_options.h"

#include <fmt/format.h>

#include "apps/cli/option_checks.h"
#include "apps/cli/usage_error.h"
#include "data/error.h"
#include "engine/evaluation/stop_metric.h"
#include "engine/models/catalogue.h"

namespace derrd {

namespace {

CLI::Validator metric_name() {
  return CLI::Validator(
      [](const std::string& name) -> std::string {
        try {
          StopMetric::named(name);
        } catch (const Error& error) {
          return error.what();
        }
        return "";
      },
      "");
}

void add_threads_option(CLI::App& command, int& threads) {
  command
      .add_option("--threads", threads,
                  "Host threads of the CPU build; 0: one per core. Results don't depend on it")
      ->check(count_from(0))
      ->capture_default_str();
}

void add_training_group(CLI::App& command, TrainingOptions& options) {
  const auto add = [&](const char* name, auto& value, const char* description) {
    return command.add_option(name, value, description)->group("Training")->capture_default_str();
  };
  add("--lr", options.learning_rate, "Learning rate of Adam")->check(at_least(kSmallestPositive));
  add("--weight-decay", options.weight_decay,
      "L2 regularisation, added to the gradient: pulls all parameters towards 0")
      ->check(at_least(0));
  add("--batch", options.batch,
      "Samples (user, positive item, negative item) per training step, at most")
      ->check(count_from(1));
  add("--negatives", options.negatives,
      "Samples per interaction and epoch, each with its own random unobserved item")
      ->check(count_from(1));
  add("--epochs", options.epochs, "Maximum number of passes over the training interactions")
      ->check(count_from(1));
  command
      .add_option("--patience", options.patience,
                  "Epochs without a better validation metric before training stops [20 with preset "
                  "authors, 30 with paper]. Without validation items all epochs are trained")
      ->check(count_from(1))
      ->group("Training");
  command
      .add_option(
          "--stop-on", options.stop_on,
          "Validation metric that says which epoch is best: H@5, N@10, M@20, ... among "
          "candidates, Recall@20, NDCG@20, ... of the full ranking, as derrd evaluate names "
          "them. Of several, separated by commas, the first that can tell epochs apart [H@5, "
          "by the rule of --preset]")
      ->delimiter(',')
      ->check(metric_name())
      ->type_name("METRIC")
      ->group("Training");
  add("--preset", options.preset_name,
      "Conventions where the paper and its authors' program differ. authors: the program's, to "
      "compare with the published figures; paper: the text's")
      ->check(CLI::IsMember({"authors", "paper"}));
  add("--seed", options.seed,
      "Random seed. The same seed, build and kind of processor or GPU give the same bits")
      ->check(seed());
}

/// Adds the options that change speed, not results.
void add_speed_group(CLI::App& command, TrainingOptions& options) {
  command
      .add_option(
          "--row-updates", options.row_updates_name,
          "Time of Adam's updates to the rows of embedding tables. every-step: all rows at every "
          "step, as in the textbook; lazy: a row when a batch next reads it, which moves fewer "
          "bytes; auto: lazy if the tables exceed the cache. Results agree to the bit")
      ->check(CLI::IsMember({"auto", "lazy", "every-step"}))
      ->group("Speed")
      ->capture_default_str();
  command
      .add_option(
          "--graph", options.graph_name,
          "Record a training step as a CUDA graph and repeat it. off: queue every launch by "
          "itself, as profilers need it. Results agree to the bit")
      ->check(CLI::IsMember({"on", "off"}))
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
      "File for a JSON line per epoch: losses, metrics, seconds of each phase");
  auto* checkpoint = add("--checkpoint", options.checkpoint,
                         "File for the state of training, from which --resume continues");
  command
      .add_option(
          "--checkpoint-every", options.checkpoint_every,
          "Minimum seconds between checkpoints; 0: one after every epoch. The end of a run always "
          "writes one, after Ctrl-C or another signal too")
      ->check(at_least(0))
      ->needs(checkpoint)
      ->group("Records")
      ->capture_default_str();
  auto* resume = command
                     .add_flag("--resume", options.resume,
                               "Continue from the checkpoint, if there is one. The result equals "
                               "that of an uninterrupted run to the bit")
                     ->needs(checkpoint)
                     ->group("Records");
  command
      .add_flag("--resume-anyway", options.resume_anyway,
                "Continue also a checkpoint of another version, build, or kind of processor or "
                "GPU, which gives other bits than either alone. The model's made_by names both")
      ->needs(resume)
      ->group("Records");
  command.add_flag("--quiet", options.quiet, "Show no progress")->group("Records");
  command
      .add_flag("--dry-run", options.dry_run,
                "Show the memory that the run would take, part by part, and stop; write nothing")
      ->group("Records");
}

}  // namespace

void add_layers_option(CLI::App& command, std::optional<int64_t>& layers, const char* standard) {
  command
      .add_option("--layers", layers,
                  fmt::format("Number of hidden layers of neumf's perceptron. The first has --dim "
                              "units, each further "
                              "layer half as many [{}]",
                              standard))
      ->check(count_from(1));
}

void check_layers(const std::string& model) {
  if (has_layers(model)) return;
  throw UsageError(fmt::format("--layers is for --model neumf; {} has no hidden layers", model));
}

void add_idle_options(CLI::App& command, IdleOptions& options) {
  add_threads_option(command, options.threads);
  command.add_option("--seed", options.seed, "Ignored: this command draws no random numbers")
      ->check(seed())
      ->capture_default_str();
}

void add_training_options(CLI::App& command, TrainingOptions& options) {
  command.add_option("--data", options.data, "Data set, made by derrd prepare or derrd synthesize")
      ->required()
      ->type_name("FILE");
  command
      .add_option(
          "-o,--output", options.output,
          "File for the model of the epoch that is best by --stop-on; of the last epoch without "
          "validation items")
      ->required()
      ->check(file_name())
      ->type_name("FILE");
  add_threads_option(command, options.threads);
  add_training_group(command, options);
  add_record_group(command, options);
  add_speed_group(command, options);
}

}  // namespace derrd
