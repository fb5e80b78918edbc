#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "apps/report/parts/catalogue.h"
#include "data/formats/checked_line.h"
#include "data/formats/safetensors.h"
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
    study_.data.push_back(
        {"citeulike", "users.dat", RecipeFile::parse(recipe, "recipe", nullptr), "hash"});
    study_.splits = {0, 1, 2};
    study_.models = {"bpr"};
    study_.methods = methods_;
  }

  void finish(const TrainedMethod& method, int split, double hit, double share = 0) {
    const TrainingName name = method.on("citeulike", "bpr", split);
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
    write_safetensors(
        run.file(kModelFile),
        {{"user_embedding", tensor_view(std::span<const float>(vectors), {std::ssize(vectors)})}},
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
  Picture picture_of(const std::string& part) const {
    for (const ReportSection& section : sections(part)) {
      if (const auto* picture = std::get_if<Picture>(&section)) return *picture;
    }
    ADD_FAILURE() << "no picture of " << part;
    return {};
  }
  static const ReportRow& row_of(const ReportTable& table, const std::string& id) {
    const auto row = std::ranges::find(table.rows, id, &ReportRow::id);
    EXPECT_NE(row, table.rows.end()) << id;
    return *row;
  }

  const std::vector<std::string> methods_ = {"student", "rd", "cd", "de", "rrd", "de-rrd"};
  ReportScope study_;
  RunPlan plan_{path("work"), 0};
};

}  // namespace derrd::test
