#include "apps/commands/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "apps/cli/config_option.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/message.h"
#include "apps/cli/option_checks.h"
#include "apps/cli/output_checks.h"
#include "apps/cli/usage_error.h"
#include "apps/commands/experiment_options.h"
#include "apps/experiments/grid.h"
#include "apps/experiments/results.h"
#include "apps/experiments/run_state.h"
#include "apps/experiments/workspace.h"
#include "data/error.h"
#include "data/formats/atomic_file.h"
#include "engine/models/catalogue.h"

namespace derrd {

namespace {

struct SearchCommand {
  ExperimentOptions experiment;
  std::string model = "bpr";
  std::string method;
  std::vector<std::string> axes;
  int split = 0;
  double size = kPaperSize;
  int first_epochs = 30;
  int factor = 3;
  int finalists = 3;
  std::string output;

  TrainingName training(const DataSource& source) const {
    return {source.name, split, model, method, size};
  }
};

/// A point of the grid and its result so far.
struct SearchPoint {
  std::vector<std::string> values;
  int epochs = 0;
  double hit = 0;  ///< best validation H@5 in these epochs
  /// In rising order of preference.
  enum class Fate { kRunning, kFailed, kEliminated, kFinalist } fate = Fate::kRunning;
  bool killed = false;  ///< by a signal, for example for lack of memory, whatever its values
};

const char* name_of(SearchPoint::Fate fate) {
  switch (fate) {
    case SearchPoint::Fate::kEliminated:
      return "eliminated";
    case SearchPoint::Fate::kFailed:
      return "failed";
    case SearchPoint::Fate::kFinalist:
      return "finalist";
    case SearchPoint::Fate::kRunning:
      break;
  }
  return "running";
}

/// Searches by successive halving: all points train for a few epochs, the best 1/factor of them for
/// `factor` times as many, and so on; at least `finalists` points train to the end. Each round
/// continues from checkpoints. Among equal points the recipe's own is preferred.
class Halving {
 public:
  Halving(const SearchCommand& command, const DataSource& source, const Grid& grid)
      : command_(command), source_(source), grid_(grid) {
    for (auto& values : points_of(grid)) {
      points_.emplace_back();
      points_.back().values = std::move(values);
    }
    // Among equals the first one wins: the recipe's own, if it is there.
    const RecipeOptions recipe = source.recipe.options(command.model, command.method);
    std::ranges::stable_partition(points_, [&](const SearchPoint& point) {
      return std::ranges::all_of(options_of(grid, point.values), [&](const RecipeOption& option) {
        const auto own = std::ranges::find(recipe, option.name, &RecipeOption::name);
        return own != recipe.end() && own->value == option.value;
      });
    });
  }

  /// The runs of the remaining points up to `epochs`, and the index of each point's run.
  std::pair<RunPlan, std::vector<size_t>> plan(int epochs) const {
    RunPlan plan(command_.experiment.work, command_.experiment.seed);
    std::vector<size_t> runs;
    for (const SearchPoint& point : points_) {
      if (point.fate != SearchPoint::Fate::kRunning) continue;
      TrainingName name = command_.training(source_);
      for (const RecipeOption& option : options_of(grid_, point.values)) {
        name.changes[option.name] = option.value;
      }
      runs.push_back(plan.training_up_to(epochs, source_, name));
    }
    return {std::move(plan), std::move(runs)};
  }

  /// Trains and eliminates. Returns the points, the best one first.
  std::vector<SearchPoint> search() {
    bool complete = false;
    for (int64_t epochs = command_.first_epochs; !complete; epochs *= command_.factor) {
      const auto [plan, runs] = this->plan(static_cast<int>(epochs));
      const std::vector<RunOutcome> outcomes =
          Scheduler(plan.runs(), command_.experiment.schedule()).run();
      complete = true;
      std::vector<SearchPoint*> running;
      size_t next = 0;
      for (SearchPoint& point : points_) {
        if (point.fate != SearchPoint::Fate::kRunning) continue;
        const size_t i = runs[next++];
        take_note(point, plan.runs()[i], outcomes[i]);
        if (point.fate == SearchPoint::Fate::kRunning) running.push_back(&point);
        complete = complete && !plan.runs()[i].keep_checkpoint;
      }
      if (complete) {
        for (SearchPoint* point : running) point->fate = SearchPoint::Fate::kFinalist;
      } else {
        eliminate(running);
      }
    }
    std::ranges::stable_sort(points_, std::greater(), [](const SearchPoint& point) {
      return std::tuple(point.fate, point.hit);
    });
    return points_;
  }

