#include <algorithm>
#include <array>

#include "apps/report/parts/parts.h"

namespace derrd {

namespace {

/// Table 1: the data of each data set's first split.
class DataTable final : public ReportPart {
 public:
  std::string name() const override { return "table1"; }
  void add_runs(RunPlan& plan, const ReportScope& scope, const DataSource& source,
                const std::string&) const override {
    plan.data_set(source, scope.splits.front());
  }
  std::vector<ReportSection> sections(const ReportScope& scope,
                                      const ReportResults& results) const override;
};

std::vector<ReportSection> DataTable::sections(const ReportScope& scope,
                                               const ReportResults& results) const {
  struct Column {
    const char* title;
    const char* key;        // of the data set's statistics
    const char* published;  // null: the paper doesn't print it
    FigureStyle style;
  };
  constexpr std::array<Column, 5> kColumns = {
      {{"users", "users", "users", FigureStyle::kCount},
       {"items", "items", "items", FigureStyle::kCount},
       {"training interactions", "train_interactions", "train", FigureStyle::kCount},
       {"their sparsity", "train_sparsity", "sparsity", FigureStyle::kPercent},
       {"all interactions", "interactions", nullptr, FigureStyle::kCount}}};
  ReportTable table;
  table.title = "Table 1: data";
  table.first_column = "Data set";
  for (const Column& column : kColumns) table.columns.emplace_back(column.title);
  for (size_t d = 0; d < scope.data.size(); ++d) {
    const std::string& name = scope.data[d].name;
    const std::map<std::string, double> statistics = results.statistics(name, scope.splits.front());
    const PublishedRow paper = published_row({1, "-", "-", name});
    ReportRow row{name, title_of_data_set(name), "", "", {}};
    for (const Column& column : kColumns) {
      ReportFigure figure{column.style, {}, std::nullopt};
      if (column.published != nullptr) figure.paper = paper.figure(column.published);
      if (!statistics.empty()) {
        const double value = statistics.at(column.key);
        figure.values = {column.style == FigureStyle::kPercent ? 100 * value : value};
      }
      row.figures.push_back(figure);
    }
    table.rows.push_back(std::move(row));
  }
  table.notes = {
      "The paper's Table 1 counts one user and one item that do not occur in CiteULike, and as "
      "interactions the training part alone: two per user are held out."};
  if (std::ranges::find(scope.data, "foursquare", &DataSource::name) != scope.data.end()) {
    table.notes.emplace_back(
        "The paper filtered Foursquare's raw check-ins; the public file holds distinct pairs, and "
        "users with 15 places come nearest.");
  }
  return {table};
}

}  // namespace

std::unique_ptr<ReportPart> make_table1() { return std::make_unique<DataTable>(); }

}  // namespace derrd
