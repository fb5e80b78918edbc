#include "apps/commands/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/cli/config_option.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/option_checks.h"
#include "apps/cli/output_checks.h"
#include "apps/commands/experiment_options.h"
#include "apps/experiments/grid.h"
#include "apps/experiments/recipe_edit.h"
#include "apps/experiments/results.h"
#include "apps/experiments/workspace.h"
#include "data/error.h"
#include "data/formats/atomic_file.h"
#include "data/formats/file_bytes.h"
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
  std::string recipe;  ///< to update; empty: none
  std::string output;

  TrainingName training(const DataSource& source) const {
    return {source.name, split, model, method, size};
  }
};

/// A point of the grid and how far it came.
struct Point {
  std::vector<std::string> values;
  int epochs = 0;
  double hit = 0;  ///< best validation H@5 in these
  /// The better ones last.
  enum class Fate { kRunning, kFailed, kEliminated, kFinalist } fate = Fate::kRunning;
  bool killed = false;  ///< it failed for want of memory or the like, not by its own values
};

const char* name_of(Point::Fate fate) {
  switch (fate) {
    case Point::Fate::kEliminated:
      return "eliminated";
    case Point::Fate::kFailed:
      return "failed";
    case Point::Fate::kFinalist:
      return "finalist";
    case Point::Fate::kRunning:
      break;
  }
  return "running";
}

/// Successive halving: all points train for a few epochs, the best ones for `factor` times as many,
/// and so on; the last `finalists` to their end. Of equal points the recipe's own is better. A
/// point that goes on does so from its checkpoint.
class Halving {
 public:
  Halving(const SearchCommand& command, const DataSource& source, const Grid& grid)
      : command_(command), source_(source), grid_(grid) {
    for (auto& values : points_of(grid)) {
      points_.emplace_back();
      points_.back().values = std::move(values);
    }
    // Among equals the first one wins: the recipe's own, if it is there.
    const Options recipe = source.recipe.options(command.model, command.method);
    std::ranges::stable_partition(points_, [&](const Point& point) {
      return std::ranges::all_of(options_of(grid, point.values), [&](const Option& option) {
        const auto own = std::ranges::find(recipe, option.name, &Option::name);
        return own != recipe.end() && own->value == option.value;
      });
    });
  }

  /// The runs up to `epochs` of the points that are not eliminated; indices of the points' runs.
  std::pair<Plan, std::vector<size_t>> plan(int epochs) const {
    Plan plan(command_.experiment.work, command_.experiment.seed);
    std::vector<size_t> runs;
    for (const Point& point : points_) {
      if (point.fate != Point::Fate::kRunning) continue;
      runs.push_back(plan.training(source_, command_.training(source_),
                                   {options_of(grid_, point.values), epochs}));
    }
    return {std::move(plan), std::move(runs)};
  }

  /// The points, the best one first.
  std::vector<Point> carry_out() {
    bool complete = false;
    for (int64_t epochs = command_.first_epochs; !complete; epochs *= command_.factor) {
      const auto [plan, runs] = this->plan(static_cast<int>(epochs));
      const std::vector<Outcome> outcomes =
          Scheduler(plan.runs(), command_.experiment.schedule()).carry_out();
      complete = true;
      std::vector<Point*> running;
      size_t next = 0;
      for (Point& point : points_) {
        if (point.fate != Point::Fate::kRunning) continue;
        const size_t i = runs[next++];
        take_note(point, plan.runs()[i], outcomes[i]);
        if (point.fate == Point::Fate::kRunning) running.push_back(&point);
        complete = complete && !plan.runs()[i].keep_checkpoint;
      }
      if (complete) {
        for (Point* point : running) point->fate = Point::Fate::kFinalist;
      } else {
        eliminate(running);
      }
    }
    std::ranges::stable_sort(points_, std::greater(),
                             [](const Point& point) { return std::tuple(point.fate, point.hit); });
    return points_;
  }

