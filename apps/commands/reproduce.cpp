#include "apps/commands/reproduce.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "apps/cli/config_option.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/message.h"
#include "apps/cli/option_checks.h"
#include "apps/cli/output_checks.h"
#include "apps/cli/usage_error.h"
#include "apps/commands/experiment_options.h"
#include "apps/experiments/accuracy_picture.h"
#include "apps/experiments/curves.h"
#include "apps/experiments/html.h"
#include "apps/experiments/published.h"
#include "apps/experiments/run_plan.h"
#include "apps/experiments/scheduler.h"
#include "apps/experiments/tables.h"
#include "apps/experiments/workspace.h"
#include "data/error.h"
#include "data/formats/atomic_file.h"
#include "data/version.h"
#include "engine/models/catalogue.h"
#include "kernels/platform/device.h"

namespace derrd {

namespace {

namespace fs = std::filesystem;

struct ReproduceCommand {
  ExperimentOptions experiment;
  std::vector<int> tables = {1, 2, 3, 4};
  std::vector<int> splits = {0, 1, 2, 3, 4};
  std::vector<std::string> models = {"bpr", "neumf"};
  std::vector<std::string> methods = {"student", "rd", "cd", "de", "rrd", "de-rrd"};
  std::string report;

  bool wants(int table) const { return std::ranges::find(tables, table) != tables.end(); }
};

template <class Value>
void refuse_repetitions(const char* option, const std::vector<Value>& values) {
  if (std::set<Value>(values.begin(), values.end()).size() < values.size()) {
    throw UsageError(fmt::format("{}: names something twice", option));
  }
}

/// Checks that the recipes have the models and methods of the command line. @throws UsageError.
void require_tables(const ReproduceCommand& command, const ReportScope& scope) {
  if (command.tables == std::vector{1}) return;
  for (const DataSource& source : scope.data) {
    const auto require = [&](const char* option, const std::string& model,
                             const std::string& method) {
      if (const auto error = source.recipe.missing_table_error(model, method)) {
        throw UsageError(fmt::format("{}: {}: {}", option, source.recipe.name(), *error));
      }
    };
    for (const std::string& model : scope.models) {
      if (source.recipe.methods(model).empty()) require("--models", model, "teacher");
      if (!command.wants(2)) continue;
      for (const std::string& method : scope.methods) require("--methods", model, method);
    }
  }
}

/// Every run that the tables need.
RunPlan plan_of(const ReproduceCommand& command, const ReportScope& scope) {
  RunPlan plan(command.experiment.work, command.experiment.seed);
  for (const DataSource& source : scope.data) {
    if (command.wants(1)) plan.data_set(source, scope.splits.front());
    for (const std::string& model : scope.models) {
      for (const int split : scope.splits) {
        const auto train = [&](const std::string& method, double size = kPaperSize) {
          plan.training(source, {source.name, split, model, method, size});
        };
        if (command.wants(2)) {
          train("teacher");
          for (const std::string& method : scope.methods) train(method);
        }
        if (command.wants(3)) {
          for (const double size : table3_sizes()) train("de-rrd", size);
        }
        if (command.wants(4)) {
          for (const std::string& method : table4_methods()) train(method);
        }
      }
      if (!command.wants(3)) continue;
      for (const double size : table3_sizes()) {
        plan.timing(source, {source.name, scope.splits.front(), model, "de-rrd", size});
      }
    }
  }
  return plan;
}

/// Makes Table 1 of each data set's first split.
std::vector<ReportTable> statistics_table(const ReportScope& scope, RunPlan& plan,
                                          const std::vector<RunOutcome>& outcomes) {
  std::vector<std::map<std::string, double>> statistics(scope.data.size());
  std::vector<const std::map<std::string, double>*> prepared(scope.data.size());
  for (size_t d = 0; d < scope.data.size(); ++d) {
    const size_t run = plan.data_set(scope.data[d], scope.splits.front());
    if (outcomes[run] > RunOutcome::kFinished) continue;
    statistics[d] = read_statistics(plan.runs()[run]);
    prepared[d] = &statistics[d];
  }
  return {table1(scope, prepared)};
}

Report report_of(const ReproduceCommand& command, const ReportScope& scope, RunPlan& plan,
                 const std::vector<RunOutcome>& outcomes, const ReportResults& results) {
  Report report;
  report.title = "DE-RRD reproduced";
  if (command.wants(1)) report.tables = statistics_table(scope, plan, outcomes);
  const auto add = [&](const std::vector<ReportTable>& tables) {
    report.tables.insert(report.tables.end(), tables.begin(), tables.end());
  };
  for (const int number : {2, 3, 4}) {
    if (!command.wants(number)) continue;
    for (const DataSource& source : scope.data) {
      for (const std::string& model : scope.models) {
        if (number == 2) add(table2(scope, results, source.name, model));
        if (number == 3) add({table3(scope, results, source.name, model)});
        if (number == 4) add({table4(scope, results, source.name, model)});
      }
    }
  }
  for (const DataSource& source : scope.data) {
    for (const std::string& model : scope.models) {
      for (Chart& chart : learning_curves(scope, results, source.name, model)) {
        report.charts.push_back(std::move(chart));
      }
    }
    report.facts.push_back(fmt::format("{}: {}, hash {}, hyperparameters of {}.", source.name,
                                       source.file.filename().string(), source.hash,
                                       source.recipe.name()));
  }
  report.facts.push_back(
      fmt::format("Seeds of the trainings: {} plus the split's number.", command.experiment.seed));
  report.facts.push_back(
      fmt::format("derrd {} on {}; every run is in runs.tsv.", kVersion, device_info().name));
  return report;
}

/// Writes a line per training.
std::string runs_tsv(const RunPlan& plan, const ReportResults& results) {
  const auto hit = [](const MetricValues& metrics) {
    const auto found = metrics.find("H@5");
    return found == metrics.end() ? "-" : fmt::to_string(found->second);
  };
  std::string text = "run\tkey\tbest_epoch\tepochs\tvalid_H@5\ttest_H@5\n";
  for (const auto& [name, i] : plan.trainings()) {
    const TrainingResult* result = results.training(name);
    const ExperimentRun& run = plan.runs()[i];
    text += result == nullptr
                ? fmt::format("{}\t{}\tfailed\t-\t-\t-\n", run.name, run.key)
                : fmt::format("{}\t{}\t{}\t{}\t{}\t{}\n", run.name, run.key, result->best_epoch,
                              result->epochs, hit(result->valid), hit(result->test));
  }
  return text;
}

fs::path table_file(const ReproduceCommand& command, int number, const char* format) {
  return fs::path(command.report) / fmt::format("table{}.{}", number, format);
}
fs::path runs_file(const ReproduceCommand& command) {
  return fs::path(command.report) / "runs.tsv";
}
fs::path page_file(const ReproduceCommand& command) {
  return fs::path(command.report) / "index.html";
}

fs::path picture_file(const ReproduceCommand& command, const std::string& data_set,
                      const std::string& model) {
  return fs::path(command.report) / fmt::format("table2-{}-{}.svg", data_set, model);
}

/// All files of the report.
std::vector<NamedFile> outputs_of(const ReproduceCommand& command) {
  std::vector<NamedFile> files = {{"-o", runs_file(command)}, {"-o", page_file(command)}};
  for (const int number : command.tables) {
    for (const char* format : {"md", "tsv"}) {
      files.push_back({"-o", table_file(command, number, format)});
    }
  }
  if (command.wants(2)) {
    for (const std::string& data : command.experiment.data) {  // NAME=FILE
      for (const std::string& model : command.models) {
        files.push_back({"-o", picture_file(command, data.substr(0, data.find('=')), model)});
      }
    }
  }
  return files;
}

void refuse_overwriting(const ReproduceCommand& command) {
  const std::vector<NamedFile> inputs = command.experiment.inputs();
  refuse_same_files(inputs, {{"-o", command.report}});
  refuse_same_files(inputs, outputs_of(command));
}

/// Checks before the first run that the report can be written.
void make_report_folder(const ReproduceCommand& command) {
  std::error_code error;
  fs::create_directories(command.report, error);
  if (error) {
    throw Error(fmt::format("{}: can't hold the report ({}); name another folder by -o",
                            command.report, error.message()));
  }
  check_outputs({}, outputs_of(command));
}

void write_report(const ReproduceCommand& command, const Report& report, const std::string& runs) {
  std::string all;
  for (const int number : command.tables) {
    // The tests of Table 2 have no number and follow it.
    std::vector<ReportTable> tables;
    int last = 0;
    for (const ReportTable& table : report.tables) {
      if (table.number != 0) last = table.number;
      if (last == number) tables.push_back(table);
    }
    std::string text;
    for (const ReportTable& table : tables) text += markdown(table);
    all += text;
    write_text(table_file(command, number, "md"), text);
    write_text(table_file(command, number, "tsv"), tsv(tables));
    for (const ReportTable& table : tables) {
      if (table.number != 2) continue;
      write_text(picture_file(command, table.data_set, table.model), accuracy_picture(table));
    }
  }
  write_text(runs_file(command), runs);
  write_text(page_file(command), html(report));
  print_text(all);
  print_out("wrote {}\n", page_file(command).string());
}

void run(const ReproduceCommand& command) {
  refuse_repetitions("--table", command.tables);
  refuse_repetitions("--splits", command.splits);
  refuse_repetitions("--models", command.models);
  refuse_repetitions("--methods", command.methods);
  ReportScope scope{command.experiment.sources(), command.splits, command.models, command.methods};
  refuse_overwriting(command);
  std::erase(scope.methods, "teacher");  // is always there
  require_tables(command, scope);
  RunPlan plan = plan_of(command, scope);
  for (const DataSource& source : scope.data) published_curves(source.name);  // can they be read?
  const ScheduleOptions schedule = command.experiment.schedule();
  if (command.experiment.dry_run) {
    print_text(describe(plan.runs(), /*with_memory=*/true));
    return;
  }
  make_report_folder(command);

  const InterruptWatch watch;
  const Workspace workspace(command.experiment.work);
  const std::vector<RunOutcome> outcomes = Scheduler(plan.runs(), schedule).run();
  const ReportResults results(plan, outcomes);
  write_report(command, report_of(command, scope, plan, outcomes, results),
               runs_tsv(plan, results));
  const auto failed = std::ranges::count(outcomes, RunOutcome::kFailed);
  const auto skipped = std::ranges::count(outcomes, RunOutcome::kSkipped);
  if (failed + skipped > 0) {
    throw Error(
        fmt::format("{} of {} runs failed, {} that need them were left out; the tables "
                    "lack them. The same command tries them again",
                    failed, outcomes.size(), skipped));
  }
}

}  // namespace

void add_reproduce(CLI::App& app) {
  auto options = std::make_shared<ReproduceCommand>();
  CLI::App* command = app.add_subcommand(
      "reproduce",
      "Train everything that the paper's tables need, and compare with the published figures");
  add_config_option(*command);
  add_experiment_options(*command, options->experiment);
  command
      ->add_option("-o,--output", options->report,
                   "Folder for the report: every table as Markdown and TSV, Table 2 as pictures, "
                   "index.html with all tables and the learning curves")
      ->required()
      ->type_name("DIR");
  command
      ->add_option("--table", options->tables,
                   "Tables to make. 1: data; 2: accuracy of all methods; 3: size and speed; 4: "
                   "design choices")
      ->delimiter(',')
      ->check(between(1, 4))
      ->capture_default_str();
  command
      ->add_option("--splits", options->splits,
                   "Seeds of the leave-one-out splits. Means, standard errors and t-tests are "
                   "taken over the "
                   "splits")
      ->delimiter(',')
      ->check(count_from(0))
      ->capture_default_str();
  command->add_option("--models", options->models, "Base models")
      ->delimiter(',')
      ->check(CLI::IsMember(model_kinds()))
      ->capture_default_str();
  command
      ->add_option(
          "--methods", options->methods,
          "Rows of Table 2 in this order, each a table of the recipe; the teacher is always "
          "included")
      ->delimiter(',')
      ->capture_default_str();
  command->footer(
      "Ctrl-C saves the state of the runs in progress; the same command continues from there.\n"
      "Exit code 1: some runs failed; the report lacks them.\n"
      "DERRD_DATA=DIR: read the authors' learning curves from DIR/NAME/published_curves.tsv.\n"
      "Example:\n  derrd reproduce --data citeulike=users.dat --work build/reproduce --table 2 "
      "--splits 0,1 --models bpr -o report");
  command->callback([options] { run(*options); });
}

}  // namespace derrd
