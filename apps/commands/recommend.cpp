#include "apps/commands/recommend.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/cli/config_option.h"
#include "apps/cli/memory_report.h"
#include "apps/cli/message.h"
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
#include "engine/models/catalogue.h"
#include "engine/models/model_source.h"
#include "kernels/platform/device.h"

namespace derrd {

namespace {

struct RecommendCommand {
  std::string data, output;
  ModelFiles model;
  int64_t top = 10;
  std::vector<std::string> users;
  std::string users_file, items_file;
  bool include_seen = false;
  std::string format = "tsv";
  bool dry_run = false;
  IdleOptions idle;
};

/// Users or items of the data set, and which of them the model has.
struct Selectable {
  const char* kind;  // "user"
  const IdTable& ids;
  const RowAlignment& alignment;
};

int32_t find_known(const Selectable& of, std::string_view id, const std::string& where) {
  const std::optional<int32_t> number = of.ids.find(id);
  if (!number) {
    throw Error(
        fmt::format("{}: no {} has the id {} in the data set; give ids as they stand in the file "
                    "that it was prepared from",
                    where, of.kind, printable(id)));
  }
  if (of.alignment.row[*number] < 0) {
    throw Error(
        fmt::format("{}: the model lacks the {} {}; leave it out", where, of.kind, printable(id)));
  }
  return *number;
}

/// Numbers of the ids in a text file, in their order there.
std::vector<int32_t> numbers_of_lines(const Selectable& of, const std::string& path) {
  std::vector<int32_t> numbers;
  const std::string text = read_text(path);
  LineReader lines(text, path);
  while (lines.next_filled()) {
    numbers.push_back(
        find_known(of, trim(lines.line()), fmt::format("{}:{}", path, lines.number())));
  }
  if (numbers.empty()) {
    throw Error(fmt::format("{}: names no {}; give an id per line", path, of.kind));
  }
  return numbers;
}

std::vector<int32_t> selected_users(const RecommendCommand& command, const Selectable& users) {
  if (!command.users_file.empty()) return numbers_of_lines(users, command.users_file);
  if (command.users.empty()) return known_numbers(users.alignment);
  std::vector<int32_t> numbers;
  for (const std::string& id : command.users) {
    numbers.push_back(find_known(users, trim(id), "--users"));
  }
  return numbers;
}

std::vector<int32_t> selected_items(const RecommendCommand& command, const Selectable& items) {
  if (command.items_file.empty()) return known_numbers(items.alignment);
  std::vector<int32_t> numbers = numbers_of_lines(items, command.items_file);
  std::ranges::sort(numbers);
  numbers.erase(std::ranges::unique(numbers).begin(), numbers.end());
  return numbers;
}

/// Origin of the lists: data set, model, and the metadata of the model's file.
Metadata origin(const Dataset& dataset, const SavedModel& model, const RecommendCommand& command,
                const ListRequest& request) {
  Json options = {{"command", "recommend"}, {"top", command.top}};
  if (command.include_seen) options["include-seen"] = true;
  if (std::ssize(request.items) < dataset.num_items()) {
    options["items"] = request.items.size();
    options["items_hash"] = hash_tensors({{"items", tensor_view(request.items)}});
  }
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

/// Says how much memory the lists take. Returns false if that was all.
/// @throws Error if it is more than is available.
bool tell_memory(const RecommendCommand& command, const ListRequest& request,
                 const Dataset& dataset, const SavedModel& model,
                 const AvailableMemory& available) {
  ListSizes sizes;
  sizes.data = sizes_of(dataset);
  sizes.data_file = file_size_or_zero(command.data);
  sizes.model_files = model_bytes(command.model);
  sizes.model = sizes_of(model, dataset.num_users(), dataset.num_items());
  sizes.users = std::ssize(request.users);
  sizes.items = std::ssize(request.items);
  sizes.top = request.length();
  sizes.collects = command.format == "safetensors";
  const MemoryNeed need = lists_memory(sizes);
  if (command.dry_run) print_text(memory_table(need, available));
  say("memory: {}", describe_need(need, available));
  const auto smaller = [&](int64_t ListSizes::*size) {
    return [=](int64_t value) {
      ListSizes fewer = sizes;
      fewer.*size = value;
      return lists_memory(fewer);
    };
  };
  require_memory(
      "this run", need, available,
      {{"--top", 1, sizes.top, smaller(&ListSizes::top), "--top"},
       {"--users-file", 1, sizes.users, smaller(&ListSizes::users), "a --users-file of"}});
  return !command.dry_run;
}

void run(const RecommendCommand& command) {
  if (command.format == "safetensors" && command.output.empty()) {
    throw UsageError("--format safetensors needs a file to write: give -o");
  }
  check_model_options(command.model);
  std::vector<NamedFile> inputs = model_inputs(command.model);
  inputs.push_back({"--data", command.data});
  inputs.push_back({"--users-file", command.users_file});
  inputs.push_back({"--items", command.items_file});
  if (command.dry_run) {
    refuse_same_files(inputs, {{"-o", command.output}});
  } else {
    check_outputs(inputs, {{"-o", command.output}});
  }
  set_threads(command.idle.threads);
  const Stream stream;
  const AvailableMemory available = memory_for_run();
  require_reading(command.data, model_bytes(command.model), available);
  const Dataset dataset = load_dataset(command.data);
  AlignedModel loaded = load_model(ModelSource(command.model), dataset,
                                   "such users get no list, and such items are in none");
  const ListRequest request = {
      .users = selected_users(command, {"user", dataset.user_ids, loaded.user}),
      .items = selected_items(command, {"item", dataset.item_ids, loaded.item}),
      .top = command.top,
      .include_seen = command.include_seen};
  if (!tell_memory(command, request, dataset, loaded.model, available)) return;
  const std::unique_ptr<ListWriter> writer =
      command.format == "safetensors"
          ? safetensors_lists(command.output, request.users.size(), request.length(),
                              origin(dataset, loaded.model, command, request))
          : text_lists(command.format, command.output, dataset);
  write_lists(*writer, dataset, std::move(loaded.model), request, command.model.name(), stream);
}

}  // namespace

void add_recommend(CLI::App& app) {
  auto options = std::make_shared<RecommendCommand>();
  CLI::App* command = app.add_subcommand("recommend", "Write users' best items");
  add_config_option(*command);
  command
      ->add_option("--data", options->data, "Data set, made by derrd prepare or derrd synthesize")
      ->required()
      ->type_name("FILE");
  command
      ->add_option("--model", options->model.file,
                   "Model to recommend with, as derrd evaluate takes it")
      ->type_name("FILE");
  add_vector_options(*command, options->model, "Model of another program",
                     ". Users that it lacks get no list, and items that it lacks are in none");
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
      ->add_option("--items", options->items_file,
                   "Text file with an original item id per line: only these items are ranked [all "
                   "items]")
      ->type_name("FILE");
  command->add_flag("--include-seen", options->include_seen,
                    "Rank items that the user trained with, too [leave them out]");
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
  command->add_flag(
      "--dry-run", options->dry_run,
      "Show the memory that the run would take, part by part, and stop; write nothing");
  add_idle_options(*command, options->idle);
  command->footer(
      "Items held out for validation and test may be recommended: a good model finds them.\n"
      "Example:\n  derrd recommend --data citeulike.safetensors --model student.safetensors --top "
      "10 "
      "--users 17,42\n  derrd recommend --data citeulike.safetensors --model-user p.npy "
      "--model-item "
      "q.npy --model-user-ids users.txt --model-item-ids items.txt --items new.txt");
  command->callback([options] { run(*options); });
}

}  // namespace derrd
