#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "apps/analysis/agreement.h"
#include "apps/analysis/neighbours.h"
#include "apps/report/chart.h"
#include "apps/report/gate_choices.h"
#include "apps/report/map.h"
#include "apps/report/parts/parts.h"

namespace derrd {

namespace {

constexpr int64_t kPairs = 100'000;
constexpr int64_t kMiddleEpoch = 20;

/// Row of a record and its name in the figure.
struct Moment {
  int64_t row;
  std::string title;
};

/// Figure 6: the expert that DE's gate prefers for each user, in the course of the training. Of a
/// BPR, whose gate chooses by user, on the first split.
class SelectionMapsFigure final : public ReportPart {
 public:
  std::string name() const override { return "figure6"; }
  std::vector<std::string> pictures() const override { return {"figure6", "figure6-epochs"}; }
  bool shows(const std::string& model) const override { return model == "bpr"; }
  std::vector<std::string> methods(const ReportScope&) const override { return {"de"}; }
  void add_runs(RunPlan& plan, const ReportScope& scope, const DataSource& source,
                const std::string& model) const override {
    plan.training(source, {source.name, scope.splits.front(), model, "teacher"});
    plan.training(source, recorded_de().on(source.name, model, scope.splits.front()));
  }

 protected:
  std::vector<ReportSection> sections_of(const Setting& setting) const override;
};

/// The start, epoch 20 and the model that was kept.
std::vector<Moment> moments_of(const GateRecord& record) {
  std::vector<Moment> moments = {{0, "before training"}};
  if (kMiddleEpoch < record.best_row) {
    moments.push_back({kMiddleEpoch, fmt::format("after {} epochs", kMiddleEpoch)});
  }
  moments.push_back({record.best_row, fmt::format("trained, {} epochs", record.best_row)});
  return moments;
}

/// Experts in the order of how often the trained gate prefers them.
std::vector<int32_t> experts_by_use(const GateRecord& record) {
  std::vector<int64_t> uses(static_cast<size_t>(record.experts));
  for (const int32_t expert : choice_at(record, record.best_row)) {
    if (expert >= 0) ++uses[static_cast<size_t>(expert)];
  }
  std::vector<int32_t> experts(uses.size());
  for (size_t e = 0; e < experts.size(); ++e) experts[e] = static_cast<int32_t>(e);
  std::ranges::stable_sort(experts, std::greater(),
                           [&](int32_t e) { return uses[static_cast<size_t>(e)]; });
  return experts;
}

std::string selection_map(const Setting& setting, const UserGroups& users,
                          const GateRecord& record) {
  // The styles of dots tell these apart; all further experts share one.
  const std::vector<int32_t> by_use = experts_by_use(record);
  const size_t told_apart = std::min(by_use.size(), kStyles - 1);
  std::vector<MapPanel> panels;
  for (const auto& [row, title] : moments_of(record)) {
    const auto choice = choice_at(record, row);
    MapPanel panel{title, {}};
    MapDots others{"", "other experts", 0, .35, .35, {}};
    for (size_t e = 0; e < told_apart; ++e) {
      panel.dots.push_back({"", fmt::format("expert {}", by_use[e]), e + 1, 1, 1, {}});
    }
    for (size_t i = 0; i < users.shown.size(); ++i) {
      const int32_t expert = choice[users.shown[i]];
      if (expert < 0) continue;
      const auto used = static_cast<size_t>(std::ranges::find(by_use, expert) - by_use.begin());
      (used < told_apart ? panel.dots[used] : others).places.push_back(users.places[i]);
    }
    panel.dots.insert(panel.dots.begin(), std::move(others));
    panels.push_back(std::move(panel));
  }
  return svg_maps(
      "Figure 6: preferred experts: " + setting_title(setting.source.name, setting.model), panels);
}

/// How well the experts fit the groups of users, after each epoch.
struct Specialisation {
  std::vector<double> information, purity, experts, entropy;
};

Specialisation specialisation_of(const UserGroups& users, const GateRecord& record) {
  Specialisation all;
  for (int64_t row = 0; row < record.rows.rows(); ++row) {
    const auto [experts, groups] = experts_and_groups(record, row, users);
    all.information.push_back(normalized_mutual_information(experts, groups));
    all.purity.push_back(purity(experts, groups));
    all.experts.push_back(static_cast<double>(classes_used(experts)));
    all.entropy.push_back(record.rows.entropy[static_cast<size_t>(row)]);
  }
  return all;
}

ChartLine line_of(const std::string& label, size_t style, const std::vector<double>& values) {
  ChartLine line{label, style};
  for (const double value : values) {
    line.points.push_back({static_cast<double>(line.points.size()), value});
  }
  return line;
}

std::string specialisation_chart(const std::string& title, const Specialisation& all) {
  Chart chart;
  chart.title = title;
  ChartPanel fit;
  fit.title = "experts and groups of users";
  fit.x.title = "epochs";
  fit.y = {.title = "from 0 to 1", .from_zero = true};
  fit.lines = {line_of("normalised mutual information", 4, all.information),
               line_of("purity", 2, all.purity)};
  ChartPanel spread;
  spread.title = "experts preferred by any user";
  spread.x.title = "epochs";
  spread.y = {.title = "experts", .from_zero = true};
  spread.lines = {line_of("experts", 5, all.experts)};
  ChartPanel entropy;
  entropy.title = "entropy of the gate's weights α, mean over users";
  entropy.x.title = "epochs";
  entropy.y = {.title = "nats", .from_zero = true};
  entropy.lines = {line_of("entropy", 6, all.entropy)};
  chart.panels = {std::move(fit), std::move(spread), std::move(entropy)};
  return svg(chart);
}

ReportTable specialisation_table(const Setting& setting, const GateRecord& record,
                                 const Specialisation& all) {
  ReportTable table = setting.titled("Figure 6 in figures");
  table.first_column = "Gate";
  table.columns = {"mutual information", "purity", "experts", "entropy of α, nats"};
  for (const auto& [row, title] : moments_of(record)) {
    const auto r = static_cast<size_t>(row);
    table.rows.push_back({fmt::format("row-{}", row),
                          title,
                          "",
                          "",
                          {one_figure(FigureStyle::kShare, all.information[r]),
                           one_figure(FigureStyle::kShare, all.purity[r]),
                           one_figure(FigureStyle::kCount, all.experts[r]),
                           one_figure(FigureStyle::kShare, all.entropy[r])}});
  }
  table.notes = {
      fmt::format("Experts that the gate prefers, without noise, against {} groups of users by "
                  "k-means on the teacher's vectors, on split {}. Mutual information is divided by "
                  "the mean of both entropies.",
                  kUserGroups, setting.scope.splits.front()),
      "The paper claims that experts get specialised in groups of users during the training."};
  return table;
}

/// How often users share an expert, by the cosine of the teacher's vectors of them.
ReportTable neighbours_table(const Setting& setting, const UserGroups& users,
                             const GateRecord& record) {
  ReportTable table = setting.titled("Users that share an expert");
  table.first_column = "Pairs by cosine";
  table.columns = {"cosine"};
  const Points points(users.vectors, users.dim);
  std::vector<std::vector<CosineDecile>> moments;
  for (const auto& [row, title] : moments_of(record)) {
    table.columns.push_back(title);
    moments.push_back(same_label_by_cosine(points, choice_at(record, row), kPairs, /*seed=*/0));
  }
  for (size_t d = 0; d < moments.front().size(); ++d) {
    ReportRow line{fmt::format("tenth-{}", d + 1),
                   fmt::format("tenth {}", d + 1),
                   "",
                   "",
                   {one_figure(FigureStyle::kShare, moments.front()[d].cosine)}};
    for (const auto& deciles : moments) {
      line.figures.push_back(one_figure(FigureStyle::kShare, deciles[d].same_label));
    }
    table.rows.push_back(std::move(line));
  }
  table.notes = {
      fmt::format("Share of {} random pairs of users for whom the gate prefers the same "
                  "expert; tenths of rising cosine. Section 4.1.2 expects it to rise "
                  "with the cosine.",
                  kPairs)};
  return table;
}

std::vector<ReportSection> SelectionMapsFigure::sections_of(const Setting& setting) const {
  const auto read = gate_record(setting);
  const UserGroups* groups = setting.user_groups();
  if (!read || groups == nullptr) return {};
  const GateRecord& record = *read;
  const UserGroups& users = *groups;
  const Specialisation all = specialisation_of(users, record);
  const std::string where = setting_title(setting.source.name, setting.model);
  const std::string course = "Figure 6: specialisation of the experts: " + where;
  return {Picture{"figure6", setting.source.name, setting.model,
                  "Figure 6: preferred experts: " + where, selection_map(setting, users, record),
                  fmt::format("{} users, laid out by t-SNE of the teacher's vectors; the seven "
                              "experts that the trained gate prefers most often have forms of "
                              "their own.",
                              users.shown.size())},
          specialisation_table(setting, record, all),
          Picture{"figure6-epochs", setting.source.name, setting.model, course,
                  specialisation_chart(course, all), ""},
          neighbours_table(setting, users, record)};
}

}  // namespace

std::unique_ptr<ReportPart> make_figure6() { return std::make_unique<SelectionMapsFigure>(); }

}  // namespace derrd
