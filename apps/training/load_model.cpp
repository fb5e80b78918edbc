#include "apps/training/load_model.h"

#include <fmt/format.h>

#include <filesystem>
#include <tuple>

#include "apps/cli/message.h"
#include "apps/cli/option_checks.h"
#include "apps/cli/usage_error.h"
#include "apps/training/metrics_json.h"
#include "data/formats/file_bytes.h"

namespace derrd {

void warn_of_other_dataset(const std::string& path, const Metadata& metadata,
                           const Dataset& dataset, bool by_id) {
  const auto hash = metadata.find("dataset_hash");
  if (hash == metadata.end() || hash->second == dataset.hash) return;
  say("derrd: warning: {} was trained on another data set ({}, not {}); {}it may have been "
      "trained on items that are held out here",
      path, hash->second, dataset.hash, by_id ? "" : "its rows may be other users and items, and ");
}

std::string selected_items_of(const Metadata& metadata) {
  const auto options = metadata.find("options");
  if (options == metadata.end()) return "";
  const Json json = Json::parse(options->second, nullptr, false);
  if (!json.is_object() || json.value("command", Json()) != "recommend") return "";
  return json.contains("items") ? json["items"].dump() : "";
}

void warn_of_unused(const std::string& path, const std::vector<std::string>& tensors) {
  if (tensors.empty()) return;
  say("derrd: warning: {}: has a row per user or item, but is not used: {}; a score is made "
      "of the vectors, user_bias and item_bias alone",
      path, printable_ids(tensors));
}

void add_vector_options(CLI::App& command, ModelFiles& files, const std::string& group,
                        const std::string& missing) {
  const std::string option = "--" + files.option;
  const auto add = [&](const char* end, std::string& value, const std::string& description) {
    return command.add_option(option + end, value, description)->group(group);
  };
  for (const auto& [kind, vectors, ids] :
       {std::tuple<const char*, std::string*, std::string*>("user", &files.user, &files.user_ids),
        {"item", &files.item, &files.item_ids}}) {
    add(fmt::format("-{}", kind).c_str(), *vectors,
        fmt::format("Vectors of {0}s: name of a tensor in the {1} file, or a NumPy file that ends "
                    "in .npy [{0}_embedding]",
                    kind, option))
        ->type_name("NAME");
    add(fmt::format("-{}-ids", kind).c_str(), *ids,
        fmt::format("Text file with one original {0} id per {2} row [tensor {0}_ids of the {1} "
                    "file; without it the data set's numbers]",
                    kind, option, files.option))
        ->type_name("FILE");
  }
  command
      .add_option(option + "-coverage", files.coverage,
                  fmt::format("Smallest fraction of the data set's users, and of its items, that "
                              "the {} must know{}",
                              files.option, missing))
      ->check(within(0, 1))
      ->group(group)
      ->capture_default_str();
}

bool has_model(const ModelFiles& files) { return !files.file.empty() || files.named(); }

void check_model_options(const ModelFiles& files) {
  if (!has_model(files)) {
    throw UsageError(
        fmt::format("there is no model; give --{0}, or --{0}-user and --{0}-item", files.option));
  }
  if (files.file.empty() && !files.arrays()) {
    throw UsageError(fmt::format("without --{0} give both --{0}-user and --{0}-item as .npy files",
                                 files.option));
  }
}

std::vector<NamedFile> model_inputs(const ModelFiles& files) {
  const auto option = [&](const char* end) { return "--" + files.option + end; };
  return {{option(""), files.file},
          {option("-user"), is_npy(files.user) ? files.user : ""},
          {option("-item"), is_npy(files.item) ? files.item : ""},
          {option("-user-ids"), files.user_ids},
          {option("-item-ids"), files.item_ids}};
}

int64_t model_bytes(const ModelFiles& files) {
  int64_t bytes = files.arrays() ? 0 : file_size_or_zero(files.file);
  for (const std::string& vectors : {files.user, files.item}) {
    if (is_npy(vectors)) bytes += file_size_or_zero(vectors);
  }
  return bytes;
}

AlignedModel load_model(const ModelSource& source, const Dataset& dataset,
                        const std::string& missing) {
  AlignedModel aligned = source.load(dataset);
  const std::string name = source.files().name();
  warn_of_other_dataset(name, aligned.model.metadata, dataset,
                        aligned.user.by_id && aligned.item.by_id);
  if (!aligned.report.empty()) {
    say_line(aligned.report);
  } else if (!aligned.model.metadata.contains("dataset_hash")) {
    say_line(describe_alignment(name, aligned.user, aligned.item));
  }
  warn_of_unused(name, aligned.unused);
  if (!aligned.whole()) {
    say("derrd: warning: {}: lacks {} users and {} items of the data set; {}", name,
        aligned.user.numbers() - aligned.user.matched,
        aligned.item.numbers() - aligned.item.matched, missing);
  }
  return aligned;
}

std::vector<int32_t> known_numbers(const RowAlignment& alignment) {
  std::vector<int32_t> numbers;
  for (size_t n = 0; n < alignment.row.size(); ++n) {
    if (alignment.row[n] >= 0) numbers.push_back(static_cast<int32_t>(n));
  }
  return numbers;
}

}  // namespace derrd
