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
    "Not tested: the runs that it takes were not among this report's tables and figures, or "
    "failed.";

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
    if (!alone(scope)) return;
    for (const char* name : kTestedParts) {
      const auto part = make_report_part(name);
      if (part->shows(model)) part->add_runs(plan, scope, source, model);
    }
  }

 protected:
  std::vector<ReportSection> sections_of(const Setting& setting) const override;

 private:
  /// Returns true if no other table or figure was asked for.
  static bool alone(const ReportScope& scope) {
    return std::ranges::all_of(
        scope.parts, [](const std::string& part) { return part == "claims" || part == "curves"; });
  }
};

/// @param figure name of the figures that decide
/// @param over_splits whether t-tests over splits decide, not intervals
ReportTable table_of(const Setting& setting, const std::string& title, const std::string& figure,
                     FigureStyle style, const std::vector<Claim>& claims, bool over_splits) {
  ReportTable table = setting.titled(title);
  table.first_column = "Claim (section)";
  table.columns = over_splits
                      ? std::vector<std::string>{figure, "t", "p", "verdict", "compared"}
                      : std::vector<std::string>{figure, "95 % interval", "verdict", "compared"};
  for (const Claim& claim : claims) {
    if (!claim.only_model.empty() && claim.only_model != setting.model) continue;
    const ClaimTest test = claim.test(setting);
    ReportRow row{claim.id, fmt::format("{} ({})", claim.sentence, claim.section), "", "", {}};
    row.figures = {one_figure(style, test.figure)};
    if (over_splits) {
      row.figures.push_back(one_figure(FigureStyle::kNumber, test.t));
      row.figures.push_back(one_figure(FigureStyle::kNumber, test.p));
    } else {
      row.figures.push_back(words(
          test.interval ? fmt::format("{:+.4f} to {:+.4f}", test.interval->low, test.interval->high)
                        : "–"));
    }
    row.figures.push_back(words(words_of(test.verdict)));
    row.figures.push_back(words(test.compared.empty() ? "–" : test.compared));
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::vector<ReportSection> ClaimsTable::sections_of(const Setting& setting) const {
  const bool over_splits = setting.scope.splits.size() > 1;
  ReportTable accuracy = table_of(setting, "Claims on accuracy", "difference in H@5",
                                  FigureStyle::kMetric, accuracy_claims(), over_splits);
  accuracy.notes = {
      over_splits
          ? "Difference in mean H@5 in the claim's favour. A two-sided paired t-test over the "
            "splits "
            "that have all of its methods decides, at p of at most .05; no t where all of them "
            "differ by the same."
          : fmt::format("Difference in H@5 in the claim's favour, on split {}. A paired bootstrap "
                        "over users decides, if its interval excludes 0.",
                        setting.scope.splits.front()),
      "Where the best of several methods or values is compared, it is the one with the highest "
      "mean "
      "here, and looks better than it is. Weights are near each other within a factor of ten. (a) "
      "to (e) are the design choices of Table 4.",
      kUntested};
  ReportTable other =
      table_of(setting, "Other claims", "figure", FigureStyle::kNumber, other_claims(), false);
  other.notes = {
      "Shares are those of the base loss, at the weight with the highest mean H@5. The claim holds "
      "within a factor of two; no error is considered.",
      fmt::format("Groups of users: the figure is how many more of them gain in N@20. Experts: how "
                  "much more often users of one group prefer the same expert than users of "
                  "different groups, trained less before. Both are those of split {}; a bootstrap "
                  "over users decides, if its interval excludes 0.",
                  setting.scope.splits.front()),
      "Speed: the teacher's median time for a list of all items by the student's, for NeuMF also "
      "this ratio by BPR's. They were measured once, so a tenth, or a fifth, decides nothing.",
      kUntested};
  return {accuracy, other};
}

}  // namespace

std::unique_ptr<ReportPart> make_claims() { return std::make_unique<ClaimsTable>(); }

}  // namespace derrd
