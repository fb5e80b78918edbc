#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "apps/analysis/group_means.h"
#include "apps/report/group_gains.h"
#include "apps/report/map.h"
#include "apps/report/parts/parts.h"

namespace derrd {

namespace {

/// The maps of the figure, with their titles there.
const std::vector<std::string> kVariants = {"de-attention", "de-one-large", "de"};

/// Gains of a method over the student, also by groups.
struct Gains {
  GroupGains by_user;
  std::vector<GroupMean> groups;
};

/// Figure 5: gain in N\@20 over the student by groups of users, for DE and two ablations. Of a BPR,
/// whose teacher has a vector for each user, on the first split.
class GainMapsFigure final : public ReportPart {
 public:
  std::string name() const override { return "figure5"; }
  std::vector<std::string> pictures() const override { return {"figure5"}; }
  bool shows(const std::string& model) const override { return model == "bpr"; }
  std::vector<std::string> methods(const ReportScope&) const override {
    return {"student", "de-attention", "de-one-large", "de"};
  }
  void add_runs(RunPlan& plan, const ReportScope& scope, const DataSource& source,
                const std::string& model) const override {
    for (const std::string& method : methods(scope)) {
      plan.training(source, {source.name, scope.splits.front(), model, method});
      plan.user_metrics(source, {source.name, scope.splits.front(), model, method});
    }
  }

 protected:
  std::vector<ReportSection> sections_of(const Setting& setting) const override;
};

/// Gains of the variants that were trained.
std::vector<Gains> gains_of(const Setting& setting) {
  std::vector<Gains> all;
  for (const GroupGains& gains : gains_by_group(setting, kVariants)) {
    all.push_back(
        {gains, group_means(gains.gains, gains.groups, setting.user_groups()->clusters.count)});
  }
  return all;
}

/// Style of dots: filled triangles for gains, hollow ones on their heads for losses.
size_t style_of_gain(double gain) { return gain >= 0 ? 2 : 3; }

std::string gains_map(const Setting& setting, const UserGroups& users,
                      const std::vector<Gains>& all) {
  double largest = 1e-9;
  for (const Gains& gains : all) {
    for (const GroupMean& group : gains.groups) largest = std::max(largest, std::abs(group.mean));
  }
  std::vector<MapPanel> panels;
  for (const Gains& gains : all) {
    MapPanel panel{title_of(gains.by_user.method), {}};
    for (size_t g = 0; g < gains.groups.size(); ++g) {
      const double gain = gains.groups[g].mean;
      MapDots dots{fmt::format("{:+.3f}", gain),
                   gain >= 0 ? "groups that gain" : "groups that lose",
                   style_of_gain(gain),
                   .3 + .7 * std::abs(gain) / largest,
                   1,
                   {}};
      for (size_t i = 0; i < users.shown.size(); ++i) {
        if (users.clusters.labels[users.shown[i]] == static_cast<int32_t>(g)) {
          dots.places.push_back(users.places[i]);
        }
      }
      panel.dots.push_back(std::move(dots));
    }
    panels.push_back(std::move(panel));
  }
  return svg_maps(fmt::format("Figure 5: gain in {} over Student: {}", kGainMetric,
                              setting_title(setting.source.name, setting.model)),
                  panels);
}

ReportTable gains_table(const Setting& setting, const std::vector<Gains>& all) {
  ReportTable table = setting.titled("Figure 5 in figures");
  table.first_column = "Group of users";
  table.columns = {"users"};
  for (const Gains& gains : all) {
    table.columns.push_back(title_of(gains.by_user.method));
    table.columns.emplace_back("its standard error");
  }
  for (size_t g = 0; g < all.front().groups.size(); ++g) {
    ReportRow row{fmt::format("group-{}", g), fmt::format("{}", g), "", "", {}};
    row.figures.push_back(
        one_figure(FigureStyle::kCount, static_cast<double>(all.front().groups[g].count)));
    for (const Gains& gains : all) {
      row.figures.push_back(one_figure(FigureStyle::kMetric, gains.groups[g].mean));
      row.figures.push_back(one_figure(FigureStyle::kMetric, gains.groups[g].standard_error));
    }
    table.rows.push_back(std::move(row));
  }
  const auto add_summary = [&](const char* id, const char* label, FigureStyle style,
                               auto value_of) {
    ReportRow row{id, label, "", "", {one_figure(FigureStyle::kCount, std::nullopt)}};
    for (const Gains& gains : all) {
      row.figures.push_back(one_figure(style, value_of(gains)));
      row.figures.push_back(one_figure(style, std::nullopt));
    }
    table.rows.push_back(std::move(row));
  };
  add_summary("groups-that-gain", "groups that gain", FigureStyle::kCount, [](const Gains& gains) {
    const std::vector<uint32_t> once(gains.by_user.gains.size(), 1);
    return static_cast<double>(groups_that_gain(gains.by_user, once));
  });
  add_summary("users-in-groups-that-lose", "users in groups that lose", FigureStyle::kPercent,
              [](const Gains& gains) { return 100 * share_in_losing_groups(gains.groups); });
  table.notes = {
      fmt::format("Mean gain in {} of a group's users over Student, on split {}; groups by k-means "
                  "on the teacher's vectors of users, k = {}.",
                  kGainMetric, setting.scope.splits.front(), kUserGroups),
      "The paper claims that the selection of experts (DE) improves more groups than attention and "
      "one large expert."};
  return table;
}

std::vector<ReportSection> GainMapsFigure::sections_of(const Setting& setting) const {
  const std::vector<Gains> all = gains_of(setting);
  if (all.empty()) return {};
  const UserGroups& users = *setting.user_groups();
  const ReportTable table = gains_table(setting, all);
  return {Picture{"figure5", setting.source.name, setting.model,
                  fmt::format("Figure 5: gain in {} by groups of users: {}", kGainMetric,
                              setting_title(setting.source.name, setting.model)),
                  gains_map(setting, users, all),
                  fmt::format(
                      "{} users, laid out by t-SNE of the teacher's vectors. A group's number is "
                      "its users' mean gain over Student; the stronger its colour, the larger "
                      "the gain or loss.",
                      users.shown.size())},
          table};
}

}  // namespace

std::unique_ptr<ReportPart> make_figure5() { return std::make_unique<GainMapsFigure>(); }

}  // namespace derrd
