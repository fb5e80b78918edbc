#include "apps/commands/evaluate.h"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/cli/config_option.h"
#include "apps/cli/message.h"
#include "apps/cli/option_checks.h"
#include "apps/cli/output_checks.h"
#include "apps/cli/usage_error.h"
#include "apps/evaluation/evaluated_lists.h"
#include "apps/evaluation/evaluation_report.h"
#include "apps/evaluation/model_latency.h"
#include "apps/training/load_model.h"
#include "apps/training/metrics_json.h"
#include "apps/training/training_options.h"
#include "data/dataset.h"
#include "data/error.h"
#include "engine/device_dataset.h"
#include "engine/evaluation/model_evaluation.h"
#include "engine/models/catalogue.h"
#include "kernels/platform/device.h"
#include "kernels/platform/host_memory.h"

namespace derrd {

namespace {

struct EvaluateCommand {
  std::string data;
  std::vector<std::string> models, lists;
  ModelFiles vectors;  ///< of a model of another program
  std::string per_user;
  bool exclude_valid = false;
  bool ci = false;
  bool latency = false;
  bool valid = false;
  bool json = false;
  IdleOptions idle;
};

EvaluationRow evaluate(const ModelFiles& files, const Dataset& dataset, const DeviceDataset& data,
                       FullRankingEvaluator& full, bool latency, const Stream& stream) {
  AlignedModel loaded =
      load_model(ModelSource(files), dataset,
                 "such an item, and every item of such a user, ranks last where it is held out");
  EvaluationRow row;
  row.file = files.arrays() ? files.user : files.file;
  ModelRow& facts = row.model.emplace();
  facts.users = loaded.user.matched;
  facts.items = loaded.item.matched;
  facts.dim = model_dim(loaded.model);
  facts.parameters = loaded.model.parameters() - facts.dim * (dataset.num_users() - facts.users +
                                                              dataset.num_items() - facts.items);
  facts.megabytes = static_cast<double>(model_bytes(files)) / 1e6;
  try {
    rank_missing_last(loaded);
    ModelEvaluation measured =
        evaluate_model(*make_scorer(loaded.model, stream), data, full, stream);
    facts.candidates = std::move(measured.candidates);
    facts.top10_seconds = measured.top10_seconds;
    if (latency) facts.latency = measure_model_latency(loaded.model, data, files.name(), stream);
    row.full = std::move(measured.full);
    // Its lists would go on with what it lacks.
    if (!loaded.whole()) {
      row.full.lists = ListCounter(dataset.train, dataset.num_items()).figures();
    }
  } catch (const Error& e) {
    throw Error(fmt::format("{}: {}", files.name(), e.what()));
  }
  return row;
}

/// The models to compare. Two .npy files are one more model; other options on vectors are of the
/// only --model.
std::vector<ModelFiles> models_of(const EvaluateCommand& command) {
  const ModelFiles& vectors = command.vectors;
  std::vector<ModelFiles> all;
  for (const std::string& file : command.models) {
    ModelFiles& model = all.emplace_back();
    model.file = file;
    model.coverage = vectors.coverage;
  }
  if (vectors.arrays()) {
    all.push_back(vectors);
  } else if (vectors.named() || !vectors.user_ids.empty() || !vectors.item_ids.empty()) {
    if (all.size() > 1) {
      throw UsageError(
          "--model-user, --model-item, --model-user-ids and --model-item-ids are of one model; "
          "give one --model, or two .npy files beside those of --model");
    }
    ModelFiles only = vectors;
    if (!all.empty()) only.file = all.front().file;
    all = {only};
  }
  for (const ModelFiles& model : all) check_model_options(model);
  return all;
}

/// All input files.
std::vector<NamedFile> inputs_of(const EvaluateCommand& command,
                                 const std::vector<ModelFiles>& models) {
  std::vector<NamedFile> inputs = {{"--data", command.data}};
  for (const ModelFiles& model : models) {
    for (NamedFile& file : model_inputs(model)) inputs.push_back(std::move(file));
  }
  for (const std::string& lists : command.lists) inputs.push_back({"--lists", lists});
  return inputs;
}

void run(const EvaluateCommand& command) {
  const std::vector<ModelFiles> models = models_of(command);
  if (models.empty() && command.lists.empty()) {
    throw UsageError("there is nothing to evaluate; give --model, --lists or both");
  }
  if (models.empty() && command.latency) {
    throw UsageError("--latency times models, and there is none; give --model");
  }
  check_outputs(inputs_of(command, models), {{"--per-user", command.per_user}});
  set_threads(command.idle.threads);
  const Stream stream;
  const Dataset dataset = load_dataset(command.data);
  const InteractionRows left_out_too = command.exclude_valid ? dataset.valid : InteractionRows{};
  EvaluationReport report;
  report.without_valid = command.exclude_valid;
  report.users_without_candidates = count_without_candidates(dataset);
  if (!models.empty()) {
    const DeviceDataset data(dataset, stream);
    FullRankingEvaluator full(dataset.test, dataset.train, left_out_too, dataset.num_items(),
                              stream);
    for (const ModelFiles& model : models) {
      report.rows.push_back(evaluate(model, dataset, data, full, command.latency, stream));
    }
    if (command.latency) report.peak_host_bytes = peak_host_memory();
  }
  for (const std::string& lists : command.lists) {
    report.rows.push_back(evaluate_lists(lists, dataset, left_out_too));
  }
  name_rows(report.rows);
  if (command.ci) add_estimates(report, command.idle.seed);
  if (!command.per_user.empty()) write_users(command.per_user, report, dataset);
  if (!command.json) {
    print_tables(report, dataset, command.valid);
    return;
  }
  Json json;
  json["data"] = {{"file", command.data},
                  {"hash", dataset.hash},
                  {"users", dataset.num_users()},
                  {"items", dataset.num_items()},
                  {"candidates", dataset.num_candidates},
                  {"test_users", dataset.test.filled_rows()},
                  {"test_users_without_candidates", report.users_without_candidates}};
  const DeviceInfo device = device_info();
  json["device"] = device.name;
  json["threads"] = device.threads;
  json["exclude_valid"] = command.exclude_valid;
  json["models"] = models_json(report, dataset);
  if (command.latency) {
    json["peak_host_bytes"] = report.peak_host_bytes ? Json(*report.peak_host_bytes) : Json();
  }
  json["opposite_orders"] = disagreements_json(report);
  print_out("{}\n", json.dump(1, ' ', false, Json::error_handler_t::replace));
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
      ->type_name("FILE");
  add_vector_options(*command, options->vectors, "Model of another program",
                     ". Held-out items that it lacks, and those of users that it lacks, rank last");
  command
      ->add_option(
          "--lists", options->lists,
          "Rankings from other programs, as derrd distill --teacher takes them: .tsv or .txt "
          "(lines of user, item and optional score, separated by tabs, the best first), or "
          "safetensors "
          "with a matrix items. Only metrics among all items are computed for them. All test "
          "items of a user without a list are misses")
      ->type_name("FILE");
  command->add_flag("--exclude-valid", options->exclude_valid,
                    "Leave the user's validation items out when test items are ranked among all "
                    "items, as RecBole does; otherwise they are ranked like any other item");
  command->add_flag("--ci", options->ci,
                    "Show 95 % confidence intervals of all metrics that are means over users, and "
                    "of the differences to the first model: percentiles of a bootstrap over users, "
                    "with the same 1000 resamples for all models");
  command->add_flag(
      "--latency", options->latency,
      "Measure the wall time of lists too, for every user by itself: all items are scored, the "
      "training items left out, the rest sorted in full or the top 10 alone, and the list copied "
      "to the host; median, 99th percentile, sum over all users, and memory. Other work on the "
      "machine lengthens the times");
  command
      ->add_option(
          "--per-user", options->per_user,
          "File for a line per model and user with all metrics, separated by tabs; - where "
          "the user does not count")
      ->check(file_name())
      ->type_name("FILE");
  command->add_flag("--valid", options->valid, "Show the validation items' metrics too");
  command->add_flag("--json", options->json, "Print everything as JSON instead of tables");
  add_idle_options(*command, options->idle);
  command->get_option("--seed")->description("Seed of the resamples of --ci");
  command->footer(
      "Among candidates: H@N: share of users whose held-out item is among the first N; N@N: NDCG;\n"
      "M@N: MRR. Among all items, as means over the users with test items, with equal scores\n"
      "counted against the model:\n"
      "  Recall@K    part of the user's test items that is among the first K\n"
      "  NDCG        these weighted by rank, relative to the best possible list\n"
      "  Precision   part of the K places that they fill\n"
      "  HR          1 if one is among the first K, else 0\n"
      "  MRR         1 / rank of the first\n"
      "  MAP         mean precision at their ranks\n"
      "Of the lists of the K best items:\n"
      "  coverage    part of all items that is in anybody's list\n"
      "  Gini        0 if all items are listed equally often, near 1 if few are\n"
      "  popularity  mean number of users who trained with a listed item\n"
      "Example:\n  derrd evaluate --data citeulike.safetensors --model teacher.safetensors "
      "student.safetensors\n  derrd evaluate --data citeulike.safetensors --model "
      "student.safetensors --model-user p.npy --model-item q.npy\n"
      "Two .npy files are compared as one more model beside those of --model. With names of "
      "tensors "
      "or\nfiles of ids for a safetensors file, give one --model only.");
  command->callback([options] { run(*options); });
}

}  // namespace derrd
