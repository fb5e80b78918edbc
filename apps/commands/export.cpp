#include "apps/commands/export.h"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "apps/cli/config_option.h"
#include "apps/cli/message.h"
#include "apps/cli/option_checks.h"
#include "apps/cli/output_checks.h"
#include "apps/cli/usage_error.h"
#include "apps/commands/write_lists.h"
#include "apps/training/load_model.h"
#include "apps/training/training_options.h"
#include "data/dataset.h"
#include "data/error.h"
#include "data/formats/checksums.h"
#include "data/formats/npy.h"
#include "data/formats/safetensors.h"
#include "data/row_alignment.h"
#include "engine/models/catalogue.h"
#include "engine/models/model_source.h"
#include "engine/training/checkpoint.h"
#include "kernels/platform/device.h"

namespace derrd {

namespace {

constexpr const char* kUserTensor = "user_embedding";
constexpr const char* kItemTensor = "item_embedding";

struct ExportCommand {
  ModelFiles model;
  std::string output, data;
  std::string format = "safetensors";
  std::string user_name, item_name;  // empty: as in a model file
  std::optional<int64_t> top;
  IdleOptions idle;

  bool lists() const { return format == "tsv" || format == "jsonl"; }
  bool renames() const { return !user_name.empty() || !item_name.empty(); }
  std::string npy(const char* kind) const { return fmt::format("{}.{}.npy", output, kind); }
  std::string ids(const char* kind) const { return fmt::format("{}.{}_ids.txt", output, kind); }
  std::string checksums() const { return checksum_list_of(npy("user")).string(); }
};

void check(const ExportCommand& command) {
  if (command.lists() && command.data.empty()) {
    throw UsageError("lists leave out what users trained with: give --data");
  }
  if (command.top && !command.lists())
    throw UsageError("--top is for lists: give --format tsv or jsonl");
  if (command.renames() && command.format != "safetensors") {
    throw UsageError("--user-name and --item-name are tensors of --format safetensors");
  }
  const std::string users = command.user_name.empty() ? kUserTensor : command.user_name;
  const std::string items = command.item_name.empty() ? kItemTensor : command.item_name;
  if (users == items)
    throw UsageError("--user-name and --item-name are the same; give each its own");
  for (const std::string& name : {users, items}) {
    if (name.starts_with("__") || is_id_tensor(name)) {
      throw UsageError(
          fmt::format("'{}' has a meaning of its own in these files; choose another name", name));
    }
  }
  check_model_options(command.model);
  std::vector<NamedFile> inputs = model_inputs(command.model);
  inputs.front().option = "MODEL";
  inputs.push_back({"--data", command.data});
  if (command.format == "npy" && command.output.ends_with('/')) {
    throw UsageError("-o " + command.output +
                     " is a folder; add the beginning of the files' names");
  }
  if (command.format != "npy") {
    check_outputs(inputs, {{"-o", command.output}});
    return;
  }
  check_outputs(inputs, {{"-o", command.npy("user")},
                         {"-o", command.npy("item")},
                         {"-o", command.ids("user")},
                         {"-o", command.ids("item")},
                         {"-o", command.checksums()}});
}

AlignedModel open_checkpoint(const SafetensorsFile& file, const std::optional<Dataset>& dataset) {
  AlignedModel opened;
  opened.model = load_best_model(file);
  if (!dataset) return opened;
  const auto hash = opened.model.metadata.find("dataset_hash");
  if (hash == opened.model.metadata.end() || hash->second != dataset->hash) {
    throw Error(
        fmt::format("{}: was trained on another data set; give that by --data", file.name()));
  }
  opened.user = {align_in_order(dataset->num_users()), false};
  opened.item = {align_in_order(dataset->num_items()), false};
  opened.user_ids = dataset->user_ids;
  opened.item_ids = dataset->item_ids;
  return opened;
}

AlignedModel open_model(const ModelFiles& files, const std::optional<Dataset>& dataset) {
  const ModelSource source(files);
  if (source.file() && is_checkpoint(source.file()->metadata())) {
    if (files.named() || !files.user_ids.empty() || !files.item_ids.empty()) {
      throw Error(fmt::format(
          "{}: a checkpoint, whose vectors are known; leave --model-user, --model-item, "
          "--model-user-ids and --model-item-ids out",
          files.file));
    }
    return open_checkpoint(*source.file(), dataset);
  }
  if (dataset) {
    return load_model(source, *dataset,
                      "they get no rows; such users get no list, and such items are in no list");
  }
  AlignedModel opened = source.load();
  warn_of_unused(files.name(), opened.unused);
  return opened;
}

/// Leaves the rows out that the model lacks.
void keep_known(AlignedModel& opened) {
  if (opened.whole()) return;
  const std::vector<int32_t> users = known_numbers(opened.user);
  const std::vector<int32_t> items = known_numbers(opened.item);
  select_users(opened.model, users);
  select_items(opened.model, items);
  opened.user_ids = opened.user_ids.select(users);
  opened.item_ids = opened.item_ids.select(items);
}

void require_vectors(const ExportCommand& command, const SavedModel& model) {
  if (model.kind == kInnerProductKind) return;
  throw Error(fmt::format(
      "{}: a model of the kind {} does not score by a vector per user and item; export it as "
      "--format safetensors without --user-name and --item-name, or its lists",
      command.model.name(), model.kind));
}

void write_arrays(const ExportCommand& command, const AlignedModel& opened) {
  const SavedModel& model = opened.model;
  require_vectors(command, model);
  const std::array sides = {std::tuple("user", kUserTensor, &opened.user_ids),
                            std::tuple("item", kItemTensor, &opened.item_ids)};
  for (const auto& [kind, tensor, rows] : sides) {
    if (rows->size() == 0 && std::filesystem::exists(command.ids(kind))) {
      throw Error(fmt::format("{}: holds the ids of other rows; remove it, or give -o another name",
                              command.ids(kind)));
    }
  }
  FileGroup files(command.checksums());
  std::string report;
  for (const auto& [kind, tensor, rows] : sides) {
    const HostMatrix& matrix = model.tensor(tensor);
    const std::string header = npy_header({matrix.rows, matrix.cols});
    files.add(command.npy(kind),
              {std::as_bytes(std::span(header)), std::as_bytes(std::span(matrix.values))});
    report += fmt::format("wrote {}: {} x {}\n", command.npy(kind), matrix.rows, matrix.cols);
    if (rows->size() == 0) continue;
    std::string text;
    for (int64_t i = 0; i < rows->size(); ++i) text += rows->text(i) + "\n";
    files.add(command.ids(kind), {std::as_bytes(std::span(text))});
    report += fmt::format("wrote {}\n", command.ids(kind));
  }
  files.commit();
  print_out("{}wrote {}\n", report, command.checksums());
}

void write_tensors(const ExportCommand& command, AlignedModel opened) {
  SavedModel& model = opened.model;
  if (command.renames()) {
    require_vectors(command, model);
    auto users = model.tensors.extract(kUserTensor);
    auto items = model.tensors.extract(kItemTensor);
    if (!command.user_name.empty()) users.key() = command.user_name;
    if (!command.item_name.empty()) items.key() = command.item_name;
    model.tensors.insert(std::move(users));
    model.tensors.insert(std::move(items));
    // No longer what load_model_file takes for a model of derrd.
    if (model.metadata.contains("format")) model.metadata["format"] = "derrd-vectors";
  }
  TensorMap more;
  if (opened.user_ids.size() > 0) add_ids(more, "user", opened.user_ids);
  if (opened.item_ids.size() > 0) add_ids(more, "item", opened.item_ids);
  save_model(command.output, model, more);
  print_out("wrote {}: {} parameters, {:.2f} MB\n", command.output, model.parameters(),
            static_cast<double>(std::filesystem::file_size(command.output)) / 1e6);
}

void run(const ExportCommand& command) {
  check(command);
  // Before anything is read, so that a machine without a device says so at once.
  std::optional<Stream> stream;
  if (command.lists()) {
    set_threads(command.idle.threads);
    stream.emplace();
  }
  std::optional<Dataset> dataset;
  if (!command.data.empty()) dataset = load_dataset(command.data);
  AlignedModel opened = open_model(command.model, dataset);
  if (command.lists()) {
    constexpr int64_t kTop = 10;
    const std::unique_ptr<ListWriter> writer = text_lists(command.format, command.output, *dataset);
    write_lists(
        *writer, *dataset, std::move(opened.model),
        {known_numbers(opened.user), known_numbers(opened.item), command.top.value_or(kTop)},
        command.model.name(), *stream);
    print_out("wrote {}\n", command.output);
    return;
  }
  keep_known(opened);
  if (command.format == "npy") {
    write_arrays(command, opened);
  } else {
    write_tensors(command, std::move(opened));
  }
}

}  // namespace

void add_export(CLI::App& app) {
  auto options = std::make_shared<ExportCommand>();
  CLI::App* command = app.add_subcommand(
      "export",
      "Write a model for other programs: its vectors, its lists, or the model in a checkpoint");
  add_config_option(*command);
  command
      ->add_option("model,--model", options->model.file,
                   "Model, as derrd evaluate takes it; or checkpoint, which gives the model of its "
                   "best epoch")
      ->type_name("MODEL");
  command
      ->add_option("-o,--output", options->output,
                   "File to write; with --format npy, the beginning of the files' names")
      ->required()
      ->check(file_name())
      ->type_name("FILE");
  command
      ->add_option("--format", options->format,
                   "Format to write. safetensors: a model file; npy: FILE.user.npy and "
                   "FILE.item.npy for NumPy, and their checksums, FILE.xxh128; tsv, "
                   "jsonl: the best items of every user, as derrd recommend writes them")
      ->check(CLI::IsMember({"safetensors", "npy", "tsv", "jsonl"}))
      ->capture_default_str();
  add_vector_options(*command, options->model, "Model of another program",
                     ". Users and items that it lacks get no row, and no place in lists");
  command->add_option("--user-name", options->user_name,
                      "Name of the tensor for the users' vectors [user_embedding]");
  command->add_option("--item-name", options->item_name,
                      "Name of the tensor for the items' vectors [item_embedding]");
  command
      ->add_option(
          "--data", options->data,
          "Data set of the model. Lists need it; vectors get its order, and the original ids of "
          "their rows as tensors, or in FILE.user_ids.txt and FILE.item_ids.txt")
      ->type_name("FILE");
  command->add_option("--top", options->top, "Items per user in lists [10]")->check(count_from(1));
  add_idle_options(*command, options->idle);
  command->footer(
      "Example:\n  derrd export student.safetensors --format npy -o student\n  derrd export "
      "run.checkpoint -o model.safetensors\n  derrd export --model-user p.npy --model-item q.npy "
      "--model-user-ids users.txt --model-item-ids items.txt -o model.safetensors");
  command->callback([options] { run(*options); });
}

}  // namespace derrd
