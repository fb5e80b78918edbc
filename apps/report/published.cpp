#include "apps/report/published.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include "apps/experiments/embedded.h"
#include "apps/experiments/tab_cells.h"
#include "data/error.h"

namespace derrd {

namespace {

/// @throws std::logic_error if the text is no finite number.
double finite(const std::string& text) {
  const double value = std::stod(text);
  if (!std::isfinite(value)) throw std::invalid_argument(text);
  return value;
}

std::map<RowName, PublishedRow> read_tables() {
  std::map<RowName, PublishedRow> rows;
  constexpr size_t kFirstFigure = 4;  // behind dataset, model, row, marks
  for (int table = 1; table <= 5; ++table) {
    const std::string_view text = embedded_files().at(fmt::format("published/table{}.tsv", table));
    std::istringstream lines{std::string(text)};
    std::string line;
    std::getline(lines, line);
    const std::vector<std::string> names = tab_cells(line);
    while (std::getline(lines, line)) {
      const std::vector<std::string> cells = tab_cells(line);
      PublishedRow& row = rows[{table, cells.at(0), cells.at(1), cells.at(2)}];
      if (cells.at(3) != "-") row.marks = cells[3];
      for (size_t c = kFirstFigure; c < cells.size(); ++c) {
        if (cells[c] != "-") row.figures[names.at(c)] = std::stod(cells[c]);
      }
    }
  }
  return rows;
}

}  // namespace

std::optional<double> PublishedRow::figure(const std::string& column) const {
  const auto found = figures.find(column);
  return found == figures.end() ? std::nullopt : std::optional(found->second);
}

PublishedRow published_row(const RowName& name) {
  static const std::map<RowName, PublishedRow> rows = read_tables();
  const auto found = rows.find(name);
  return found == rows.end() ? PublishedRow() : found->second;
}

PublishedCurves published_curves(const std::string& data_set) {
  PublishedCurves curves;
  const char* folder = std::getenv("DERRD_DATA");
  const std::string name = data_set + "/published_curves.tsv";
  if (folder == nullptr || *folder == '\0') {
    curves.source = "DERRD_DATA names no folder with " + name;
    return curves;
  }
  const auto path = std::filesystem::path(folder) / name;
  std::ifstream file(path);
  if (!file) {
    curves.source = "there is no " + path.string();
    return curves;
  }
  curves.source = path.string();
  std::string line;
  std::getline(file, line);
  const std::vector<std::string> names = tab_cells(line);
  const auto column = [&](const char* title) {
    const auto found = std::ranges::find(names, title);
    if (found == names.end()) {
      throw Error(fmt::format("{}:1: has no column {}", path.string(), title));
    }
    return static_cast<size_t>(found - names.begin());
  };
  const size_t method = column("method"), valid = column("valid_H@5"), test = column("test_H@5");
  for (int number = 2; std::getline(file, line); ++number) {
    const std::vector<std::string> cells = tab_cells(line);
    try {
      LearningCurve& curve = curves.by_method[cells.at(method)];
      curve.valid.push_back(finite(cells.at(valid)));
      curve.test.push_back(finite(cells.at(test)));
    } catch (const std::logic_error&) {
      throw Error(fmt::format("{}:{}: is no row of the table", path.string(), number));
    }
  }
  return curves;
}

}  // namespace derrd
