#include <fmt/format.h>

#include "apps/report/parts/parts.h"
#include "data/joined.h"

namespace derrd {

namespace {

/// Dimensions of students as parts of the teacher's.
constexpr double kSizes[] = {1.0, 0.5, 0.1};

/// Table 3: size and speed.
class SpeedTable final : public ReportPart {
 public:
  std::string name() const override { return "table3"; }
  std::vector<std::string> methods(const ReportScope&) const override { return {"de-rrd"}; }
  void add_runs(RunPlan& plan, const ReportScope& scope, const DataSource& source,
                const std::string& model) const override {
    for (const double size : kSizes) {
      add_trainings(plan, scope, source, model, {"de-rrd", size});
      plan.timing(source, {source.name, scope.splits.front(), model, "de-rrd", size});
    }
  }

 protected:
  std::vector<ReportSection> sections_of(const Setting& setting) const override;
};

std::vector<ReportSection> SpeedTable::sections_of(const Setting& setting) const {
  ReportTable table = setting.titled("Table 3: size and speed");
  table.first_column = "φ";
  table.columns = {"time", "parameters", "H@5 ratio"};
  const BySplit teacher = setting.test({"teacher"}, "H@5");
  for (const double size : kSizes) {
    const PublishedRow paper = setting.published(3, fmt::format("phi-{}", size));
    BySplit ratios;
    for (const auto& [split, hit] : setting.test({"de-rrd", size}, "H@5")) {
      if (teacher.contains(split)) ratios[split] = hit / teacher.at(split);
    }
    ReportFigure time{FigureStyle::kSeconds, {}, paper.figure("seconds")};
    ReportFigure parameters{FigureStyle::kMillions, {}, paper.figure("parameters")};
    const TrainingName name = setting.name({"de-rrd", size}, setting.scope.splits.front());
    if (const TimingResult* timing = setting.results.timing(name)) {
      time.values = {timing->seconds};
      parameters.values = {timing->parameters / 1e6};
    }
    table.rows.push_back(
        {fmt::format("phi-{}", size),
         fmt::format("{:.1f}", size),
         "",
         "",
         {time, parameters, {FigureStyle::kShare, values_of(ratios), paper.figure("ratio")}}});
  }
  table.notes = {
      "Time: ten items for every user, by DE-RRD's student; the paper's is PyTorch's on a Tesla "
      "P40.",
      "Parameters: the paper counts one user and one item that do not occur in the data.",
      fmt::format("H@5 ratio: DE-RRD's H@5 by Teacher's, over split{} {}.",
                  setting.scope.splits.size() > 1 ? "s" : "", joined(setting.scope.splits))};
  return {table};
}

}  // namespace

std::unique_ptr<ReportPart> make_table3() { return std::make_unique<SpeedTable>(); }

}  // namespace derrd
