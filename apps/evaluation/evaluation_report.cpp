#include "apps/evaluation/evaluation_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "apps/cli/message.h"
#include "data/error.h"
#include "data/formats/atomic_file.h"
#include "data/printable.h"

namespace derrd {

namespace {

using Table = std::vector<std::vector<std::string>>;

/// Prints rows of cells with aligned columns: the first to the left, numbers to the right.
void print_table(const Table& table) {
  std::vector<size_t> widths(table.front().size());
  for (const auto& row : table) {
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  for (const auto& row : table) {
    print_out("{:<{}}", row[0], widths[0]);
    for (size_t c = 1; c < row.size(); ++c) print_out("  {:>{}}", row[c], widths[c]);
    print_out("\n");
  }
}

bool any_model(const EvaluationReport& report) { return report.rows.front().model.has_value(); }

void print_models(const EvaluationReport& report) {
  Table table = {{"", "dimension", "parameters", "MB", "ms for all top-10 lists"}};
  for (const EvaluationRow& row : report.rows) {
    if (!row.model) continue;
    table.push_back({row.name, std::to_string(row.model->dim),
                     std::to_string(row.model->parameters),
                     fmt::format("{:.2f}", row.model->megabytes),
                     fmt::format("{:.1f}", row.model->top10_seconds * 1e3)});
  }
  print_table(table);
}

/// Users whose lists are made in a second.
double users_per_second(double seconds, const Dataset& dataset) {
  return static_cast<double>(dataset.num_users()) / seconds;
}

/// Prints the times of lists, three rows per model; nothing if they were not measured.
void print_latencies(const EvaluationReport& report, const Dataset& dataset) {
  Table table = {{"", "list", "median us", "p99 us", "s for all users", "users/s", "device MB"}};
  for (const EvaluationRow& row : report.rows) {
    if (!row.model || !row.model->latency) continue;
    const auto add = [&](const char* list, const ListLatency& latency) {
      table.push_back(
          {row.name, list, fmt::format("{:.1f}", latency.median_seconds * 1e6),
           fmt::format("{:.1f}", latency.p99_seconds * 1e6), fmt::format("{:.4g}", latency.seconds),
           fmt::format("{:.0f}", users_per_second(latency.seconds, dataset)),
           fmt::format("{:.2f}", static_cast<double>(latency.peak_device_bytes) / 1e6)});
    };
    add("all items sorted", row.model->latency->full_sort);
    add("top 10", row.model->latency->top10);
    table.push_back({row.name, "top 10, many users at once", "-", "-",
                     fmt::format("{:.4g}", row.model->top10_seconds),
                     fmt::format("{:.0f}", users_per_second(row.model->top10_seconds, dataset)),
                     "-"});
  }
  if (table.size() == 1) return;
  print_out(
      "\nWall time of users' lists, made for one user at a time unless said otherwise; other work "
      "on\nthe machine lengthens it. Device MB: the most that model and workspace took\n");
  print_table(table);
  if (report.peak_host_bytes) {
    print_out("This process took {:.1f} MB of the host's memory at most\n",
              static_cast<double>(*report.peak_host_bytes) / 1e6);
  }
}

Json latency_json(const ModelRow& model, const Dataset& dataset) {
  const auto one_user_at_a_time = [&](const ListLatency& latency) -> Json {
    return {{"median_us", latency.median_seconds * 1e6},
            {"p99_us", latency.p99_seconds * 1e6},
            {"seconds", latency.seconds},
            {"users_per_s", users_per_second(latency.seconds, dataset)},
            {"peak_device_bytes", latency.peak_device_bytes}};
  };
  return {{"full_sort", one_user_at_a_time(model.latency->full_sort)},
          {"top10", one_user_at_a_time(model.latency->top10)},
          {"batched_top10",
           {{"seconds", model.top10_seconds},
            {"users_per_s", users_per_second(model.top10_seconds, dataset)}}}};
}

/// Prints metrics among candidates, a row per model.
void print_candidate_metrics(const std::string& title, const EvaluationReport& report,
                             LeaveOneOutMetrics UserEvaluation::*part) {
  Table table = {{""}};
  std::ranges::copy(candidate_metric_names(), std::back_inserter(table[0]));
  for (const EvaluationRow& row : report.rows) {
    if (!row.model) continue;
    auto& cells = table.emplace_back(1, row.name);
    for (const auto& value : metrics_json((row.model->candidates.*part).mean())) {
      cells.push_back(format_metric(value));
    }
  }
  print_out("\n{}\n", title);
  print_table(table);
}

/// Prints the metrics of the full ranking, a row per cutoff and model.
void print_full_metrics(const EvaluationReport& report) {
  Table table = {{"", "K"}};
  std::ranges::copy(kRankingMetricNames, std::back_inserter(table[0]));
  for (const char* name : {"coverage", "Gini", "popularity"}) table[0].emplace_back(name);
  for (const int k : kFullCutoffs) {
    for (const EvaluationRow& row : report.rows) {
      const Json json = metrics_json(row.full, row.cutoffs);
      const auto metric = [&](const char* name) { return json[fmt::format("{}@{}", name, k)]; };
      auto& cells = table.emplace_back(std::vector{row.name, std::to_string(k)});
      for (const char* name : kRankingMetricNames) cells.push_back(format_metric(metric(name)));
      for (const char* name : {"coverage", "gini"}) cells.push_back(format_metric(metric(name)));
      const Json popularity = metric("popularity");
      cells.push_back(popularity.is_null() ? "-" : fmt::format("{:.1f}", popularity.get<double>()));
    }
  }
  print_out("\nTest items among all items but the user's training {}items\n",
            report.without_valid ? "and validation " : "");
  print_table(table);
}

std::string format_interval(const Interval& interval) {
  return fmt::format("[{:.4f}, {:.4f}]", interval.low, interval.high);
}

/// Prints the estimates, a row per metric and model.
/// @param models whether rows without a model are left out
void print_estimates(const std::string& title, const EvaluationReport& report,
                     const Estimates& estimates, bool models) {
  Table table = {{"", "", "value", "95 % interval", "difference", "95 % interval"}};
  for (size_t m = 0; m < estimates.names.size(); ++m) {
    for (size_t r = 0; r < report.rows.size(); ++r) {
      if (models && !report.rows[r].model) continue;
      auto& cells = table.emplace_back(std::vector{estimates.names[m], report.rows[r].name});
      const auto& estimate = estimates.rows[r][m];
      cells.push_back(estimate ? fmt::format("{:.4f}", estimate->value) : "-");
      cells.push_back(estimate ? format_interval(estimate->interval) : "-");
      const bool compared = estimate && estimate->difference;
      cells.push_back(compared ? fmt::format("{:+.4f}", *estimate->difference) : "-");
      cells.push_back(compared ? format_interval(estimate->difference_interval) : "-");
    }
  }
  print_out("\n{}\n", title);
  print_table(table);
}

std::string describe(const Disagreement& d, const std::vector<EvaluationRow>& rows) {
  return fmt::format(
      "{} and {}: candidates and all items put them in opposite orders: N@10 is {:.6f} and {:.6f}, "
      "NDCG@10 is {:.6f} and {:.6f}",
      rows[d.first].file, rows[d.second].file, d.candidates[0], d.candidates[1], d.full[0],
      d.full[1]);
}

Json interval_json(const Interval& interval) { return {interval.low, interval.high}; }

Json estimates_json(const Estimates& estimates, size_t row) {
  Json json;
  for (size_t m = 0; m < estimates.names.size(); ++m) {
    const auto& estimate = estimates.rows[row][m];
    const bool compared = estimate && estimate->difference;
    Json& of_metric = json[estimates.names[m]];
    of_metric["interval"] = estimate ? interval_json(estimate->interval) : Json();
    of_metric["difference"] = compared ? Json(*estimate->difference) : Json();
    of_metric["difference_interval"] =
        compared ? interval_json(estimate->difference_interval) : Json();
  }
  return json;
}

std::string as_cell(const std::string& text) {
  if (text.find_first_of("\t\r\n") == std::string::npos) return text;
  throw Error(fmt::format(
      "{} has a tab or a line's end in it, which no line of --per-user can hold; leave it out",
      printable(text)));
}

/// Appends the metrics of a user, who may not count.
/// @param next index of the next user that counts; moves on
void append_cells(std::string& line, const UserMetrics& metrics, int32_t user, size_t& next) {
  const bool counts = next < metrics.users.size() && metrics.users[next] == user;
  for (size_t m = 0; m < metrics.names.size(); ++m) {
    const double value = counts ? metrics.row(next)[m] : std::nan("");
    line += std::isnan(value) ? "\t-" : fmt::format("\t{}", value);
  }
  if (counts) ++next;
}

}  // namespace

void add_estimates(EvaluationReport& report, uint64_t seed) {
  std::vector<UserMetrics> candidates, full;
  for (const EvaluationRow& row : report.rows) {
    candidates.push_back(candidate_metrics(row));
    full.push_back(full_metrics(row));
  }
  report.candidates = estimates_of(candidates, seed);
  report.full = estimates_of(full, seed);
}

int64_t count_without_candidates(const Dataset& dataset) {
  int64_t count = 0;
  for (int64_t u = 0; u < dataset.num_users(); ++u) {
    if (!dataset.test.row(u).empty() && !dataset.has_candidates(u)) ++count;
  }
  return count;
}

void print_tables(const EvaluationReport& report, const Dataset& dataset, bool valid) {
  const std::string among = " among itself and " + describe_candidates(dataset);
  if (any_model(report)) print_models(report);
  print_latencies(report, dataset);
  const bool among_candidates = any_model(report) && dataset.num_candidates > 0;
  if (among_candidates) {
    print_candidate_metrics("Each test item" + among, report, &UserEvaluation::test);
    if (valid) {
      print_candidate_metrics("Each validation item" + among, report, &UserEvaluation::valid);
    }
  }
  print_full_metrics(report);
  if (report.candidates && among_candidates) {
    print_estimates("Each test item" + among + ", with differences to the first model", report,
                    *report.candidates, true);
  }
  if (report.full) {
    print_estimates("Test items among all items, with differences to the first model", report,
                    *report.full, false);
  }
  std::vector<std::string> notes;
  if (report.users_without_candidates > 0 && any_model(report)) {
    notes.push_back(
        fmt::format("{} of {} users with test items have no candidates: they count among all items "
                    "alone",
                    report.users_without_candidates, report.rows[0].full.accuracy.users.size()));
  }
  for (const Disagreement& d : disagreements_of(report.rows)) {
    notes.push_back(describe(d, report.rows));
  }
  if (!notes.empty()) print_out("\n");
  for (const std::string& note : notes) print_out("{}\n", note);
}

Json models_json(const EvaluationReport& report, const Dataset& dataset) {
  Json all = Json::array();
  for (size_t r = 0; r < report.rows.size(); ++r) {
    const EvaluationRow& row = report.rows[r];
    Json json;
    json["file"] = row.file;
    if (row.model) {
      json["users"] = row.model->users;
      json["items"] = row.model->items;
      json["dim"] = row.model->dim;
      json["parameters"] = row.model->parameters;
      json["megabytes"] = row.model->megabytes;
      json["valid"] = metrics_json(row.model->candidates.valid.mean());
      json["test"] = metrics_json(row.model->candidates.test.mean());
    }
    json["full"] = metrics_json(row.full, row.cutoffs);
    if (row.model) json["top10_ms"] = row.model->top10_seconds * 1e3;
    if (row.model && row.model->latency) json["latency"] = latency_json(*row.model, dataset);
    if (report.candidates && row.model) {
      json["ci"]["test"] = estimates_json(*report.candidates, r);
    }
    if (report.full) json["ci"]["full"] = estimates_json(*report.full, r);
    all.push_back(std::move(json));
  }
  return all;
}

Json disagreements_json(const EvaluationReport& report) {
  Json all = Json::array();
  for (const Disagreement& d : disagreements_of(report.rows)) {
    all.push_back({{"models", {report.rows[d.first].file, report.rows[d.second].file}},
                   {"N@10", d.candidates},
                   {"NDCG@10", d.full}});
  }
  return all;
}

void write_users(const std::string& path, const EvaluationReport& report, const Dataset& dataset) {
  constexpr size_t kWrittenAtOnce = size_t{1} << 20;
  AtomicFile file(path);
  std::string text = "model\tuser\ttest_items";
  for (const auto& names : {candidate_metric_names(), accuracy_metric_names()}) {
    for (const std::string& name : names) text += "\t" + name;
  }
  text += "\n";
  for (const EvaluationRow& row : report.rows) {
    const UserMetrics candidates = candidate_metrics(row), full = full_metrics(row);
    size_t next_candidates = 0, next_full = 0;
    for (int32_t u = 0; u < dataset.num_users(); ++u) {
      text += fmt::format("{}\t{}\t{}", as_cell(row.file), as_cell(dataset.user_ids.text(u)),
                          dataset.test.row(u).size());
      append_cells(text, candidates, u, next_candidates);
      append_cells(text, full, u, next_full);
      text += "\n";
      if (text.size() < kWrittenAtOnce) continue;
      file.write(text);
      text.clear();
    }
  }
  file.write(text);
  file.commit();
}

}  // namespace derrd
