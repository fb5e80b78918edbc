#include "apps/recommend.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "apps/config_option.h"
#include "apps/list_writer.h"
#include "apps/load_model.h"
#include "apps/metrics_json.h"
#include "apps/option_checks.h"
#include "apps/output_checks.h"
#include "apps/training_options.h"
#include "data/dataset.h"
#include "data/error.h"
#include "data/file_bytes.h"
#include "data/printable.h"
#include "data/text_lines.h"
#include "data/version.h"
#include "engine/model_file.h"
#include "engine/models/catalogue.h"
#include "engine/top_lists.h"
#include "kernels/platform/device.h"
#include "kernels/platform/memory.h"

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

/// The numbers of the users that are asked for, in the order in which they are.
std::vector<int32_t> selected_users(const RecommendCommand& command, const Dataset& dataset) {
  std::vector<int32_t> users;
  if (!command.users_file.empty()) {
    const std::vector<std::byte> bytes = read_file(command.users_file);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    LineReader lines(text, command.users_file);
    while (lines.next_filled()) {
      users.push_back(find_user(dataset, std::string(trim(lines.line())),
                                fmt::format("{}:{}", command.users_file, lines.number())));
    }
  } else if (!command.users.empty()) {
    for (const std::string& id : command.users) {
      users.push_back(find_user(dataset, id, "--users"));
    }
  } else {
    users.resize(static_cast<size_t>(dataset.num_users()));
    std::iota(users.begin(), users.end(), 0);
  }
  return users;
}

/// The rows of some users.
InteractionRows rows_of(const InteractionRows& all, std::span<const int32_t> users) {
  InteractionRows rows;
  for (const int32_t u : users) {
    const auto items = all.row(u);
    rows.items.insert(rows.items.end(), items.begin(), items.end());
    rows.offsets.push_back(rows.num_interactions());
  }
  return rows;
}

/// Makes the lists of adjacent users of the selection, from a model that knows them only.
class ListMaker {
 public:
  ListMaker(const InteractionRows& train, const SavedModel& model, int64_t top,
            const Stream& stream)
      : top_(top),
        stream_(stream),
        scorer_(make_scorer(model, stream)),
        offsets_(train.offsets, stream),
        observed_(train.items, stream),
        top_lists_(scorer_->items(), top) {}

  /// @param users the numbers that the users have in the data set, from the first_user-th of the
  /// selection on
  Lists make(std::span<const int32_t> users, int64_t first_user) {
    const auto n = static_cast<int64_t>(users.size());
    const DeviceArray<int32_t> items(n * top_);
    const DeviceArray<float> scores(n * top_);
    top_lists_.best(items.matrix(n, top_), scores.matrix(n, top_), *scorer_,
                    {offsets_.view(), observed_.view()}, first_user, stream_);
    return {{users.begin(), users.end()}, items.to_host(stream_), scores.to_host(stream_), top_};
  }

 private:
  const int64_t top_;
  const Stream& stream_;
  const std::unique_ptr<Scorer> scorer_;
  const DeviceArray<int64_t> offsets_;
  const DeviceArray<int32_t> observed_;
  TopLists top_lists_;
};

/// What made the lists: the data set, the model, and what the model's file says about itself.
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
  constexpr size_t kUsersAtOnce = 1024;
  if (command.format == "safetensors" && command.output.empty()) {
    throw CLI::ValidationError("recommend", "--format safetensors needs a file to write: give -o");
  }
  check_outputs(
      {{"--data", command.data}, {"--model", command.model}, {"--users-file", command.users_file}},
      {{"-o", command.output}});
  set_threads(command.idle.threads);
  const Stream stream;
  const Dataset dataset = load_dataset(command.data);
  SavedModel model = load_model(command.model, dataset);
  const std::vector<int32_t> users = selected_users(command, dataset);
  const auto top = static_cast<size_t>(std::min(command.top, dataset.num_items()));
  const Metadata facts = origin(dataset, model, command.top);
  select_users(model, users);
  ListMaker maker(rows_of(dataset.train, users), model, static_cast<int64_t>(top), stream);

  const std::unique_ptr<ListWriter> writer =
      command.format == "safetensors"
          ? safetensors_lists(command.output, static_cast<int64_t>(top), facts)
          : text_lists(command.format, command.output, dataset);
  for (size_t first = 0; first < users.size(); first += kUsersAtOnce) {
    const auto part = std::span(users).subspan(first, std::min(kUsersAtOnce, users.size() - first));
    Lists lists;
    try {
      lists = maker.make(part, static_cast<int64_t>(first));
    } catch (const Error& e) {
      throw Error(fmt::format("{}: in the tile of users from {} on: {}", command.model,
                              printable(dataset.user_ids.text(part.front())), e.what()));
    }
    writer->write(lists);
  }
  writer->finish();
}

}  // namespace

void add_recommend(CLI::App& app) {
  auto options = std::make_shared<RecommendCommand>();
  CLI::App* command = app.add_subcommand(
      "recommend", "Write the best items of users, without those that they trained with");
  add_config_option(*command);
  command
      ->add_option("--data", options->data, "Data set, made by derrd prepare or derrd synthesize")
      ->required()
      ->type_name("FILE");
  command->add_option("--model", options->model, "Model to recommend with")
      ->required()
      ->type_name("FILE");
  command->add_option("--top", options->top, "Items per user")
      ->check(at_least(1))
      ->capture_default_str();
  auto* users = command
                    ->add_option("--users", options->users,
                                 "Original ids of the users, commas between them [all users]")
                    ->delimiter(',');
  command
      ->add_option(
          "--users-file", options->users_file,
          "The same from a text file, an id per line; for ids with commas, and many of them")
      ->type_name("FILE")
      ->excludes(users);
  command
      ->add_option("--format", options->format,
                   "tsv: user, rank, item, score, after a line of these names; jsonl: a line per "
                   "user {\"user\", \"items\": [{\"item\", \"score\"}]}; safetensors: a file of "
                   "matrices with the data set's numbers instead of ids")
      ->check(CLI::IsMember({"tsv", "jsonl", "safetensors"}))
      ->capture_default_str();
  command->add_option("-o,--output", options->output, "File to write [standard output]")
      ->type_name("FILE");
  add_idle_options(*command, options->idle);
  command->footer(
      "Items held out for validation and test are recommended: they are what a good model finds.\n"
      "Example:\n  derrd recommend --data citeulike.safetensors --model student.safetensors --top "
      "10 "
      "--users 17,42");
  command->callback([options] { run(*options); });
}

}  // namespace derrd
