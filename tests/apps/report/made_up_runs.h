#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "apps/report/parts/catalogue.h"
#include "data/formats/checked_line.h"
#include "data/formats/safetensors.h"
#include "engine/distill/gate_record.h"
#include "tests/apps/program.h"

namespace derrd::test {

/// Counts the places where a text has a part.
inline size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

/// Runs whose files are made up: each method's metrics are its number / 10 + split / 100.
class MadeUpRuns : public CommandTest {
 protected:
  MadeUpRuns() {
    std::string recipe = "[bpr.teacher]\ndim = 20\n";
    for (const std::string& method : methods_) recipe += "[bpr." + method + "]\n";
    for (const char* ablation :
         {"de-attention", "de-one-large", "de-one-small", "rrd-full", "rrd-interesting"}) {
      recipe += fmt::format("[bpr.{}]\n", ablation);
    }
    recipe += "[neumf.teacher]\ndim = 20\n[neumf.de-rrd]\n";
    study_.data.push_back(
        {"citeulike", "users.dat", RecipeFile::parse(recipe, "recipe", nullptr), "hash"});
    study_.splits = {0, 1, 2};
    study_.models = {"bpr"};
    study_.methods = methods_;
  }

  void finish(const TrainedMethod& method, int split, double hit, double share = 0,
              const std::string& model = "bpr") {
    const TrainingName name = method.on("citeulike", model, split);
    const derrd::ExperimentRun& run = plan_.runs()[plan_.training(study_.data[0], name)];
    std::filesystem::create_directories(run.folder);
    nlohmann::json metrics = {{"best_epoch", 3}, {"epochs", 9}};
    for (const char* part : {"valid", "test"}) {
      for (const int n : {5, 10, 20}) {
        for (const char* metric : {"H", "N", "M"}) {
          metrics[part][fmt::format("{}@{}", metric, n)] = hit;
        }
      }
    }
    const std::vector<float> vectors(static_cast<size_t>(1000 * method.size));
    write_safetensors(run.file(kModelFile),
                      {{"user_embedding", tensor_view(std::span<const float>(vectors),
                                                      {std::ssize(vectors) / 10, 10})}},
                      {{"metrics", metrics.dump()}});
    write_text(run.file(kLogFile).string(),
               checked_line(R"({"epoch":0,"valid":{"H@5":0.1},"test":{"H@5":0.2}})") + "\n" +
                   checked_line(R"({"epoch":1,"valid":{"H@5":0.3},"test":{"H@5":0.4}})") + "\n" +
                   (share > 0 ? checked_line(nlohmann::json{{"epoch", 3},
                                                            {"valid", {{"H@5", .1}}},
                                                            {"test", {{"H@5", .1}}},
                                                            {"share", {{"de", share}}}}
                                                 .dump()) +
                                    "\n"
                              : ""));
  }
  /// Makes up each user's metrics by a model, all alike; NaN for a user who does not count.
  void finish_users(const TrainedMethod& method, const std::vector<double>& values) {
    const size_t index = plan_.user_metrics(study_.data[0], method.on("citeulike", "bpr", 0));
    std::string text = kUserColumns;
    for (size_t u = 0; u < values.size(); ++u) {
      text += fmt::format("m\t{}", u);
      for (int metric = 0; metric < 9; ++metric) {
        text += std::isnan(values[u]) ? "\t-" : fmt::format("\t{}", values[u]);
      }
      text += "\n";
    }
    write_output(plan_.runs()[index], kUsersFile, text);
  }
  /// Makes up a model and the time of its lists: for all users in seconds, of which a median list
  /// takes a thousandth. Many users at a time take 250 ms.
  void finish_timing(const TrainedMethod& method, double full_sort, double top10,
                     const std::string& model = "bpr", const std::string& device = "EPYC") {
    finish(method, 0, .5, /*share=*/0, model);
    const size_t index = plan_.timing(study_.data[0], method.on("citeulike", model, 0));
    const auto one_by_one = [](double seconds) {
      return nlohmann::json{{"seconds", seconds},
                            {"median_us", seconds * 1e3},
                            {"p99_us", seconds * 2e3},
                            {"users_per_s", 100 / seconds},
                            {"peak_device_bytes", 3e6}};
    };
    const nlohmann::json timed = {
        {"top10_ms", 250},
        {"parameters", 4e6},
        {"latency", {{"full_sort", one_by_one(full_sort)}, {"top10", one_by_one(top10)}}}};
    write_output(plan_.runs()[index], kOutputFile,
                 nlohmann::json{{"device", device}, {"threads", 2}, {"models", {timed}}}.dump());
  }
  static void write_output(const derrd::ExperimentRun& run, const char* file,
                           const std::string& text) {
    std::filesystem::create_directories(run.folder);
    write_text(run.file(file).string(), text);
  }
  ReportResults results() const {
    return {plan_, std::vector<RunOutcome>(plan_.runs().size(), RunOutcome::kFinished)};
  }
  std::vector<ReportSection> sections(const std::string& part) const {
    return make_report_part(part)->sections(study_, results());
  }
  std::vector<ReportTable> tables_of(const std::string& part) const {
    std::vector<ReportTable> tables;
    for (const ReportSection& section : sections(part)) {
      if (const auto* table = std::get_if<ReportTable>(&section)) tables.push_back(*table);
    }
    return tables;
  }
  /// Returns a part's picture of its own name, or another one.
  Picture picture_of(const std::string& part, const std::string& name = "") const {
    for (const ReportSection& section : sections(part)) {
      const auto* picture = std::get_if<Picture>(&section);
      if (picture != nullptr && picture->name == (name.empty() ? part : name)) return *picture;
    }
    ADD_FAILURE() << "no picture of " << part << " " << name;
    return {};
  }
  static const ReportRow& row_of(const ReportTable& table, const std::string& id) {
    const auto row = std::ranges::find(table.rows, id, &ReportRow::id);
    EXPECT_NE(row, table.rows.end()) << id;
    return *row;
  }

