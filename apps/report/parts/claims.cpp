#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <utility>

#include "apps/report/parts/catalogue.h"
#include "apps/report/parts/parts.h"
#include "apps/report/parts/sweeps.h"
#include "engine/evaluation/bootstrap.h"

namespace derrd {

namespace {

/// Parts whose runs the claims are about.
constexpr std::array<const char*, 5> kTestedParts = {"table2", "table4", "table5", "figure4",
                                                     "figure7"};

/// H\@5 of a trained method, times a factor.
struct Term {
  double factor;
  std::string model;
  TrainedMethod method;
};
/// Figure whose sign decides a claim: it holds if the sum is positive.
using Sum = std::vector<Term>;

/// Sentence of the paper that the trainings can test.
struct Claim {
  std::string id;
  const char* section;
  std::string sentence;
  /// Returns what has to be positive; empty if trainings that it takes to say so are not there.
  std::function<Sum(const Setting&)> sum;
  std::string only_model = {};  ///< base model that it is about; empty: all
};

Sum difference(const std::string& model, const TrainedMethod& better, const TrainedMethod& worse) {
  return {{1, model, better}, {-1, model, worse}};
}

/// A claim that one method is better than another; of one base model, or of all.
Claim better_than(const char* section, const std::string& sentence, const TrainedMethod& better,
                  const TrainedMethod& worse, const std::string& only_model = "") {
  return {
      fmt::format("{}-{:g}-above-{}-{:g}", better.method, better.size, worse.method, worse.size),
      section, sentence,
      [=](const Setting& setting) { return difference(setting.model, better, worse); }, only_model};
}

/// The method with the highest mean H\@5 of those that were trained; none if none was.
std::optional<TrainedMethod> best_of(const Setting& setting,
                                     const std::vector<TrainedMethod>& methods) {
  std::optional<TrainedMethod> best;
  for (const TrainedMethod& method : methods) {
    const auto hit = setting.mean_test(method, "H@5");
    if (hit && (!best || *hit > *setting.mean_test(*best, "H@5"))) best = method;
  }
  return best;
}

/// A claim that a method is better than the best of others.
Claim better_than_best(const std::string& id, const char* section, const std::string& sentence,
                       const TrainedMethod& better, const std::vector<TrainedMethod>& others) {
  return {id, section, sentence, [=](const Setting& setting) {
            const auto best = best_of(setting, others);
            return best ? difference(setting.model, better, *best) : Sum();
          }};
}

/// A claim that the best value of an option lies among some of the values tried.
Claim best_among(const std::string& id, const std::string& sentence, const Sweep& sweep,
                 const std::vector<std::string>& some) {
  return {id, "5.4", sentence, [&sweep, some](const Setting& setting) {
            const auto inside = best_of(setting, sweep.among(some, true));
            const auto outside = best_of(setting, sweep.among(some, false));
            return inside && outside ? difference(setting.model, *inside, *outside) : Sum();
          }};
}

std::vector<Claim> claims() {
  std::vector<Claim> all = {
      better_than("5.2", "DE improves the student", {"de"}, {"student"}),
      better_than("5.2", "RRD improves the student", {"rrd"}, {"student"}),
      better_than_best("rrd-above-competitors", "5.2", "RRD is better than RD and CD", {"rrd"},
                       {{"rd"}, {"cd"}}),
      better_than_best("de-rrd-above-competitors", "5.2", "DE-RRD is better than RD and CD",
                       {"de-rrd"}, {{"rd"}, {"cd"}}),
      better_than_best("de-rrd-best", "5.2", "DE-RRD is better than DE and RRD alone", {"de-rrd"},
                       {{"de"}, {"rrd"}}),
      {"rrd-gain-neumf", "5.2", "RRD gains more over the student with NeuMF than with BPR",
       [](const Setting&) {
         return Sum{{1, "neumf", {"rrd"}},
                    {-1, "neumf", {"student"}},
                    {-1, "bpr", {"rrd"}},
                    {1, "bpr", {"student"}}};
       },
       "neumf"}};
  for (const double size : {.5, 1.}) {
    for (const char* method : {"rd", "cd", "rrd"}) {
      all.push_back(
          better_than("5.2", fmt::format("{} hurts a NeuMF of φ = {:.1f}", title_of(method), size),
                      {"student", size}, {method, size}, "neumf"));
    }
    all.push_back(
        better_than_best(fmt::format("de-rrd-{:g}-above-competitors", size), "5.2",
                         fmt::format("DE-RRD is better than RD and CD at φ = {:.1f}", size),
                         {"de-rrd", size}, {{"rd", size}, {"cd", size}}));
  }
  all.push_back(better_than("5.2", "DE-RRD improves a student as large as its teacher",
                            {"de-rrd", 1}, {"student", 1}));
  all.push_back(better_than("5.2", "DE-RRD with half of the parameters reaches the teacher",
                            {"de-rrd", .5}, {"teacher"}));
  for (const char* ablation : {"de-attention", "de-one-large", "de-one-small"}) {
    all.push_back(
        better_than("5.3", "DE is better than " + title_of(ablation), {"de"}, {ablation}));
  }
  all.push_back(better_than("5.3", "more parameters need not help: (c) is better than (a) with BPR",
                            {"de-one-small"}, {"de-attention"}, "bpr"));
  for (const char* ablation : {"rrd-full", "rrd-interesting"}) {
    all.push_back(
        better_than("5.3", "RRD is better than " + title_of(ablation), {"rrd"}, {ablation}));
  }
  all.push_back(
      better_than("5.3", "(e) is worse than the student", {"student"}, {"rrd-interesting"}));
  all.push_back(
      best_among("experts-10-20", "DE is best near 10 to 20 experts", de_experts(), {"10", "20"}));
  all.push_back(best_among("k-30-40", "RRD is best near K of 30 to 40", rrd_items(), {"30", "40"}));
  return all;
}

/// Values of a sum by split, of the splits that have all of it.
std::vector<double> by_splits(const Setting& setting, const Sum& sum) {
  std::vector<double> values;
  for (const int split : setting.scope.splits) {
    double value = 0;
    bool whole = !sum.empty();
    for (const auto& [factor, model, method] : sum) {
      const Setting of_model{setting.scope, setting.results, setting.source, model};
      const BySplit hits = of_model.test(method, "H@5");
      whole = whole && hits.contains(split);
      if (whole) value += factor * hits.at(split);
    }
    if (whole) values.push_back(value);
  }
  return values;
}

/// Values of a sum by user on the only split; empty unless all of its models were evaluated.
std::vector<double> by_users(const Setting& setting, const Sum& sum) {
  std::vector<double> values;
  for (const auto& [factor, model, method] : sum) {
    const std::vector<double> hits = setting.results.user_metric(
        method.on(setting.source.name, model, setting.scope.splits.front()), "H@5");
    if (values.empty()) values.resize(hits.size());
    if (hits.empty() || hits.size() != values.size()) return {};
    for (size_t u = 0; u < hits.size(); ++u) values[u] += factor * hits[u];
  }
  std::erase_if(values, [](double value) { return std::isnan(value); });
  return values;
}

constexpr const char* kHolds = "holds";
constexpr const char* kFails = "does not hold";
constexpr const char* kUndecided = "undecided";
constexpr const char* kUntested = "not tested";

/// Row of a claim: its figures and the verdict.
ReportRow tested(const Setting& setting, const Claim& claim, const Sum& sum) {
  const std::vector<double> values = by_splits(setting, sum);
  std::optional<double> figure, t, p;
  std::string interval = "–", verdict = values.empty() ? kUntested : kUndecided;
  if (!values.empty()) figure = mean(values);
  const std::vector<double> zeros(values.size());
  if (const auto test = paired_t_test(values, zeros)) {
    t = test->t;
    p = test->p;
    constexpr double kLevel = .05;
    if (p && *p <= kLevel) verdict = *figure > 0 ? kHolds : kFails;
  } else if (!values.empty()) {
    const std::vector<double> users = by_users(setting, sum);
    if (!users.empty()) {
      const Interval bounds =
          percentile_interval(bootstrap_means(users, /*columns=*/1, /*seed=*/0));
      interval = fmt::format("{:+.4f} to {:+.4f}", bounds.low, bounds.high);
      if (bounds.low > 0) verdict = kHolds;
      if (bounds.high < 0) verdict = kFails;
    }
  }
  return {claim.id,
          fmt::format("{} ({})", claim.sentence, claim.section),
          "",
          "",
          {one_figure(FigureStyle::kMetric, figure), one_figure(FigureStyle::kNumber, t),
           one_figure(FigureStyle::kNumber, p), words(interval), words(verdict)}};
}

/// Share of the base loss that Section 5.4 finds best.
struct BestShare {
  const Sweep& weights;
  const char* model;
  double low, high;
};

std::vector<BestShare> best_shares() {
  return {{de_weights(), "bpr", .2, .2},
          {de_weights(), "neumf", .02, .05},
          {rrd_weights(), "bpr", .07, .10},
          {rrd_weights(), "neumf", 10, 10}};
}

/// Row of a claim about the share of the loss at the best weight; it holds within a factor of two.
ReportRow share_row(const Setting& setting, const BestShare& claimed) {
  constexpr double kTolerance = 2;
  const std::string& method = claimed.weights.method;
  const auto best = best_of(setting, claimed.weights.all());
  const std::vector<double> shares = best ? setting.shares(*best) : std::vector<double>();
  const bool fits = !shares.empty() && mean(shares) >= claimed.low / kTolerance &&
                    mean(shares) <= claimed.high * kTolerance;
  const std::string range =
      claimed.low == claimed.high
          ? fmt::format("{:g} %", 100 * claimed.low)
          : fmt::format("{:g} to {:g} %", 100 * claimed.low, 100 * claimed.high);
  return {method + "-share",
          fmt::format("{} is best where its loss is {} of the base loss (5.4)", title_of(method),
                      range),
          "",
          "",
          {one_figure(FigureStyle::kNumber,
                      shares.empty() ? std::nullopt : std::optional(mean(shares))),
           one_figure(FigureStyle::kNumber, std::nullopt),
           one_figure(FigureStyle::kNumber, std::nullopt), words("–"),
           words(shares.empty() ? kUntested
                 : fits         ? kHolds
                                : kFails)}};
}

/// The paper's sentences on accuracy, each with a test and a verdict.
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
      for (const char* part : kTestedParts) {
        make_report_part(part)->add_runs(plan, scope, source, model);
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
  /// Returns true if no other part makes trainings.
  static bool alone(const ReportScope& scope) {
    return std::ranges::none_of(scope.parts, [](const std::string& part) {
      return std::ranges::find(kTestedParts, part) != kTestedParts.end();
    });
  }
};

std::vector<ReportSection> ClaimsTable::sections_of(const Setting& setting) const {
  ReportTable table = setting.titled("Claims of the paper");
  table.first_column = "Claim (section)";
  table.columns = {"difference", "t", "p", "95 % interval", "verdict"};
  for (const Claim& claim : claims()) {
    if (!claim.only_model.empty() && claim.only_model != setting.model) continue;
    table.rows.push_back(tested(setting, claim, claim.sum(setting)));
  }
  for (const BestShare& claimed : best_shares()) {
    if (setting.model == claimed.model) table.rows.push_back(share_row(setting, claimed));
  }
  table.notes = {
      setting.scope.splits.size() > 1
          ? fmt::format(
                "Difference in H@5 in the claim's favour, a two-sided paired t-test over {} "
                "splits; decided at p of at most .05.",
                setting.scope.splits.size())
          : fmt::format("Difference in H@5 in the claim's favour on split {}; the interval is that "
                        "of a paired bootstrap over users, which decides if it excludes 0.",
                        setting.scope.splits.front()),
      "Claims on shares show the share at the best weight, and hold within a factor of two. The "
      "best of several is chosen by the mean that is then compared, which favours it.",
      "Not tested: the trainings were not among the tables and figures of this report."};
  return {table};
}

}  // namespace

std::unique_ptr<ReportPart> make_claims() { return std::make_unique<ClaimsTable>(); }

}  // namespace derrd
