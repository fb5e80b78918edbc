#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <set>
#include <string>
#include <utility>

#include "apps/report/parts/parts.h"
#include "data/joined.h"

namespace derrd {

namespace {

/// Rows: the teacher, and DE-RRD's students of three sizes.
const std::vector<TrainedMethod>& timed_models() {
  static const std::vector<TrainedMethod> models = {
      {"teacher"}, {"de-rrd", 1.0}, {"de-rrd", 0.5}, {"de-rrd", 0.1}};
  return models;
}

/// Table 3: size and speed, by the paper's protocol and by ours.
class SpeedTable final : public ReportPart {
 public:
  std::string name() const override { return "table3"; }
  std::vector<std::string> methods(const ReportScope&) const override { return {"de-rrd"}; }
  void add_runs(RunPlan& plan, const ReportScope& scope, const DataSource& source,
                const std::string& model) const override {
    for (const TrainedMethod& timed : timed_models()) {
      add_trainings(plan, scope, source, model, timed);
      plan.timing(source, timed.on(source.name, model, scope.splits.front()));
    }
  }

 protected:
  std::vector<ReportSection> sections_of(const Setting& setting) const override;
};

bool is_teacher(const TrainedMethod& timed) { return timed.method == "teacher"; }
/// "phi-0.5", as in the published table.
std::string row_id(const TrainedMethod& timed) {
  return is_teacher(timed) ? timed.method : fmt::format("phi-{}", timed.size);
}
std::string row_label(const TrainedMethod& timed) {
  return is_teacher(timed) ? title_of(timed.method) : fmt::format("{:.1f}", timed.size);
}

/// Says where the times were measured, which may be in several calls.
std::string machines(const Setting& setting) {
  std::set<std::string> names;
  for (const TrainedMethod& timed : timed_models()) {
    const auto timing = setting.results.timing(setting.name(timed, setting.scope.splits.front()));
    if (timing != nullptr) names.insert(timing->machine);
  }
  return names.empty() ? "Nothing was timed."
                       : fmt::format("Measured on {}.", fmt::join(names, "; "));
}

/// Speed of lists for one user at a time, and for many at a time.
ReportTable latency_table(const Setting& setting) {
  ReportTable table = setting.titled("Speed in detail");
  table.first_column = "Model, list";
  table.columns = {"median, µs", "p99, µs", "users/s", "all users", "peak, MB"};
  for (const TrainedMethod& timed : timed_models()) {
    const auto timing = setting.results.timing(setting.name(timed, setting.scope.splits.front()));
    if (timing == nullptr) continue;
    const auto add = [&](const char* list, const std::vector<double>& values) {
      ReportRow row{fmt::format("{} {}", row_id(timed), list),
                    fmt::format("{}, {}", row_label(timed), list),
                    "",
                    "",
                    {}};
      for (size_t c = 0; c < values.size(); ++c) {
        constexpr std::array<FigureStyle, 5> kFormats = {FigureStyle::kCount, FigureStyle::kCount,
                                                         FigureStyle::kCount, FigureStyle::kSeconds,
                                                         FigureStyle::kNumber};
        row.figures.push_back(
            one_figure(kFormats.at(c), values[c] > 0 ? std::optional(values[c]) : std::nullopt));
      }
      table.rows.push_back(std::move(row));
    };
    for (const auto& [list, speed] :
         {std::pair{"all items sorted", &timing->full_sort}, {"top 10", &timing->top10}}) {
      add(list, {speed->median_us, speed->p99_us, speed->users_per_second, speed->seconds,
                 speed->peak_device_bytes / 1e6});
    }
    const double users = timing->top10.users_per_second * timing->top10.seconds;
    add("top 10, many users at a time",
        {0, 0, users / timing->batched_seconds, timing->batched_seconds, 0});
  }
  table.notes = {
      "Of the first split. Median and 99th percentile are those of one user's list, by itself; the "
      "peak is of the model and the workspace in the device's memory.",
      machines(setting)};
  return table;
}

std::vector<ReportSection> SpeedTable::sections_of(const Setting& setting) const {
  ReportTable table = setting.titled("Table 3: size and speed");
  table.first_column = "φ";
  table.columns = {"time", "parameters", "H@5 ratio"};
  const BySplit teacher = setting.test({"teacher"}, "H@5");
  for (const TrainedMethod& timed : timed_models()) {
    const PublishedRow paper = setting.published(3, row_id(timed));
    BySplit ratios;
    for (const auto& [split, hit] : setting.test(timed, "H@5")) {
      if (teacher.contains(split)) ratios[split] = hit / teacher.at(split);
    }
    ReportFigure time{FigureStyle::kSeconds, {}, paper.figure("seconds")};
    ReportFigure parameters{FigureStyle::kMillions, {}, paper.figure("parameters")};
    const auto timing = setting.results.timing(setting.name(timed, setting.scope.splits.front()));
    if (timing != nullptr) {
      time.values = {timing->full_sort.seconds};
      parameters.values = {timing->parameters / 1e6};
    }
    table.rows.push_back(
        {row_id(timed),
         row_label(timed),
         "",
         "",
         {time, parameters, {FigureStyle::kShare, values_of(ratios), paper.figure("ratio")}}});
  }
  table.notes = {
      "Time: a list of all items for every user, one user at a time, sorted in full; the paper's "
      "is PyTorch's on a Tesla P40.",
      machines(setting),
      "Parameters: the paper counts one user and one item that do not occur in the data.",
      fmt::format("H@5 ratio: DE-RRD's H@5 by Teacher's, over split{} {}.",
                  setting.scope.splits.size() > 1 ? "s" : "", joined(setting.scope.splits))};
  return {table, latency_table(setting)};
}

}  // namespace

std::unique_ptr<ReportPart> make_table3() { return std::make_unique<SpeedTable>(); }

}  // namespace derrd