  static constexpr const char* kUserColumns =
      "model\tuser\tH@5\tN@5\tM@5\tH@10\tN@10\tM@10\tH@20\tN@20\tM@20\n";
  const std::vector<std::string> methods_ = {"student", "rd", "cd", "de", "rrd", "de-rrd"};
  ReportScope study_;
  RunPlan plan_{path("work"), 0};
};

/// A teacher whose users are two groups, apart from each other, and DE's gate on them.
class GroupedUsers : public MadeUpRuns {
 protected:
  static constexpr int kUsers = 40;
  GroupedUsers() {
    study_.splits = {0};
    finish({"teacher"}, 0, .6);
    for (const char* method : {"student", "de", "de-attention"}) finish({method}, 0, .5);
    std::vector<float> vectors;
    for (int u = 0; u < kUsers; ++u) {
      for (int d = 0; d < 3; ++d) {
        vectors.push_back((in_first_group(u) ? 10.f : -10.f) +
                          .01f * static_cast<float>(u % 7 + d));
      }
    }
    const std::string teacher =
        plan_.runs()[plan_.trainings().at({"citeulike", 0, "bpr", "teacher"})].file(kModelFile);
    const Metadata metadata = SafetensorsFile::read(teacher).metadata();
    write_safetensors(
        teacher, {{"user_embedding", tensor_view(std::span<const float>(vectors), {kUsers, 3})}},
        metadata);
  }
  static bool in_first_group(int user) { return user % 2 == 0; }

  /// Makes up metrics of the users: DE gains .2 in the first group and loses .1 in the second;
  /// attention loses .05 everywhere.
  void finish_gains() {
    std::vector<double> student(kUsers, .5), attention(kUsers, .45), de;
    for (int u = 0; u < kUsers; ++u) de.push_back(.5 + (in_first_group(u) ? .2 : -.1));
    finish_users({"student"}, student);
    finish_users({"de-attention"}, attention);
    finish_users({"de"}, de);
  }
  /// Makes up the gate's record of four epochs. Before training all prefer expert 2; afterwards
  /// each group has its own.
  void finish_gate() {
    GateRows rows;
    rows.users = kUsers;
    for (int row = 0; row < 5; ++row) {
      for (int u = 0; u < kUsers; ++u) rows.user_expert.push_back(row == 0 ? 2 : in_first_group(u));
      rows.entropy.push_back(1.f - .2f * static_cast<float>(row));
    }
    const TrainedMethod recorded{.method = "de", .records_gate = true};
    finish(recorded, 0, .5);
    const derrd::ExperimentRun& de =
        plan_.runs()[plan_.trainings().at(recorded.on("citeulike", "bpr", 0))];
    save_gate_record(de.file(kGateFile), rows, /*experts=*/3, /*best_row=*/4, {});
  }
};

}  // namespace derrd::test
