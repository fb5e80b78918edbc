#include "apps/commands/reproduce.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "apps/cli/config_option.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/message.h"
#include "apps/cli/option_checks.h"
#include "apps/cli/output_checks.h"
#include "apps/cli/usage_error.h"
#include "apps/commands/experiment_options.h"
#include "apps/experiments/run_plan.h"
#include "apps/experiments/scheduler.h"
#include "apps/experiments/workspace.h"
#include "apps/report/parts/catalogue.h"
#include "apps/report/published.h"
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
  std::vector<int> tables;
  std::vector<std::string> figures;
  bool claims = false, all = false;
  std::vector<int> splits = {0, 1, 2, 3, 4};
  std::vector<std::string> models = {"bpr", "neumf"};
  std::vector<std::string> methods = {"student", "rd", "cd", "de", "rrd", "de-rrd"};
  std::string report;
};

constexpr int kTables = 5;
const std::vector<std::string> kFigures = {"4", "5", "6", "7", "capacity"};

using Parts = std::vector<std::unique_ptr<ReportPart>>;

/// The parts that the command line names, in the paper's order; the learning curves last.
Parts parts_of(const ReproduceCommand& command) {
  std::vector<int> tables = command.tables;
  std::vector<std::string> figures = command.figures;
  if (command.all) {
    tables.clear();
    for (int number = 1; number <= kTables; ++number) tables.push_back(number);
    figures = kFigures;
  } else if (tables.empty() && figures.empty() && !command.claims) {
    tables = {1, 2, 3, 4};
  }
  Parts parts;
  for (const int number : tables) {
    parts.push_back(make_report_part(fmt::format("table{}", number)));
  }
  for (const std::string& figure : figures) {
    parts.push_back(make_report_part(figure == "capacity" ? figure : "figure" + figure));
  }
  if (command.claims || command.all) parts.push_back(make_report_part("claims"));
  parts.push_back(make_report_part("curves"));
  return parts;
}

template <class Value>
void refuse_repetitions(const char* option, const std::vector<Value>& values) {
  if (std::set<Value>(values.begin(), values.end()).size() < values.size()) {
    throw UsageError(fmt::format("{}: names something twice", option));
  }
}

/// Checks that each part has a model to show, and that the recipes have the models and methods of
/// the parts. @throws UsageError.
void check_parts(const Parts& parts, const ReportScope& scope) {
  for (const auto& part : parts) {
    if (std::ranges::none_of(scope.models,
                             [&](const std::string& model) { return part->shows(model); })) {
      throw UsageError(fmt::format("--models: {} shows none of them; it is of bpr", part->name()));
    }
  }
  for (const DataSource& source : scope.data) {
    const auto require = [&](const std::string& option, const std::string& model,
                             const std::string& method) {
      if (const auto error = source.recipe.missing_table_error(model, method)) {
        throw UsageError(fmt::format("{}: {}: {}", option, source.recipe.name(), *error));
      }
    };
    for (const auto& part : parts) {
      const std::vector<std::string> methods = part->methods(scope);
      for (const std::string& model : scope.models) {
        if (!part->shows(model)) continue;
        if (!methods.empty() && source.recipe.methods(model).empty()) {
          require("--models", model, "teacher");
        }
        for (const std::string& method : methods) {
          require(methods == scope.methods ? "--methods" : part->name(), model, method);
        }
      }
    }
  }
}

/// Every run that the parts need.
RunPlan plan_of(const ReproduceCommand& command, const Parts& parts, const ReportScope& scope) {
  RunPlan plan(command.experiment.work, command.experiment.seed);
  for (const DataSource& source : scope.data) {
    for (const std::string& model : scope.models) {
      for (const auto& part : parts) {
        if (part->shows(model)) part->add_runs(plan, scope, source, model);
      }
    }
  }
  return plan;
}

