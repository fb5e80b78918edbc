#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tests/apps/experiments/experiment_data.h"
#include "tests/apps/program.h"

namespace derrd::test {

using Arguments = std::vector<std::string>;

/// Runs of `derrd reproduce` and `derrd search` in a folder of the test's own.
class Experiments : public testing::Test {
 protected:
  Arguments arguments(const SmallExperiment& experiment, const std::string& work,
                      const std::string& report, const Arguments& more = {}) const {
    Arguments all = {"reproduce",
                     "--data",
                     experiment.data,
                     "--recipes",
                     experiment.recipe,
                     "--work",
                     path(work),
                     "-o",
                     path(report),
                     "--models",
                     "bpr",
                     "--splits",
                     "0,1",
                     "--jobs",
                     "2",
                     "--methods",
                     "student,de,rrd,de-rrd"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::string path(const std::string& name) const { return folder_ / name; }

  static std::map<std::string, std::string> contents(const std::string& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      files[entry.path().filename().string()] = read_text(entry.path().string());
    }
    return files;
  }
  /// The folder of a run.
  std::string run_folder(const std::string& work, const std::string& name) const {
    for (const auto& entry : std::filesystem::directory_iterator(path(work))) {
      // Behind the name stands the key.
      if (entry.path().stem().string() == name) return entry.path().string();
    }
    ADD_FAILURE() << "no run " << name;
    return "";
  }
  /// The cells of a TSV's line that starts with these.
  static Arguments cells(const std::string& tsv, const Arguments& first) {
    std::string start;
    for (const std::string& cell : first) start += cell + "\t";
    for (const std::string& line : lines_of(tsv)) {
      if (!line.starts_with(start)) continue;
      Arguments found;
      std::string cell;
      for (const char c : line + "\t") {
        if (c != '\t') {
          cell += c;
        } else {
          found.push_back(cell);
          cell.clear();
        }
      }
      return found;
    }
    ADD_FAILURE() << "no line " << start << "in\n" << tsv;
    return Arguments(12);
  }
  size_t epochs_logged(const std::string& work) const {
    size_t lines = 0;
    std::error_code none_yet;
    for (const auto& entry : std::filesystem::directory_iterator(path(work), none_yet)) {
      lines += lines_of(read_text((entry.path() / "log.jsonl").string())).size();
    }
    return lines;
  }
  /// Lets a command work until so many epochs are logged.
  void wait_for_epochs(Process& process, const std::string& work, size_t epochs) const {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!process.ended() && epochs_logged(work) < epochs) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ASSERT_FALSE(process.ended()) << process.error_output();
  }

  TemporaryFolder folder_;
};

}  // namespace derrd::test
