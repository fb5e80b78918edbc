#include "apps/report/parts/parts.h"

namespace derrd {

namespace {

/// Table 4: design choices.
class DesignTable final : public ReportPart {
 public:
  std::string name() const override { return "table4"; }
  std::vector<std::string> methods(const ReportScope&) const override {
    return {"de",  "de-attention", "de-one-large",   "de-one-small",
            "rrd", "rrd-full",     "rrd-interesting"};
  }
  void add_runs(RunPlan& plan, const ReportScope& scope, const DataSource& source,
                const std::string& model) const override {
    for (const std::string& method : methods(scope)) {
      add_trainings(plan, scope, source, model, {method});
    }
  }

 protected:
  std::vector<ReportSection> sections_of(const Setting& setting) const override;
};

std::vector<ReportSection> DesignTable::sections_of(const Setting& setting) const {
  ReportTable table = setting.titled("Table 4: design choices");
  table.first_column = "Design choice";
  table.columns = {"H@5", "N@5", "H@10", "N@10"};
  for (const std::string& method : methods(setting.scope)) {
    table.rows.push_back(setting.accuracy_row(4, method, table.columns));
  }
  setting.note_splits(table);
  if (!table.rows.front().has_paper()) {
    table.notes.emplace_back("The paper prints this table for Foursquare only.");
  }
  return {table};
}

}  // namespace

std::unique_ptr<ReportPart> make_table4() { return std::make_unique<DesignTable>(); }

}  // namespace derrd