std::vector<std::string> facts_of(const ReproduceCommand& command, const ReportScope& scope) {
  std::vector<std::string> facts;
  for (const DataSource& source : scope.data) {
    facts.push_back(fmt::format("{}: {}, hash {}, hyperparameters of {}.", source.name,
                                source.file.filename().string(), source.hash,
                                source.recipe.name()));
  }
  facts.push_back(
      fmt::format("Seeds of the trainings: {} plus the split's number.", command.experiment.seed));
  facts.push_back(
      fmt::format("derrd {} on {}; every run is in runs.tsv.", kVersion, device_info().name));
  return facts;
}

/// Writes a line per training, which may have several names.
std::string runs_tsv(const RunPlan& plan, const ReportResults& results) {
  const auto hit = [](const MetricValues& metrics) {
    const auto found = metrics.find("H@5");
    return found == metrics.end() ? "-" : fmt::to_string(found->second);
  };
  std::string text = "run\tkey\tbest_epoch\tepochs\tvalid_H@5\ttest_H@5\n";
  std::set<size_t> written;
  for (const auto& [name, i] : plan.trainings()) {
    if (!written.insert(i).second) continue;
    const TrainingResult* result = results.training(name);
    const ExperimentRun& run = plan.runs()[i];
    text += result == nullptr
                ? fmt::format("{}\t{}\tfailed\t-\t-\t-\n", run.title(), run.key)
                : fmt::format("{}\t{}\t{}\t{}\t{}\t{}\n", run.title(), run.key, result->best_epoch,
                              result->epochs, hit(result->valid), hit(result->test));
  }
  return text;
}

fs::path report_file(const ReproduceCommand& command, const std::string& name) {
  return fs::path(command.report) / name;
}

/// All files of the report.
std::vector<NamedFile> outputs_of(const ReproduceCommand& command, const Parts& parts) {
  std::vector<NamedFile> files;
  const auto add = [&](const std::string& name) {
    files.push_back({"-o", report_file(command, name)});
  };
  add("runs.tsv");
  add("index.html");
  for (const auto& part : parts) {
    for (const char* format : {".md", ".tsv"}) add(part->name() + format);
    for (const std::string& picture : part->pictures()) {
      for (const std::string& data : command.experiment.data) {  // NAME=FILE
        for (const std::string& model : command.models) {
          if (!part->shows(model)) continue;
          add(picture_file(picture, data.substr(0, data.find('=')), model));
        }
      }
    }
  }
  return files;
}

void refuse_overwriting(const ReproduceCommand& command, const Parts& parts) {
  const std::vector<NamedFile> inputs = command.experiment.inputs();
  refuse_same_files(inputs, {{"-o", command.report}});
  refuse_same_files(inputs, outputs_of(command, parts));
}

/// Checks before the first run that the report can be written.
void make_report_folder(const ReproduceCommand& command, const Parts& parts) {
  std::error_code error;
  fs::create_directories(command.report, error);
  if (error) {
    throw Error(fmt::format("{}: can't hold the report ({}); name another folder by -o",
                            command.report, error.message()));
  }
  check_outputs({}, outputs_of(command, parts));
}

/// Writes the files of a part and prints its tables.
void write_part(const ReproduceCommand& command, const std::string& name,
                const std::vector<ReportSection>& sections) {
  std::vector<ReportTable> tables;
  std::string text;
  for (const ReportSection& section : sections) {
    if (const auto* table = std::get_if<ReportTable>(&section)) {
      text += markdown(*table);
      tables.push_back(*table);
    } else {
      const auto& picture = std::get<Picture>(section);
      write_text(report_file(command, picture_file(picture.name, picture.data_set, picture.model)),
                 picture.svg);
    }
  }
  if (tables.empty()) return;
  write_text(report_file(command, name + ".md"), text);
  write_text(report_file(command, name + ".tsv"), tsv(tables));
  print_text(text);
}