 private:
  static void take_note(SearchPoint& point, const ExperimentRun& run, RunOutcome outcome) {
    if (outcome > RunOutcome::kFinished) {
      point.fate = SearchPoint::Fate::kFailed;
      constexpr int kUsageError = 2;
      point.killed = state_of(run).exit_code > kUsageError;
      return;
    }
    // An earlier search may have trained it for longer.
    std::vector<double> hits = read_curve(run).valid;
    if (hits.empty()) {
      throw Error(fmt::format(
          "{}: no user has a validation item, and only these tell points apart; prepare the data "
          "set with validation items",
          run.title()));
    }
    hits.resize(std::min(hits.size(), static_cast<size_t>(run.epochs)));
    point.epochs = static_cast<int>(hits.size());
    point.hit = *std::ranges::max_element(hits);
  }

  void eliminate(std::vector<SearchPoint*>& running) const {
    const auto factor = static_cast<size_t>(command_.factor);
    const size_t kept = std::max<size_t>(static_cast<size_t>(command_.finalists),
                                         (running.size() + factor - 1) / factor);
    std::ranges::stable_sort(running, std::greater(), &SearchPoint::hit);
    for (size_t i = kept; i < running.size(); ++i)
      running[i]->fate = SearchPoint::Fate::kEliminated;
  }

