#include "apps/experiments/grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <sstream>

#include "apps/experiments/embedded.h"
#include "apps/experiments/toml.h"
#include "data/error.h"

namespace derrd {

namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  if (text.ends_with(separator)) parts.emplace_back();
  return parts;
}

/// A number as a recipe's reader writes it, so that a point and the recipe that it becomes have the
/// same key.
std::string canonical(const std::string& text) {
  double number = 0;
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, number);
  return error == std::errc() && end == last ? fmt::format("{}", number) : text;
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
    throw Error(
        fmt::format("takes OPTION=VALUE,VALUE,... as in lambda-rrd=1e-2,1e-3 or k+l=20,40, not "
                    "\"{}\"",
                    text));
  }
  std::ranges::transform(axis.values, axis.values.begin(), canonical);
  return axis;
}

std::string grid_complaint(const Grid& grid, const std::string& method) {
  std::set<std::string> options;
  for (const GridAxis& axis : grid) {
    std::set<std::string> values;
    for (const std::string& value : axis.values) {
      if (!values.insert(value).second) {
        return fmt::format("{} has {} twice; name it once", axis.name(), value);
      }
    }
    for (const std::string& option : axis.options) {
      if (!options.insert(option).second) {
        return fmt::format("{} is there twice; give all its values at once", option);
      }
      if (option == "method" || option == "model") {
        return fmt::format("{} is chosen by --{}; search one at a time", option, option);
      }
      if (option == "epochs") {
        return "epochs can't be searched: the better a point is, the more of the recipe's it gets";
      }
      const std::string reserved = set_by_program(option, method);
      if (!reserved.empty()) return reserved;
    }
  }
  return "";
}

Grid published_grid(const std::string& method) {
  const toml::table grids = toml::parse(embedded_files().at("recipes/grids.toml"));
  const toml::table* table = grids[method].as_table();
  if (table == nullptr) {
    throw Error(fmt::format("the paper has no grid for {}; give one by --grid", method));
  }
  std::vector<std::pair<int, GridAxis>> axes;  // by line
  for (const auto& [key, values] : *table) {
    GridAxis axis{split(std::string(key.str()), '+'), {}};
    for (const toml::node& value : *values.as_array()) {
      axis.values.push_back(option_value(value).value());
    }
    axes.emplace_back(line_of(values), std::move(axis));
  }
  std::ranges::sort(axes, {}, &std::pair<int, GridAxis>::first);
  Grid grid;
  for (auto& [line, axis] : axes) grid.push_back(std::move(axis));
  return grid;
}

Options options_of(const Grid& grid, const std::vector<std::string>& point) {
  Options options;
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
