#include <fmt/format.h>

#include "apps/report/parts/parts.h"
#include "apps/report/sweeps.h"

namespace derrd {

namespace {

/// Table 5: both weights of DE-RRD.
class WeightsTable final : public ReportPart {
 public:
  std::string name() const override { return "table5"; }
  std::vector<std::string> methods(const ReportScope&) const override { return {"de-rrd"}; }
  void add_runs(RunPlan& plan, const ReportScope& scope, const DataSource& source,
                const std::string& model) const override {
    for (const std::string& de : pair_weights()) {
      for (const std::string& rrd : pair_weights()) {
        add_trainings(plan, scope, source, model, weighted(de, rrd));
      }
    }
  }

 protected:
  std::vector<ReportSection> sections_of(const Setting& setting) const override;
};

std::vector<ReportSection> WeightsTable::sections_of(const Setting& setting) const {
  ReportTable table = setting.titled("Table 5: weights of DE and RRD, H@5");
  table.first_column = "λ_DE";
  for (const std::string& rrd : pair_weights())
    table.columns.push_back(fmt::format("λ_RRD {}", rrd));
  for (const std::string& de : pair_weights()) {
    const PublishedRow paper = setting.published(5, de);
    ReportRow row{de, de, "", "", {}};
    for (const std::string& rrd : pair_weights()) {
      row.figures.push_back(setting.figure(weighted(de, rrd), "H@5", paper.figure(rrd)));
    }
    table.rows.push_back(std::move(row));
  }
  setting.note_splits(table);
  if (!table.rows.front().has_paper()) {
    table.notes.emplace_back("The paper prints this table for Foursquare only.");
  }
  table.notes.emplace_back("All other options are the recipe's of DE-RRD.");
  return {table};
}

}  // namespace

std::unique_ptr<ReportPart> make_table5() { return std::make_unique<WeightsTable>(); }

}  // namespace derrd
