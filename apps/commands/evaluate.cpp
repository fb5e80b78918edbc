#include "apps/commands/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "apps/cli/config_option.h"
#include "apps/training/load_model.h"
#include "apps/training/metrics_json.h"
#include "apps/training/training_options.h"
#include "data/dataset.h"
#include "data/error.h"
#include "engine/device_dataset.h"
#include "engine/evaluation/model_evaluation.h"
#include "engine/models/catalogue.h"
#include "kernels/platform/device.h"

namespace derrd {

namespace {

struct EvaluateCommand {
  std::string data;
  std::vector<std::string> models;
  bool valid = false;
  bool json = false;
  IdleOptions idle;
};

/// A row of the tables.
struct Row {
  std::string file;
  int64_t dim = 0, parameters = 0;
  double megabytes = 0;  ///< of the file
  ModelEvaluation evaluation;
};

Row evaluate(const std::string& path, const Dataset& dataset, const DeviceDataset& data,
             const Stream& stream) {
  const SavedModel model = load_model(path, dataset);
  Row row;
  row.file = path;
  row.dim = model_dim(model);
  row.parameters = model.parameters();
  row.megabytes = static_cast<double>(std::filesystem::file_size(path)) / 1e6;
  try {
    row.evaluation = evaluate_model(*make_scorer(model, stream), dataset, data, stream);
  } catch (const Error& e) {
    throw Error(fmt::format("{}: {}", path, e.what()));
  }
  return row;
}

Json row_json(const Row& row) {
  Json json;
  json["file"] = row.file;
  json["dim"] = row.dim;
  json["parameters"] = row.parameters;
  json["megabytes"] = row.megabytes;
  json["valid"] = metrics_json(row.evaluation.leave_one_out.valid);
  json["test"] = metrics_json(row.evaluation.leave_one_out.test);
  json["full"] = metrics_json(row.evaluation.full);
  json["top10_ms"] = row.evaluation.top10_seconds * 1e3;
  return json;
}

/// Prints rows of cells with aligned columns: the first to the left, numbers to the right.
void print_table(const std::vector<std::vector<std::string>>& table) {
  std::vector<size_t> widths(table.front().size());
  for (const auto& row : table) {
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  for (const auto& row : table) {
    fmt::print("{:<{}}", row[0], widths[0]);
    for (size_t c = 1; c < row.size(); ++c) fmt::print("  {:>{}}", row[c], widths[c]);
    fmt::print("\n");
  }
}

std::vector<std::string> with_names(std::string first, const Json& metrics) {
  std::vector<std::string> cells = {std::move(first)};
  for (const auto& [name, value] : metrics.items()) cells.push_back(name);
  return cells;
}

std::vector<std::string> with_values(std::string first, const Json& metrics) {
  std::vector<std::string> cells = {std::move(first)};
  for (const auto& value : metrics) cells.push_back(format_metric(value));
  return cells;
}

std::string model_file_name(const Row& row) {
  return std::filesystem::path(row.file).filename().string();
}

/// Prints one kind of metrics, a row per model.
template <class MetricsOf>
void print_metrics(const std::string& title, const std::vector<Row>& rows, MetricsOf metrics_of) {
  std::vector<std::vector<std::string>> table;
  table.push_back(with_names("", metrics_json(metrics_of(rows.front()))));
  for (const Row& row : rows) {
    table.push_back(with_values(model_file_name(row), metrics_json(metrics_of(row))));
  }
  fmt::print("\n{}\n", title);
  print_table(table);
}

void print_tables(const std::vector<Row>& rows, const Dataset& dataset, bool valid) {
  std::vector<std::vector<std::string>> table = {
      {"", "dimension", "parameters", "MB", "ms for all top-10 lists"}};
  for (const Row& row : rows) {
    table.push_back({model_file_name(row), std::to_string(row.dim), std::to_string(row.parameters),
                     fmt::format("{:.2f}", row.megabytes),
                     fmt::format("{:.1f}", row.evaluation.top10_seconds * 1e3)});
  }
  print_table(table);
  const std::string among = " among itself and " + describe_candidates(dataset);
  print_metrics("Test item" + among, rows,
                [](const Row& row) { return row.evaluation.leave_one_out.test; });
  if (valid) {
    print_metrics("Validation item" + among, rows,
                  [](const Row& row) { return row.evaluation.leave_one_out.valid; });
  }
  print_metrics("Test item among all items but the user's training items", rows,
                [](const Row& row) { return row.evaluation.full; });
}

void run(const EvaluateCommand& command) {
  set_threads(command.idle.threads);
  const Stream stream;
  const Dataset dataset = load_dataset(command.data);
  const DeviceDataset data(dataset, stream);
  std::vector<Row> rows;
  for (const std::string& model : command.models) {
    rows.push_back(evaluate(model, dataset, data, stream));
  }
  if (!command.json) {
    print_tables(rows, dataset, command.valid);
    return;
  }
  Json json;
  json["data"] = {{"file", command.data},
                  {"hash", dataset.hash},
                  {"users", dataset.num_users()},
                  {"items", dataset.num_items()},
                  {"candidates", dataset.num_candidates}};
  json["device"] = device_info().name;
  for (const Row& row : rows) json["models"].push_back(row_json(row));
  fmt::print("{}\n", json.dump(1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

void add_evaluate(CLI::App& app) {
  auto options = std::make_shared<EvaluateCommand>();
  CLI::App* command =
      app.add_subcommand("evaluate", "Compare models on the items held out of a data set");
  add_config_option(*command);
  command
      ->add_option("--data", options->data, "Data set, made by derrd prepare or derrd synthesize")
      ->required()
      ->type_name("FILE");
  command
      ->add_option(
          "--model", options->models,
          "Models from derrd train or derrd distill, or safetensors files with user_embedding and "
          "item_embedding; user_ids and item_ids say which rows are whose, user_bias and "
          "item_bias are added")
      ->required()
      ->type_name("FILE");
  command->add_flag("--valid", options->valid, "Show the validation items' metrics too");
  command->add_flag("--json", options->json, "Print everything as JSON instead of tables");
  add_idle_options(*command, options->idle);
  command->footer(
      "H@N: share of users whose held-out item is among the first N; N@N: NDCG; M@N: MRR.\n"
      "Example:\n  derrd evaluate --data citeulike.safetensors --model teacher.safetensors "
      "student.safetensors");
  command->callback([options] { run(*options); });
}

}  // namespace derrd