 private:
  static void take_note(Point& point, const Run& run, Outcome outcome) {
    if (outcome > Outcome::kFinished) {
      point.fate = Point::Fate::kFailed;
      constexpr int kUsageError = 2;
      point.killed = state_of(run).exit_code > kUsageError;
      return;
    }
    // An earlier search may have trained it for longer.
    std::vector<double> hits = read_curve(run).valid;
    hits.resize(std::min(hits.size(), static_cast<size_t>(run.epochs)));
    point.epochs = static_cast<int>(hits.size());
    point.hit = hits.empty() ? 0 : *std::ranges::max_element(hits);
  }

  void eliminate(std::vector<Point*>& running) const {
    const auto factor = static_cast<size_t>(command_.factor);
    const size_t kept = std::max<size_t>(static_cast<size_t>(command_.finalists),
                                         (running.size() + factor - 1) / factor);
    std::ranges::stable_sort(running, std::greater(), &Point::hit);
    for (size_t i = kept; i < running.size(); ++i) running[i]->fate = Point::Fate::kEliminated;
  }

  const SearchCommand& command_;
  const DataSource& source_;
  const Grid& grid_;
  std::vector<Point> points_;
};

Grid named_grid(const SearchCommand& command) {
  try {
    Grid grid;
    for (const std::string& text : command.axes) grid.push_back(parse_axis(text));
    return grid.empty() ? published_grid(command.method) : grid;
  } catch (const Error& e) {
    refuse("--grid", e.what());
  }
}

Grid grid_of(const SearchCommand& command) {
  Grid grid = named_grid(command);
  if (const std::string wrong = grid_complaint(grid, command.method); !wrong.empty()) {
    refuse("--grid", wrong);
  }
  const std::string trainer = RecipeFile::command_of(command.method);
  for (const GridAxis& axis : grid) {
    for (const std::string& value : axis.values) {
      for (const std::string& option : axis.options) {
        const std::string wrong = check_option(trainer, {option, value});
        if (!wrong.empty()) refuse("--grid", fmt::format("{}={}: {}", option, value, wrong));
      }
    }
  }
  return grid;
}

/// The search as its command line, and what it found.
std::string describe(const SearchCommand& command, const Grid& grid, size_t points,
                     const Point& best) {
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

std::string points_tsv(const Grid& grid, const std::vector<Point>& points) {
  std::string text;
  for (const GridAxis& axis : grid) text += axis.name() + "\t";
  text += "epochs\tvalid_H@5\tfate\n";
  for (const Point& point : points) {
    for (const std::string& value : point.values) text += value + "\t";
    text += fmt::format("{}\t{:.4f}\t{}\n", point.epochs, point.hit, name_of(point.fate));
  }
  return text;
}

/// --write may name the recipe that is read.
void refuse_overwriting(const SearchCommand& command) {
  std::vector<NamedFile> inputs = command.experiment.inputs();
  refuse_same_files(inputs, {{"--write", command.recipe}});
  const std::vector<NamedFile> recipes = command.experiment.recipe_files();
  inputs.insert(inputs.end(), recipes.begin(), recipes.end());
  inputs.push_back({"--write", command.recipe});
  refuse_same_files(inputs, {{"-o", command.output}});
}

/// The text of --write's recipe with a point's options.
/// @throws Error if it is no recipe, before or after.
std::string updated_recipe(const SearchCommand& command, const Grid& grid,
                           const std::vector<std::string>& point, const std::string& searched) {
  RecipeFile::read(command.recipe, check_option);
  try {
    std::string text = with_options(read_text(command.recipe), command.model, command.method,
                                    options_of(grid, point), searched);
    RecipeFile::parse(text, command.recipe, check_option);
    return text;
  } catch (const Error& e) {
    throw Error(fmt::format("{}: can't be updated by --write: {}", command.recipe, e.what()));
  }
}

void run(const SearchCommand& command) {
  refuse_overwriting(command);
  const std::vector<DataSource> sources = command.experiment.sources();
  if (sources.size() != 1) refuse("--data", "search takes one data set");
  const DataSource& source = sources.front();
  const std::string lack = source.recipe.lack_of(command.model, command.method);
  if (!lack.empty()) {
    refuse(source.recipe.methods(command.model).empty() ? "--model" : "--method",
           fmt::format("{}: {}", source.recipe.name(), lack));
  }
  const Grid grid = grid_of(command);
  if (!command.recipe.empty()) updated_recipe(command, grid, points_of(grid).front(), "trial");
  Halving halving(command, source, grid);
  if (command.experiment.dry_run) {
    fmt::print("{}", describe(halving.plan(command.first_epochs).first.runs(),
                              command.experiment.schedule().jobs));
    return;
  }
  check_outputs({}, {{"-o", command.output}, {"--write", command.recipe}});
  const InterruptWatch watch;
  const Workspace workspace(command.experiment.work);
  const std::vector<Point> points = halving.carry_out();

  const std::string table = points_tsv(grid, points);
  if (!command.output.empty()) write_text(command.output, table);
  const Point& best = points.front();
  const std::string searched = describe(command, grid, points.size(), best);
  const auto killed = std::ranges::count(points, true, &Point::killed);
  const bool found = best.fate == Point::Fate::kFinalist;
  const bool writes = !command.recipe.empty() && found && killed == 0;
  if (writes) {
    write_text(command.recipe, updated_recipe(command, grid, best.values, searched));
  }
  fmt::print("{}\n", table);
  if (found) {
    fmt::print("[{}.{}]\n# searched: {}\n{}", command.model, command.method, searched,
               toml_lines(options_of(grid, best.values)));
  }
  if (writes) fmt::print("updated {}\n", command.recipe);
  if (!found) throw Error("every point failed; the runs' outputs are shown above");
  if (killed > 0) {
    throw Error(fmt::format(
        "{} of {} points were killed before their end; the same command goes on with them{}",
        killed, points.size(),
        command.recipe.empty() ? "" : ", and writes " + command.recipe + " then"));
  }
}

}  // namespace