  const SearchCommand& command_;
  const DataSource& source_;
  const Grid& grid_;
  std::vector<SearchPoint> points_;
};

Grid grid_of(const SearchCommand& command) {
  Grid grid;
  for (const std::string& text : command.axes) grid.push_back(parse_axis(text));
  if (grid.empty()) grid = published_grid(command.method);
  check_grid(grid, command.method);
  const std::string trainer = RecipeFile::command_of(command.method);
  for (const GridAxis& axis : grid) {
    for (const std::string& value : axis.values) {
      for (const std::string& option : axis.options) {
        if (const auto error = check_option(trainer, {option, value})) {
          throw UsageError(fmt::format("--grid: {}={}: {}", option, value, *error));
        }
      }
    }
  }
  return grid;
}

/// The search's command line and its result.
std::string describe_search(const SearchCommand& command, const Grid& grid, size_t points,
                            const SearchPoint& best) {
  std::string text =
      fmt::format("derrd search --model {} --method {}", command.model, command.method);
  if (command.split != 0) text += fmt::format(" --split {}", command.split);
  if (command.size != kPaperSize) text += fmt::format(" --size {}", command.size);
  text += " --grid";
  for (const GridAxis& axis : grid) {
    text += " " + axis.name();
    for (size_t i = 0; i < axis.values.size(); ++i) text += (i == 0 ? "=" : ",") + axis.values[i];
  }
  return text + fmt::format(": {} points, validation H@5 {:.4f}", points, best.hit);
}

std::string points_tsv(const Grid& grid, const std::vector<SearchPoint>& points) {
  std::string text;
  for (const GridAxis& axis : grid) text += axis.name() + "\t";
  text += "epochs\tvalid_H@5\tfate\n";
  for (const SearchPoint& point : points) {
    for (const std::string& value : point.values) text += value + "\t";
    text += fmt::format("{}\t{:.4f}\t{}\n", point.epochs, point.hit, name_of(point.fate));
  }
  return text;
}

/// The best point as lines of a recipe.
std::string recipe_lines(const SearchCommand& command, const Grid& grid, size_t points,
                         const SearchPoint& best) {
  return fmt::format("[{}.{}]\n# searched: {}\n{}", command.model, command.method,
                     describe_search(command, grid, points, best),
                     toml_lines(options_of(grid, best.values)));
}

void run(const SearchCommand& command) {
  refuse_same_files(command.experiment.inputs(), {{"-o", command.output}});
  const std::vector<DataSource> sources = command.experiment.sources();
  if (sources.size() != 1) throw UsageError("--data: search takes one data set");
  const RecipeFile& recipe = sources.front().recipe;
  if (const auto error = recipe.missing_table_error(command.model, command.method)) {
    const char* option = recipe.methods(command.model).empty() ? "--model" : "--method";
    throw UsageError(fmt::format("{}: {}: {}", option, recipe.name(), *error));
  }
  const Grid grid = grid_of(command);
  Halving halving(command, sources.front(), grid);
  if (command.experiment.dry_run) {
    print_text(describe(halving.plan(command.first_epochs).first.runs()));
    return;
  }
  check_outputs({}, {{"-o", command.output}});
  const InterruptWatch watch;
  const Workspace workspace(command.experiment.work);
  const std::vector<SearchPoint> points = halving.search();

  const std::string table = points_tsv(grid, points);
  if (!command.output.empty()) write_text(command.output, table);
  print_out("{}\n", table);
  const SearchPoint& best = points.front();
  if (best.fate != SearchPoint::Fate::kFinalist) {
    throw Error("every point failed; the runs' outputs are shown above");
  }
  const auto killed = std::ranges::count(points, true, &SearchPoint::killed);
  if (killed > 0) {
    throw Error(
        fmt::format("{} of {} points were killed before their end; the same command continues them",
                    killed, points.size()));
  }
  print_text(recipe_lines(command, grid, points.size(), best));
}

}  // namespace

void add_search(CLI::App& app) {
  auto options = std::make_shared<SearchCommand>();
  CLI::App* command = app.add_subcommand(
      "search", "Search a grid for a method's hyperparameters by its validation H@5");
  add_config_option(*command);
  add_experiment_options(*command, options->experiment);
  command->add_option("--model", options->model, "Base model")
      ->check(CLI::IsMember(model_kinds()))
      ->capture_default_str();
  command
      ->add_option(
          "--method", options->method,
          "Method to search: a table of the recipe, which gives all options outside the grid")
      ->required();
  command
      ->add_option(
          "--grid", options->axes,
          "Options with the values to try, in all combinations; k+l=20,40 gives both options the "
          "same value [the paper's grid of Section 5.1, data/recipes/grids.toml]")
      ->type_name("OPTION=VALUE,...");
  command->add_option("--split", options->split, "Seed of the leave-one-out split")
      ->check(count_from(0))
      ->capture_default_str();
  command->add_option("--size", options->size, "Student's dimension as a fraction of the teacher's")
      ->check(within_size())
      ->capture_default_str();
  command
      ->add_option("--first-epochs", options->first_epochs,
                   "Epochs of the first round; more than the method's warm-up, if it has one")
      ->check(at_least(1))
      ->capture_default_str();
  command
      ->add_option("--factor", options->factor,
                   "Factor N between rounds: the best 1/N of the points train N times as long")
      ->check(between(2, 100))
      ->capture_default_str();
  command
      ->add_option("--finalists", options->finalists,
                   "Minimum number of points that are trained to the end")
      ->check(at_least(1))
      ->capture_default_str();
  command->add_option("-o,--output", options->output, "Write all points to a TSV file")
      ->type_name("FILE");
  command->footer(
      "Prints all points, the best one first, and then the best one as lines for the recipe.\n"
      "Exit code 1: every point failed, or some were killed. A point that diverges has failed.\n"
      "The same command continues from the points' checkpoints, after Ctrl-C too.\n"
      "Example:\n  derrd search --data citeulike=users.dat --work build/search --method rrd --grid "
      "lambda-rrd=1e-2,1e-3,1e-4 k+l=20,40");
  command->callback([options] { run(*options); });
}

}  // namespace derrd
