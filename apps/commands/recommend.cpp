#include "apps/commands/recommend.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/cli/config_option.h"
#include "apps/cli/option_checks.h"
#include "apps/cli/output_checks.h"
#include "apps/cli/usage_error.h"
#include "apps/commands/write_lists.h"
#include "apps/training/load_model.h"
#include "apps/training/metrics_json.h"
#include "apps/training/training_options.h"
#include "data/dataset.h"
#include "data/error.h"
#include "data/formats/file_bytes.h"
#include "data/formats/text_lines.h"
#include "data/printable.h"
#include "data/version.h"
#include "engine/models/model_file.h"
#include "kernels/platform/device.h"

namespace derrd {

namespace {

struct RecommendCommand {
  std::string data, model, output;
  int64_t top = 10;
  std::vector<std::string> users;
  std::string users_file;
  std::string format = "tsv";
  IdleOptions idle;
};

int32_t find_user(const Dataset& dataset, const std::string& id, const std::string& where) {
  const std::optional<int32_t> user = dataset.user_ids.find(id);
  if (!user) {
    throw Error(
        fmt::format("{}: no user has the id {} in the data set; give ids as they stand in "
                    "the file that it was prepared from",
                    where, printable(id)));
  }
  return *user;
}

/// Numbers of the users on the command line, in their order there.
std::vector<int32_t> selected_users(const RecommendCommand& command, const Dataset& dataset) {
  std::vector<int32_t> users;
  if (!command.users_file.empty()) {
    const std::string text = read_text(command.users_file);
    LineReader lines(text, command.users_file);
    while (lines.next_filled()) {
      users.push_back(find_user(dataset, std::string(trim(lines.line())),
                                fmt::format("{}:{}", command.users_file, lines.number())));
    }
  } else if (!command.users.empty()) {
    for (const std::string& id : command.users) {
      users.push_back(find_user(dataset, std::string(trim(id)), "--users"));
    }
  } else {
    users = all_users(dataset);
  }
  return users;
}

/// Origin of the lists: data set, model, and the metadata of the model's file.
Metadata origin(const Dataset& dataset, const SavedModel& model, int64_t top) {
  const Json options = {{"command", "recommend"}, {"top", top}};
  Metadata metadata = {{"format", "derrd-lists"},
                       {"version", kVersion},
                       {"options", options.dump()},
                       {"dataset_hash", dataset.hash},
                       {"model_hash", hash_model(model)}};
  for (const auto& [key, fact] : {std::pair{"model", "model"},
                                  {"options", "model_options"},
                                  {"seed", "model_seed"},
                                  {"metrics", "model_metrics"},
                                  {"dataset_hash", "model_dataset_hash"},
                                  {"teacher_hash", "model_teacher_hash"}}) {
    const auto found = model.metadata.find(key);
    if (found != model.metadata.end()) metadata.emplace(fact, found->second);
  }
  return metadata;
}

void run(const RecommendCommand& command) {
  if (command.format == "safetensors" && command.output.empty()) {
    throw UsageError("--format safetensors needs a file to write: give -o");
  }
  check_outputs(
      {{"--data", command.data}, {"--model", command.model}, {"--users-file", command.users_file}},
      {{"-o", command.output}});
  set_threads(command.idle.threads);
  const Stream stream;
  const Dataset dataset = load_dataset(command.data);
  SavedModel model = load_model(command.model, dataset);
  const std::vector<int32_t> users = selected_users(command, dataset);
  const int64_t top = std::min(command.top, dataset.num_items());
  const std::unique_ptr<ListWriter> writer =
      command.format == "safetensors"
          ? safetensors_lists(command.output, top, origin(dataset, model, command.top))
          : text_lists(command.format, command.output, dataset);
  write_lists(*writer, dataset, std::move(model), users, top, command.model, stream);
}

}  // namespace

void add_recommend(CLI::App& app) {
  auto options = std::make_shared<RecommendCommand>();
  CLI::App* command =
      app.add_subcommand("recommend", "Write users' best items, without their training items");
  add_config_option(*command);
  command
      ->add_option("--data", options->data, "Data set, made by derrd prepare or derrd synthesize")
      ->required()
      ->type_name("FILE");
  command
      ->add_option("--model", options->model, "Model to recommend with, as derrd evaluate takes it")
      ->required()
      ->type_name("FILE");
  command->add_option("--top", options->top, "Items per user")
      ->check(count_from(1))
      ->capture_default_str();
  auto* users = command
                    ->add_option("--users", options->users,
                                 "Original ids of the users, separated by commas [all users]")
                    ->delimiter(',');
  command
      ->add_option("--users-file", options->users_file,
                   "Text file with an original user id per line, for many ids or ids with commas")
      ->type_name("FILE")
      ->excludes(users);
  command
      ->add_option("--format", options->format,
                   "Format to write. tsv: user, rank, item, score, after a line of these names; "
                   "jsonl: a line "
                   "per user {\"user\", \"items\": [{\"item\", \"score\"}]}; safetensors: "
                   "matrices with the data set's numbers instead of ids")
      ->check(CLI::IsMember({"tsv", "jsonl", "safetensors"}))
      ->capture_default_str();
  command->add_option("-o,--output", options->output, "File to write [standard output]")
      ->check(file_name())
      ->type_name("FILE");
  add_idle_options(*command, options->idle);
  command->footer(
      "Items held out for validation and test may be recommended: a good model finds them.\n"
      "Example:\n  derrd recommend --data citeulike.safetensors --model student.safetensors --top "
      "10 "
      "--users 17,42");
  command->callback([options] { run(*options); });
}

}  // namespace derrd