void add_search(CLI::App& app) {
  auto options = std::make_shared<SearchCommand>();
  CLI::App* command = app.add_subcommand(
      "search", "Find a method's hyperparameters on the validation items, for its recipe");
  add_config_option(*command);
  add_experiment_options(*command, options->experiment);
  command->add_option("--model", options->model, "Base model")
      ->check(CLI::IsMember(model_kinds()))
      ->capture_default_str();
  command
      ->add_option("--method", options->method,
                   "Table of the recipe whose options are searched; the others stay as they are")
      ->required();
  command
      ->add_option("--grid", options->axes,
                   "Values of an option to try, all combinations; k+l=20,40 gives both the same "
                   "[data/recipes/grids.toml: the paper's grids, Section 5.1]")
      ->type_name("OPTION=VALUE,...");
  command->add_option("--split", options->split, "Seed of the leave-one-out split")
      ->check(count_from(0))
      ->capture_default_str();
  command->add_option("--size", options->size, "The student's dimension as a part of the teacher's")
      ->check(within_size())
      ->capture_default_str();
  command
      ->add_option("--first-epochs", options->first_epochs,
                   "All points train for so many epochs; losses that warm up need more of them")
      ->check(at_least(1))
      ->capture_default_str();
  command
      ->add_option("--factor", options->factor,
                   "Then the best one of so many goes on for so many times the epochs, and again")
      ->check(between(2, 100))
      ->capture_default_str();
  command->add_option("--finalists", options->finalists, "So many are never eliminated")
      ->check(at_least(1))
      ->capture_default_str();
  command
      ->add_option("--write", options->recipe,
                   "Recipe to put the best point into, with a line that says what was searched")
      ->type_name("FILE");
  command->add_option("-o,--output", options->output, "Write all points to a TSV file")
      ->type_name("FILE");
  command->footer(
      "Points that diverge are failed ones.\n"
      "Exit code 1: all failed, or some were killed; --write changes nothing then.\n"
      "A point that goes on does so from its checkpoint, as does the same command after Ctrl-C.\n"
      "Example:\n  derrd search --data citeulike=users.dat --work build/search --method rrd --grid "
      "lambda-rrd=1e-2,1e-3,1e-4 k+l=20,40 --write data/recipes/citeulike.toml");
  command->callback([options] { run(*options); });
}

}  // namespace derrd