void write_report(const ReproduceCommand& command, const Parts& parts, const ReportScope& scope,
                  const RunPlan& plan, const ReportResults& results) {
  Report report{"DE-RRD reproduced", {}, facts_of(command, scope)};
  for (const auto& part : parts) {
    std::vector<ReportSection> sections = part->sections(scope, results);
    write_part(command, part->name(), sections);
    std::ranges::move(sections, std::back_inserter(report.sections));
  }
  write_text(report_file(command, "runs.tsv"), runs_tsv(plan, results));
  write_text(report_file(command, "index.html"), html(report));
  print_out("wrote {}\n", report_file(command, "index.html").string());
}

void run(const ReproduceCommand& command) {
  refuse_repetitions("--table", command.tables);
  refuse_repetitions("--figure", command.figures);
  refuse_repetitions("--splits", command.splits);
  refuse_repetitions("--models", command.models);
  refuse_repetitions("--methods", command.methods);
  ReportScope scope{command.experiment.sources(), command.splits, command.models, command.methods};
  const Parts parts = parts_of(command);
  for (const auto& part : parts) scope.parts.push_back(part->name());
  refuse_overwriting(command, parts);
  std::erase(scope.methods, "teacher");  // is always there
  check_parts(parts, scope);
  const RunPlan plan = plan_of(command, parts, scope);
  for (const DataSource& source : scope.data) published_curves(source.name);  // can they be read?
  const ScheduleOptions schedule = command.experiment.schedule();
  if (command.experiment.dry_run) {
    print_text(describe(plan.runs(), /*with_memory=*/true));
    return;
  }
  make_report_folder(command, parts);

  const InterruptWatch watch;
  const Workspace workspace(command.experiment.work);
  const std::vector<RunOutcome> outcomes = Scheduler(plan.runs(), schedule).run();
  write_report(command, parts, scope, plan, ReportResults(plan, outcomes));
  const auto failed = std::ranges::count(outcomes, RunOutcome::kFailed);
  const auto skipped = std::ranges::count(outcomes, RunOutcome::kSkipped);
  if (failed + skipped > 0) {
    throw Error(
        fmt::format("{} of {} runs failed, {} that need them were left out; the report "
                    "lacks them. The same command tries them again",
                    failed, outcomes.size(), skipped));
  }
}

}  // namespace

void add_reproduce(CLI::App& app) {
  auto options = std::make_shared<ReproduceCommand>();
  CLI::App* command = app.add_subcommand(
      "reproduce",
      "Train everything that the paper's tables and figures need, and compare with the published "
      "figures");
  add_config_option(*command);
  add_experiment_options(*command, options->experiment);
  command
      ->add_option("-o,--output", options->report,
                   "Folder for the report: every table as Markdown and TSV, pictures as SVG, "
                   "index.html with everything and the learning curves")
      ->required()
      ->type_name("DIR");
  command
      ->add_option(
          "--table", options->tables,
          "Tables to make. 1: data; 2: accuracy of all methods; 3: size and speed; 4: "
          "design choices; 5: both weights of DE-RRD [1,2,3,4 without --figure and --claims]")
      ->delimiter(',')
      ->check(between(1, kTables));
  command
      ->add_option(
          "--figure", options->figures,
          "Figures to make. 4: students of three sizes; 5: gains of groups of users; 6: experts "
          "preferred by users in the course of the training; 7: hyperparameters of DE and "
          "RRD; capacity: choice of the teacher's size. 5 and 6 are of BPR and the first "
          "split")
      ->delimiter(',')
      ->check(CLI::IsMember(kFigures));
  command->add_flag("--claims", options->claims,
                    "Test the paper's claims by the runs of the named tables and figures; without "
                    "these, by all runs that the claims need, nearly those of --all");
  command->add_flag("--all", options->all, "Make all tables and figures, and test all claims");
  command
      ->add_option("--splits", options->splits,
                   "Seeds of the leave-one-out splits. Means, standard errors and t-tests are "
                   "taken over them; standard errors of a single one over its users")
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
