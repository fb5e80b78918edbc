#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "apps/report/chart.h"
#include "apps/report/parts/parts.h"
#include "data/parse_number.h"

namespace derrd {

namespace {

/// Teachers' dimensions as parts of the recipe's.
constexpr double kParts[] = {.125, .25, .5, 1, 2};
constexpr int kMostLayers = 4;

/// The teacher's dimension in the recipe; 1 if it has none.
double recipe_dim(const DataSource& source, const std::string& model) {
  const RecipeOptions options = source.recipe.options(model, "teacher");
  const auto dim = std::ranges::find(options, "dim", &RecipeOption::name);
  const auto value = dim == options.end() ? std::nullopt : parse_number<double>(dim->value);
  return value.value_or(1);
}

/// The recipe's teacher with another value of an option. Its own value makes no other training.
TrainedMethod teacher_with(const DataSource& source, const std::string& model,
                           const std::string& option, const std::string& value) {
  const RecipeOptions options = source.recipe.options(model, "teacher");
  const auto own = std::ranges::find(options, option, &RecipeOption::name);
  if (own != options.end() && own->value == value) return {"teacher"};
  return {"teacher", kPaperSize, {{option, value}}};
}

std::vector<std::string> dims_of(const DataSource& source, const std::string& model) {
  std::vector<std::string> dims;
  for (const double part : kParts) {
    dims.push_back(fmt::format("{}", std::max(1L, std::lround(part * recipe_dim(source, model)))));
  }
  dims.erase(std::ranges::unique(dims).begin(), dims.end());
  return dims;
}

std::vector<std::string> layers_of(const std::string& model) {
  std::vector<std::string> layers;
  for (int n = 1; n <= kMostLayers && model == "neumf"; ++n) layers.push_back(std::to_string(n));
  return layers;
}

/// Choice of the teacher (Section 5.1): accuracy over the dimension, and a NeuMF's hidden layers.
class CapacityFigure final : public ReportPart {
 public:
  std::string name() const override { return "capacity"; }
  std::vector<std::string> pictures() const override { return {"capacity"}; }
  std::vector<std::string> methods(const ReportScope&) const override { return {"teacher"}; }
  void add_runs(RunPlan& plan, const ReportScope& scope, const DataSource& source,
                const std::string& model) const override {
    for (const auto& [option, values] : axes(source, model)) {
      for (const std::string& value : values) {
        add_trainings(plan, scope, source, model, teacher_with(source, model, option, value));
      }
    }
  }

 protected:
  std::vector<ReportSection> sections_of(const Setting& setting) const override;

 private:
  struct Axis {
    std::string option;
    std::vector<std::string> values;
  };
  static std::vector<Axis> axes(const DataSource& source, const std::string& model) {
    std::vector<Axis> all = {{"dim", dims_of(source, model)}};
    if (!layers_of(model).empty()) all.push_back({"layers", layers_of(model)});
    return all;
  }
};

std::vector<ReportSection> CapacityFigure::sections_of(const Setting& setting) const {
  Chart chart;
  chart.title = "Choice of the teacher: " + setting_title(setting.source.name, setting.model);
  ReportTable table = setting.titled("Choice of the teacher in figures");
  table.first_column = "Teacher";
  table.columns = {"validation H@5", "H@5", "parameters"};
  double best = -1;
  std::string chosen = "none";
  for (const auto& [option, values] : axes(setting.source, setting.model)) {
    ChartPanel panel;
    panel.title = option == "dim" ? "dimension" : "hidden layers";
    panel.x = {.title = panel.title, .categories = values};
    panel.y.title = "H@5";
    ChartLine valid{"validation items", 4}, test{"test items", 2};
    for (size_t i = 0; i < values.size(); ++i) {
      const TrainedMethod teacher = teacher_with(setting.source, setting.model, option, values[i]);
      const std::vector<double> of_valid = values_of(setting.valid(teacher, "H@5"));
      const ReportFigure of_test = setting.figure(teacher, "H@5");
      ReportRow row{option + "=" + values[i], option + " " + values[i], "", "", {}};
      std::vector<double> parameters;
      const auto* result =
          setting.results.training(setting.name(teacher, setting.scope.splits.front()));
      if (result != nullptr) parameters = {result->parameters / 1e6};
      row.figures = {
          {FigureStyle::kMetric, of_valid, {}}, of_test, {FigureStyle::kMillions, parameters, {}}};
      table.rows.push_back(std::move(row));
      if (of_valid.empty() || !of_test.mean()) continue;
      const auto x = static_cast<double>(i);
      valid.points.push_back({x, mean(of_valid), standard_error(of_valid).value_or(0)});
      test.points.push_back({x, *of_test.mean(), of_test.error().value_or(0)});
      if (mean(of_valid) > best) {
        best = mean(of_valid);
        chosen = table.rows.back().label;
      }
    }
    panel.lines = {valid, test};
    chart.panels.push_back(std::move(panel));
  }
  setting.note_splits(table);
  table.notes.push_back(
      fmt::format("Highest by validation: {}. All other options are the "
                  "recipe's, whose teacher has dim {:g}.",
                  chosen, recipe_dim(setting.source, setting.model)));
  return {Picture{"capacity", setting.source.name, setting.model, chart.title, svg(chart),
                  fmt::format("Highest by validation: {}.", chosen)},
          table};
}

}  // namespace

std::unique_ptr<ReportPart> make_capacity() { return std::make_unique<CapacityFigure>(); }

}  // namespace derrd
