#include "apps/commands/synthesize.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/cli/config_option.h"
#include "apps/cli/memory_report.h"
#include "apps/cli/option_checks.h"
#include "apps/cli/output_checks.h"
#include "apps/commands/write_dataset.h"
#include "data/dataset.h"
#include "data/split.h"
#include "data/synthesize.h"

namespace derrd {

namespace {

struct SynthesizeCommand {
  SynthesisOptions synthesis;
  int64_t candidates = 499;
  std::string output;
  int threads = 1;
};

void run(const SynthesizeCommand& command) {
  const SynthesisOptions& synthesis = command.synthesis;
  check_outputs({}, {{"--output", command.output}});
  require_candidates(synthesis.users, synthesis.items, synthesis.interactions, command.candidates);
  Dataset dataset = split_leave_one_out(synthesize(synthesis), synthesis.seed);
  draw_candidates(dataset, command.candidates, synthesis.seed);
  dataset.options =
      nlohmann::json{{"command", "synthesize"},  {"users", synthesis.users},
                     {"items", synthesis.items}, {"interactions", synthesis.interactions},
                     {"skew", synthesis.skew},   {"latent-dim", synthesis.latent_dimension},
                     {"seed", synthesis.seed},   {"candidates", command.candidates}}
          .dump();
  write_dataset(dataset, command.output);
}

}  // namespace

void add_synthesize(CLI::App& app) {
  auto options = std::make_shared<SynthesizeCommand>();
  SynthesisOptions& synthesis = options->synthesis;
  CLI::App* command = app.add_subcommand(
      "synthesize",
      "Make a synthetic data set: long-tailed items, latent tastes, shaped like CiteULike");
  add_config_option(*command);
  command->add_option("-o,--output", options->output, "Data set to write")
      ->required()
      ->check(file_name())
      ->type_name("FILE");
  command->add_option("--users", synthesis.users, "Number of users")->capture_default_str();
  command->add_option("--items", synthesis.items, "Number of items")->capture_default_str();
  command
      ->add_option("--interactions", synthesis.interactions,
                   "Number of interactions, at least 5 per user")
      ->capture_default_str();
  command
      ->add_option("--skew", synthesis.skew,
                   "Skew of the items' popularity: apart from tastes, the r-th most popular item "
                   "has weight r^-skew")
      ->check(at_least(0))
      ->capture_default_str();
  command->add_option("--latent-dim", synthesis.latent_dimension, "Dimension of the latent tastes")
      ->capture_default_str();
  command->add_option("--candidates", options->candidates, "Number of candidates per user")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--seed", synthesis.seed, "Random seed")
      ->check(seed())
      ->capture_default_str();
  command->add_option("--threads", options->threads, "Ignored: this command uses one thread")
      ->check(count_from(0))
      ->capture_default_str();
  command->footer(
      "Example:\n  derrd synthesize --users 1000 --items 2000 --interactions 30000 -o "
      "small.safetensors");
  command->callback([options] { run(*options); });
}

}  // namespace derrd
