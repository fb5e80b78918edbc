#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "apps/report/claims/claim.h"
#include "apps/report/parts/catalogue.h"
#include "apps/report/parts/parts.h"

namespace derrd {

namespace {

/// Parts whose runs the claims are about.
constexpr std::array<const char*, 8> kTestedParts = {"table2",  "table3",  "table4",  "table5",
                                                     "figure4", "figure5", "figure6", "figure7"};

constexpr const char* kUntested =
    "Not tested: the runs were not among the tables and figures of this report.";

const char* words_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kHolds:
      return "holds";
    case Verdict::kFails:
      return "does not hold";
    case Verdict::kUndecided:
      return "undecided";
    case Verdict::kUntested:
      break;
  }
  return "not tested";
}

/// The paper's sentences, each with a test and a verdict.
class ClaimsTable final : public ReportPart {
 public:
  std::string name() const override { return "claims"; }
  std::vector<std::string> methods(const ReportScope& scope) const override {
    if (!alone(scope)) return {};
    return {"student",        "rd",           "cd",           "de",           "rrd",
            "de-rrd",         "de-attention", "de-one-large", "de-one-small", "rrd-full",
            "rrd-interesting"};
  }
  void add_runs(RunPlan& plan, const ReportScope& scope, const DataSource& source,
                const std::string& model) const override {
    if (alone(scope)) {
      for (const char* name : kTestedParts) {
        const auto part = make_report_part(name);
        if (part->shows(model)) part->add_runs(plan, scope, source, model);
      }
    }
    if (scope.splits.size() > 1) return;
    // A single split is tested over its users.
    const auto trainings = plan.trainings();
    for (const auto& [name, run] : trainings) {
      if (name.data_set == source.name && name.model == model) plan.user_metrics(source, name);
    }
  }

 protected:
  std::vector<ReportSection> sections_of(const Setting& setting) const override;

 private:
  /// Returns true if no other part makes runs.
  static bool alone(const ReportScope& scope) {
    return std::ranges::none_of(scope.parts, [](const std::string& part) {
      return std::ranges::find(kTestedParts, part) != kTestedParts.end();
    });
  }
};

/// @param figure name of the figures that decide
/// @param over_splits whether t-tests over splits decide, not intervals
ReportTable table_of(const Setting& setting, const std::string& title, const std::string& figure,
                     const std::vector<Claim>& claims, bool over_splits) {
  ReportTable table = setting.titled(title);
  table.first_column = "Claim (section)";
  table.columns = over_splits ? std::vector<std::string>{figure, "t", "p", "verdict"}
                              : std::vector<std::string>{figure, "95 % interval", "verdict"};
  for (const Claim& claim : claims) {
    if (!claim.only_model.empty() && claim.only_model != setting.model) continue;
    const ClaimTest test = claim.test(setting);
    ReportRow row{claim.id, fmt::format("{} ({})", claim.sentence, claim.section), "", "", {}};
    row.figures = {one_figure(FigureStyle::kMetric, test.figure)};
    if (over_splits) {
      row.figures.push_back(one_figure(FigureStyle::kNumber, test.t));
      row.figures.push_back(one_figure(FigureStyle::kNumber, test.p));
    } else {
      row.figures.push_back(words(
          test.interval ? fmt::format("{:+.4f} to {:+.4f}", test.interval->low, test.interval->high)
                        : "–"));
    }
    row.figures.push_back(words(words_of(test.verdict)));
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::vector<ReportSection> ClaimsTable::sections_of(const Setting& setting) const {
  const bool over_splits = setting.scope.splits.size() > 1;
  ReportTable accuracy =
      table_of(setting, "Claims on accuracy", "difference in H@5", accuracy_claims(), over_splits);
  accuracy.notes = {
      over_splits
          ? fmt::format(
                "Difference in H@5 in the claim's favour, a two-sided paired t-test over {} "
                "splits; decided at p of at most .05.",
                setting.scope.splits.size())
          : fmt::format("Difference in H@5 in the claim's favour on split {}; the interval is that "
                        "of a paired bootstrap over users, which decides if it excludes 0.",
                        setting.scope.splits.front()),
      "The best of several is chosen by the mean that is then compared, which favours it. Weights "
      "are near others within a factor of ten.",
      kUntested};
  ReportTable other = table_of(setting, "Other claims", "figure", other_claims(), false);
  other.notes = {
      "Shares: of the base loss, at the best weight; within a factor of two they hold.",
      fmt::format("Groups: how many more gain in N@20. Specialisation: how much the mutual "
                  "information of preferred experts and groups rises. Both on split {}, with a "
                  "bootstrap over users, which decides if its interval excludes 0.",
                  setting.scope.splits.front()),
      "Speed: ratio of the median times of a list of all items. They were measured once, so a "
      "difference within a tenth decides nothing.",
      kUntested};
  return {accuracy, other};
}

}  // namespace

std::unique_ptr<ReportPart> make_claims() { return std::make_unique<ClaimsTable>(); }

}  // namespace derrd
