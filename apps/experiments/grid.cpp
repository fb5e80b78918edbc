#include "apps/experiments/grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "apps/cli/toml_table.h"
#include "apps/cli/usage_error.h"
#include "apps/experiments/embedded.h"
#include "data/parse_number.h"

namespace derrd {

namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  if (text.ends_with(separator)) parts.emplace_back();
  return parts;
}

/// Writes a number as read_toml() does, so that a point has the same key as a recipe with its
/// values.
std::string canonical(const std::string& text) {
  const std::optional<double> number = parse_number<double>(text);
  return number ? fmt::format("{}", *number) : text;
}

}  // namespace

std::string GridAxis::name() const {
  std::string text = options.front();
  for (size_t i = 1; i < options.size(); ++i) text += "+" + options[i];
  return text;
}

GridAxis parse_axis(const std::string& text) {
  const size_t equals = text.find('=');
  GridAxis axis;
  if (equals != std::string::npos) {
    axis = {split(text.substr(0, equals), '+'), split(text.substr(equals + 1), ',')};
  }
  const auto empty = [](const std::string& part) { return part.empty(); };
  if (axis.options.empty() || axis.values.empty() || std::ranges::any_of(axis.options, empty) ||
      std::ranges::any_of(axis.values, empty)) {
    throw UsageError(fmt::format(
        "--grid: takes OPTION=VALUE,VALUE,... as in lambda-rrd=1e-2,1e-3 or k+l=20,40, not "
        "\"{}\"",
        text));
  }
  std::ranges::transform(axis.values, axis.values.begin(), canonical);
  return axis;
}

void check_grid(const Grid& grid, const std::string& method) {
  const auto refuse = [](const std::string& why) { throw UsageError("--grid: " + why); };
  // Each is a training; with more, their list alone would fill the memory of small machines.
  constexpr double kMostPoints = 1e5;
  double points = 1;
  for (const GridAxis& axis : grid) points *= static_cast<double>(axis.values.size());
  if (points > kMostPoints) {
    refuse(
        fmt::format("has {:.0f} points, and each is a training; at most {:.0f} are possible: "
                    "give fewer values",
                    points, kMostPoints));
  }
  std::set<std::string> options;
  for (const GridAxis& axis : grid) {
    std::set<std::string> values;
    for (const std::string& value : axis.values) {
      if (!values.insert(value).second) {
        refuse(fmt::format("{} has {} twice; name it once", axis.name(), value));
      }
    }
    for (const std::string& option : axis.options) {
      if (!options.insert(option).second) {
        refuse(fmt::format("{} is there twice; give all its values at once", option));
      }
      if (option == "method" || option == "model") {
        refuse(fmt::format("{} is chosen by --{}; search one at a time", option, option));
      }
      if (option == "epochs") {
        refuse("epochs can't be searched: a point gets more of the recipe's, the better it is");
      }
      if (const auto reserved = reserved_option_error(option, method)) refuse(*reserved);
    }
  }
}

Grid published_grid(const std::string& method) {
  constexpr const char* kFile = "recipes/grids.toml";
  const TomlTable grids = read_toml(embedded_files().find(kFile)->second, kFile);
  const auto table = std::ranges::find(grids.tables, method, &TomlTable::name);
  if (table == grids.tables.end()) {
    throw UsageError(
        fmt::format("--grid: the paper has no grid for {}; give one by --grid", method));
  }
  Grid grid;
  for (const TomlTable::Value& value : table->values) {
    grid.push_back({split(value.key, '+'), value.texts});
  }
  return grid;
}

RecipeOptions options_of(const Grid& grid, const std::vector<std::string>& point) {
  RecipeOptions options;
  for (size_t a = 0; a < grid.size(); ++a) {
    for (const std::string& name : grid[a].options) set_option(options, {name, point[a]});
  }
  return options;
}

std::vector<std::vector<std::string>> points_of(const Grid& grid) {
  std::vector<std::vector<std::string>> points = {{}};
  for (const GridAxis& axis : grid) {
    std::vector<std::vector<std::string>> longer;
    for (const auto& point : points) {
      for (const std::string& value : axis.values) {
        longer.push_back(point);
        longer.back().push_back(value);
      }
    }
    points = std::move(longer);
  }
  return points;
}

}  // namespace derrd
