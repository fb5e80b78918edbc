// `derrd reproduce` from raw interactions to the report: complete, kept, killed and gone on with.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "data/safetensors.h"
#include "tests/apps/experiment_data.h"
#include "tests/apps/program.h"

namespace derrd::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Arguments = std::vector<std::string>;

class Reproduce : public testing::Test {
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
    for (const auto& entry : fs::directory_iterator(folder)) {
      files[entry.path().filename().string()] = read_text(entry.path().string());
    }
    return files;
  }
  /// The folder of a run.
  std::string run_folder(const std::string& work, const std::string& name) const {
    for (const auto& entry : fs::directory_iterator(path(work))) {
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
    for (const auto& entry : fs::directory_iterator(path(work), none_yet)) {
      lines += lines_of(read_text((entry.path() / "log.jsonl").string())).size();
    }
    return lines;
  }
  /// Lets a command work until so many epochs are logged.
  void wait_for_epochs(Process& process, const std::string& work, size_t epochs) const {
    const auto give_up = std::chrono::steady_clock::now() + 60s;
    while (!process.ended() && epochs_logged(work) < epochs) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up);
      std::this_thread::sleep_for(5ms);
    }
    ASSERT_FALSE(process.ended()) << process.error_output();
  }

  TemporaryFolder folder_;
};

TEST_F(Reproduce, TablesHoldWhatTheRunsFound) {
  const SmallExperiment experiment(folder_);
  const Result result = derrd(arguments(experiment, "work", "report", {"--table", "1,2,3"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;

  const auto files = contents(path("report"));
  for (const char* name : {"index.html", "runs.tsv", "table1.md", "table1.tsv", "table2.md",
                           "table2.tsv", "table3.md", "table3.tsv"}) {
    EXPECT_TRUE(files.contains(name)) << name;
  }
  EXPECT_FALSE(files.contains("table4.md"));
  EXPECT_NE(result.out.find(files.at("table2.md")), std::string::npos);

  // Table 2's figures are the means of the models' own, and its paper's are the paper's.
  double sum = 0;
  for (const int split : {0, 1}) {
    const std::string run = run_folder("work", fmt::format("citeulike.bpr.de-rrd.split-{}", split));
    const auto metrics = nlohmann::json::parse(
        SafetensorsFile::read(run + "/model.safetensors").metadata_or("metrics", ""));
    sum += metrics["test"]["H@5"].get<double>();
    EXPECT_FALSE(fs::exists(run + "/checkpoint.safetensors")) << "not needed any more";
    EXPECT_TRUE(read_text(run + "/command.txt").starts_with("derrd distill "));
  }
  const Arguments row = cells(files.at("table2.tsv"), {"citeulike", "bpr", "de-rrd"});
  EXPECT_EQ(row[4], "H@5");
  EXPECT_EQ(row[5], fmt::format("{}", sum / 2));
  EXPECT_EQ(row[7], "2");
  EXPECT_EQ(row[8], "0.4843");
  EXPECT_EQ(row[9], "***");

  const Arguments users = cells(files.at("table1.tsv"), {"-", "-", "citeulike"});
  EXPECT_EQ(users[4], "users");
  EXPECT_EQ(users[5], "60");
  EXPECT_EQ(users[8], "5220");
  const Arguments half = cells(files.at("table3.tsv"), {"citeulike", "bpr", "phi-0.5"});
  EXPECT_EQ(half[4], "time");
  EXPECT_GT(std::stod(half[5]), 0);
  EXPECT_LT(std::stod(half[5]), 1);

  // Splits are different ones, and the student's size is a tenth of its teacher's.
  EXPECT_NE(read_text(run_folder("work", "citeulike.split-0") + "/data.safetensors"),
            read_text(run_folder("work", "citeulike.split-1") + "/data.safetensors"));
  const auto student = SafetensorsFile::read(run_folder("work", "citeulike.bpr.student.split-0") +
                                             "/model.safetensors");
  EXPECT_EQ(student.tensor("user_embedding").shape[1], 2);
}

TEST_F(Reproduce, FinishedRunsAreKeptAndOnlyTheChangedOnesRunAgain) {
  const SmallExperiment experiment(folder_);
  const Arguments all = arguments(experiment, "work", "report", {"--table", "2"});
  const Result plan = derrd(arguments(experiment, "work", "report", {"--table", "2", "--dry-run"}));
  ASSERT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_NE(plan.out.find("12 runs, 0 finished, unknown time left"), std::string::npos) << plan.out;
  EXPECT_NE(plan.out.find("derrd distill --batch=64 --experts=3 --lr=0.02 --method=de "),
            std::string::npos)
      << plan.out;
  EXPECT_EQ(folder_.files(), (Arguments{"recipe.toml", "users.tsv"})) << "nothing was made";

  const Result first = derrd(all);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_NE(first.err.find("[12/12]"), std::string::npos) << first.err;
  const auto report = contents(path("report"));
  const Result second = derrd(all);
  EXPECT_EQ(second.exit_code, 0) << second.err;
  EXPECT_EQ(second.err, "12 of 12 runs are finished already\n");
  EXPECT_EQ(contents(path("report")), report);
  const Result finished =
      derrd(arguments(experiment, "work", "report", {"--table", "2", "--dry-run"}));
  EXPECT_NE(finished.out.find("12 runs, 12 finished, about 0s left"), std::string::npos)
      << finished.out;

  // One method's option: its runs and those that inherit it.
  std::string text = experiment.text;
  text.replace(text.find("k = 5"), 5, "k = 6");
  write_text(experiment.recipe, text);
  EXPECT_TRUE(derrd(all).err.starts_with("8 of 12 runs are finished already\n"));
  // The data: everything.
  write_text(path("users.tsv"), read_text(path("users.tsv")) + "0\t1\n");
  EXPECT_TRUE(derrd(all).err.starts_with("[1/12]"));
}

TEST_F(Reproduce, KilledAndGoneOnWithGivesTheSameReport) {
  const SmallExperiment experiment(folder_, /*epochs=*/60);
  const Arguments whole = arguments(experiment, "whole", "report", {"--table", "2"});
  ASSERT_EQ(derrd(whole).exit_code, 0);

  const Arguments torn = arguments(experiment, "torn", "torn-report", {"--table", "2"});
  for (const auto& [signal, epochs] :
       std::vector<std::pair<int, size_t>>{{SIGKILL, 20}, {SIGINT, 150}, {SIGTERM, 300}}) {
    Process process(torn);
    wait_for_epochs(process, "torn", epochs);
    process.send(signal);
    const Result result = process.wait();
    if (signal == SIGKILL) {
      EXPECT_EQ(result.signal, SIGKILL);
    } else {
      EXPECT_EQ(result.exit_code, 128 + signal) << result.err;
      EXPECT_NE(result.err.find("the same command goes on"), std::string::npos) << result.err;
    }
    EXPECT_FALSE(fs::exists(path("torn-report/index.html")));
  }
  const Result result = derrd(torn);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(result.err.find("are finished already") != std::string::npos) << result.err;
  const auto expected = contents(path("report"));
  for (const auto& [name, text] : contents(path("torn-report"))) {
    EXPECT_EQ(text, expected.at(name)) << name;
  }
}

TEST_F(Reproduce, AFailingRunIsShownAndTheOthersGoOn) {
  const SmallExperiment experiment(folder_);
  std::string text = experiment.text;
  text.replace(text.find("[bpr.rrd]"), 9, "[bpr.rrd]\nlr = 1e30");
  text.replace(text.find("[bpr.de-rrd]"), 12, "[bpr.de-rrd]\nlr = 0.02");
  write_text(experiment.recipe, text);
  const Arguments all = arguments(experiment, "work", "report", {"--table", "2"});
  const Result result = derrd(all);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("citeulike.bpr.rrd.split-0: FAILED with exit code 1"),
            std::string::npos)
      << result.err;
  EXPECT_NE(result.err.find("    derrd: epoch 0"), std::string::npos) << "the end of its output\n"
                                                                      << result.err;
  EXPECT_NE(result.err.find("derrd: 2 of 12 runs failed, 0 that need them"), std::string::npos)
      << result.err;
  const std::string table = read_text(path("report/table2.md"));
  EXPECT_NE(table.find("| RRD | – |"), std::string::npos) << table;
  EXPECT_EQ(table.find("| DE-RRD | – |"), std::string::npos) << table;
  EXPECT_NE(read_text(path("report/runs.tsv")).find("\tfailed\t"), std::string::npos);
  EXPECT_TRUE(derrd(all).err.starts_with("10 of 12 runs are finished already\n"));
}

TEST_F(Reproduce, WhatNeedsAFailedRunIsLeftOut) {
  const SmallExperiment experiment(folder_);
  write_text(experiment.recipe, experiment.text + "[bpr.teacher]\n");  // twice: not TOML
  EXPECT_EQ(derrd(arguments(experiment, "work", "report")).exit_code, 1);
  std::string text = experiment.text;
  text.replace(text.find("dim = 20"), 8, "dim = 20\nlr = 1e30");
  write_text(experiment.recipe, text);
  const Result result = derrd(arguments(experiment, "work", "report", {"--table", "2"}));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("citeulike.bpr.de.split-1: left out, it needs "
                            "citeulike.bpr.teacher.split-1"),
            std::string::npos)
      << result.err;
  EXPECT_NE(result.err.find("2 of 12 runs failed, 6 that need them were left out"),
            std::string::npos)
      << result.err;
}

TEST_F(Reproduce, BadRecipesAreRefusedBeforeAnythingRuns) {
  const SmallExperiment experiment(folder_);
  const auto expect = [&](const std::string& old, const std::string& changed, int line,
                          const std::string& what) {
    std::string text = experiment.text;
    text.replace(text.find(old), old.size(), changed);
    write_text(experiment.recipe, text);
    const Result result = derrd(arguments(experiment, "work", "report", {"--table", "2"}));
    EXPECT_EQ(result.exit_code, 1) << changed;
    EXPECT_TRUE(result.err.starts_with(fmt::format("derrd: {}:{}: ", experiment.recipe, line)))
        << changed << "\n"
        << result.err;
    EXPECT_NE(result.err.find(what), std::string::npos) << result.err;
    EXPECT_FALSE(fs::exists(path("work")));
  };
  expect("experts = 3", "experst = 3", 11, "derrd distill has no option experst");
  expect("experts = 3", "experts = 0", 11, "--experts");
  expect("experts = 3", "experts = \"many\"", 11, "--experts");
  expect("batch = 64", "batch 64", 3, "");
  expect("candidates = 50", "candidate = 50", 6, "derrd prepare has no option candidate");
  expect("[bpr.de]", "[bpr.die]", 16, "no [bpr.de]; there are teacher, student, die");
  expect("dim = 20", "dims = 20", 8, "[bpr.teacher]: derrd train has no option dims; nearest: dim");
  expect("[prepare]", "[prepare]\nmin-user = -1", 6, "-1 is not a number of at least 0");
  // Also in tables that no run takes.
  expect("[bpr.student]", "[bpr.typo]\nkk = 1\n[bpr.student]", 10,
         "[bpr.typo]: derrd distill has no option kk; nearest: k\n");
  expect("[bpr.student]", "[neumff.de]\nk = 1\n[bpr.student]", 9,
         "there is no base model neumff; there are bpr, neumf");
}

TEST_F(Reproduce, InputsAreNotOverwritten) {
  const SmallExperiment experiment(folder_);
  fs::create_directory(path("report"));
  fs::copy_file(path("users.tsv"), path("report/runs.tsv"));
  fs::copy_file(experiment.recipe, path("report/table2.md"));
  const auto refused = [&](const Arguments& arguments, const std::string& options) {
    const Result result = derrd(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_NE(result.err.find(options + " both name "), std::string::npos) << result.err;
    EXPECT_FALSE(fs::exists(path("work")));
  };
  Arguments all = arguments(experiment, "work", "report", {"--table", "2"});
  all[2] = "citeulike=" + path("report/runs.tsv");
  refused(all, "--data and -o");
  all[2] = experiment.data;
  all[4] = path("report/table2.md");
  refused(all, "--recipes and -o");
  refused(arguments(experiment, "work", "users.tsv"), "--data and -o");
  write_text(path("report/index.html"), "seed = 3\n");
  refused(arguments(experiment, "work", "report", {"--config", path("report/./index.html")}),
          "--config and -o");
  EXPECT_EQ(read_text(path("report/runs.tsv")), read_text(path("users.tsv")));
  EXPECT_EQ(read_text(path("report/table2.md")), experiment.text);
}

TEST_F(Reproduce, TheReportsFolderIsMadeFirst) {
  const SmallExperiment experiment(folder_);
  write_text(path("file"), "");
  fs::create_directories(path("taken/runs.tsv"));
  for (const std::string& report : {path("file"), path("file/report"), std::string("/proc/x")}) {
    Arguments all = arguments(experiment, "work", "report", {"--table", "2"});
    all[8] = report;
    const Result result = derrd(all);
    EXPECT_EQ(result.exit_code, 1) << report;
    EXPECT_TRUE(result.err.starts_with("derrd: " + report + ": can't hold the report ("))
        << result.err;
    EXPECT_NE(result.err.find("-o"), std::string::npos) << result.err;
  }
  const Result taken = derrd(arguments(experiment, "work", "taken", {"--table", "2"}));
  EXPECT_EQ(taken.exit_code, 1);
  EXPECT_NE(taken.err.find("runs.tsv: is not a regular file"), std::string::npos) << taken.err;
  EXPECT_FALSE(fs::exists(path("work")));
}

TEST_F(Reproduce, DamagedProductsAreMadeAgain) {
  const SmallExperiment experiment(folder_);
  const Arguments more = {"--table", "2,3"};
  const Arguments all = arguments(experiment, "work", "report", more);
  ASSERT_EQ(derrd(all).exit_code, 0);
  const std::string table = read_text(path("report/table2.tsv"));
  const auto file = [&](const std::string& run, const char* name) {
    return run_folder("work", run) + "/" + name;
  };
  const std::string teacher = file("citeulike.bpr.teacher.split-0", "model.safetensors");
  const std::string student = file("citeulike.bpr.student.split-1", "model.safetensors");
  const std::string data = file("citeulike.split-1", "data.safetensors");
  const std::string timing = file("citeulike.bpr.de-rrd.phi-1.split-0.timing", "out.txt");
  const std::string whole = read_text(student);
  write_text(teacher, "");
  write_text(student, whole.substr(0, whole.size() - 1));
  std::string header = read_text(data);
  header[8] = '[';
  write_text(data, header);
  write_text(timing, "{");
  const std::string log = file("citeulike.bpr.rrd.split-0", "log.jsonl");
  const std::string records = read_text(log);
  write_text(log, records.substr(records.find('\n') + 1));  // its first epoch is gone
  const Result plan =
      derrd(arguments(experiment, "work", "report", {"--table", "2,3", "--dry-run"}));
  EXPECT_EQ(
      std::ranges::count_if(lines_of(plan.out),
                            [](const std::string& line) { return line.starts_with("damaged "); }),
      5)
      << plan.out;

  const Result again = derrd(all);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  for (const std::string& path : {teacher, student, data, timing, log}) {
    EXPECT_NE(again.err.find(fs::path(path).parent_path().string() +
                             ": what was there is damaged or incomplete; the run is done again"),
              std::string::npos)
        << again.err;
  }
  EXPECT_EQ(read_text(path("report/table2.tsv")), table);
  EXPECT_EQ(read_text(student), whole);
  const size_t runs = lines_of(plan.out).size() / 2;
  EXPECT_EQ(derrd(all).err, fmt::format("{} of {} runs are finished already\n", runs, runs));
}

// What a killed attempt leaves: a torn record, files that it had not yet renamed.
TEST_F(Reproduce, LeftoversOfKilledAttemptsDoNoHarm) {
  const SmallExperiment experiment(folder_);
  const Arguments all = arguments(experiment, "work", "report", {"--table", "2"});
  ASSERT_EQ(derrd(all).exit_code, 0);
  const std::string table = read_text(path("report/table2.tsv"));
  const std::string folder = run_folder("work", "citeulike.bpr.student.split-0");
  write_text(folder + "/attempts.jsonl", R"({"epochs":3,"exit":0,"sec)");
  write_text(folder + "/model.safetensors.tmp-1", "x");
  write_text(folder + "/checkpoint.safetensors", "torn");
  const Result again = derrd(all);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(read_text(path("report/table2.tsv")), table);
  EXPECT_FALSE(fs::exists(folder + "/model.safetensors.tmp-1"));
  EXPECT_FALSE(fs::exists(folder + "/checkpoint.safetensors"));
}

// The log is a part of the result: without its beginning a training starts anew.
TEST_F(Reproduce, ATrainingWithoutItsLogStartsAnew) {
  const SmallExperiment experiment(folder_, /*epochs=*/60);
  const Arguments all = arguments(experiment, "work", "report", {"--table", "2"});
  ASSERT_EQ(derrd(arguments(experiment, "whole", "whole-report", {"--table", "2"})).exit_code, 0);
  Process process(all);
  wait_for_epochs(process, "work", 40);
  process.send(SIGINT);
  process.wait();
  for (const auto& entry : fs::directory_iterator(path("work"))) {
    if (entry.is_directory()) fs::remove(entry.path() / "log.jsonl");
  }
  const Result result = derrd(all);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(read_text(path("report/table2.tsv")), read_text(path("whole-report/table2.tsv")));
  EXPECT_EQ(epochs_logged("work"), epochs_logged("whole"));
}

// The name decides which format is guessed.
TEST_F(Reproduce, ANameOfAnotherFormatMakesOtherData) {
  const SmallExperiment experiment(folder_);
  std::string pairs;
  for (int u = 0; u < 40; ++u) {
    // A user with twelve items, or two with six.
    for (int n = 0; n < 12; ++n)
      pairs += fmt::format("{}\t{},{}\n", u, n / 6, (u * 7 + n * 5) % 50);
  }
  const auto users_of = [&](const std::string& file) {
    write_text(path(file), pairs);
    const Result result =
        derrd({"reproduce", "--data", "citeulike=" + path(file), "--recipes", experiment.recipe,
               "--work", path("work"), "-o", path("report"), "--table", "1", "--splits", "0"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return cells(read_text(path("report/table1.tsv")), {"-", "-", "citeulike", "-", "users"})[5];
  };
  EXPECT_EQ(users_of("same.tsv"), "40");
  EXPECT_EQ(users_of("same.csv"), "80");
}

TEST_F(Reproduce, UsageErrors) {
  const SmallExperiment experiment(folder_);
  const auto refused = [&](const Arguments& more, int exit_code, const std::string& what) {
    const Result result = derrd(arguments(experiment, "work", "report", more));
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_NE(result.err.find(what), std::string::npos) << result.err;
  };
  refused({"--table", "5"}, 2, "--table");
  refused({"--table", "2,2"}, 2, "twice");
  refused({"--seed", "-1"}, 2, "--seed");
  refused({"--methods", "de"}, 2, "--methods: names something twice");  // it is given already
  const auto wrong = [&](const Arguments& more, const std::string& what) {
    Arguments all = {"reproduce", "--work", path("work"), "-o", path("report")};
    all.insert(all.end(), more.begin(), more.end());
    const Result result = derrd(all);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_NE(result.err.find(what), std::string::npos) << what << "\n" << result.err;
    EXPECT_FALSE(fs::exists(path("work")));
    EXPECT_FALSE(fs::exists(path("report")));
  };
  const std::string& data = experiment.data;
  const std::string& recipe = experiment.recipe;
  const std::string nameless = "--data: takes NAME=FILE";
  wrong({"--data", path("users.tsv")}, nameless);
  wrong({"--data", path("users.tsv"), "--recipes", recipe}, nameless);
  wrong({"--data", "citeulike=", "--recipes", recipe}, nameless);
  wrong({"--data", "x=" + path("users.tsv")}, "--recipes x=FILE");
  wrong({"--data", data, data, "--recipes", recipe}, "--data: names citeulike twice");
  wrong({"--data", data, "other=" + path("users.tsv"), "--recipes", recipe},
        "--recipes: needs NAME=FILE where there are several data sets");
  wrong({"--data", data, "--recipes", recipe, recipe}, "--recipes: names citeulike twice");
  wrong({"--data", data, "--recipes", "foursquare=" + recipe},
        "--recipes: names foursquare, which --data doesn't");
  wrong({"--data", data, "--recipes", recipe, "--models", "bpr,svd"}, "--models");
  wrong({"--data", data, "--recipes", recipe, "--models", "neumf"}, "--models: " + recipe);
  wrong({"--data", data, "--recipes", recipe, "--models", "bpr", "--table", "2", "--methods",
         "rrd,xd"},
        "--methods: " + recipe + ": there is no [bpr.xd]; there are teacher, student, de, rrd");
}

/// A search over DE's weight, of which only the largest does harm.
class Search : public Reproduce {
 protected:
  Arguments search(const SmallExperiment& experiment, const std::string& work,
                   const Arguments& more) const {
    Arguments all = {"search",
                     "--data",
                     experiment.data,
                     "--recipes",
                     experiment.recipe,
                     "--work",
                     path(work),
                     "--method",
                     "rrd",
                     "--first-epochs",
                     "3",
                     "--factor",
                     "2",
                     "--finalists",
                     "1",
                     "--grid",
                     "lambda-rrd=1e-3,10,1e-4,3",
                     "lr=0.02,1e-7"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

TEST_F(Search, PicksWhatValidationSaysAndEliminatesTheRest) {
  const SmallExperiment experiment(folder_, /*epochs=*/12);
  const Result result =
      derrd(search(experiment, "work", {"-o", path("points"), "--write", experiment.recipe}));
  ASSERT_EQ(result.exit_code, 0) << result.err;

  // Eight points train for 3 epochs, four for 6, two for 12.
  std::map<std::string, int> points_of_epochs;
  const auto lines = lines_of(read_text(path("points")));
  ASSERT_EQ(lines.size(), 9u);
  EXPECT_EQ(lines[0], "lambda-rrd\tlr\tepochs\tvalid_H@5\tfate");
  for (size_t n = 1; n < lines.size(); ++n) {
    const auto end = lines[n].rfind('\t');
    const auto hit = lines[n].rfind('\t', end - 1);
    const auto epochs = lines[n].rfind('\t', hit - 1);
    ++points_of_epochs[lines[n].substr(epochs + 1, hit - epochs - 1)];
  }
  EXPECT_EQ(points_of_epochs, (std::map<std::string, int>{{"3", 4}, {"6", 2}, {"12", 2}}));

  // The winner's figure is the best validation H@5 of its log, and no other log of as many epochs
  // has a better one.
  double best = 0;
  std::map<size_t, double> best_by_length;
  for (const auto& entry : fs::directory_iterator(path("work"))) {
    if (!entry.path().filename().string().starts_with("citeulike.bpr.rrd.")) continue;
    const auto log = read_log((entry.path() / "log.jsonl").string());
    double hit = 0;
    for (const auto& record : log) hit = std::max(hit, record["valid"]["H@5"].get<double>());
    best_by_length[log.size()] = std::max(best_by_length[log.size()], hit);
    best = std::max(best, hit);
  }
  EXPECT_NE(lines[1].find(fmt::format("\t12\t{:.4f}\tfinalist", best_by_length.at(12))),
            std::string::npos)
      << lines[1];
  EXPECT_EQ(lines[1].find("1e-07"), std::string::npos) << "it learns nothing";

  // The recipe has it, and still what it had; a run takes it over.
  const std::string recipe = read_text(experiment.recipe);
  EXPECT_NE(recipe.find("[bpr.rrd]\n# searched: derrd search --model bpr --method rrd --grid "
                        "lambda-rrd=0.001,10,0.0001,3 lr=0.02,1e-07: 8 points"),
            std::string::npos)
      << recipe;
  EXPECT_NE(recipe.find("lr = 0.02\nk = 5\n"), std::string::npos) << recipe;
  EXPECT_NE(result.out.find("[bpr.rrd]\n# searched"), std::string::npos) << result.out;
  // And the winner is the same run for reproduce.
  const Result reproduced =
      derrd({"reproduce", "--data", experiment.data, "--recipes", experiment.recipe, "--work",
             path("work"), "-o", path("report"), "--models", "bpr", "--splits", "0", "--table", "2",
             "--methods", "rrd"});
  EXPECT_TRUE(reproduced.err.starts_with("3 of 3 runs are finished already")) << reproduced.err;
}

// A point that stops early for want of patience may still be the best one.
TEST_F(Search, FinalistsRankByValidationWhateverTheirLength) {
  const SmallExperiment experiment(folder_, /*epochs=*/60);
  const Result result =
      derrd({"search", "--data", experiment.data, "--recipes", experiment.recipe, "--work",
             path("work"), "--method", "teacher", "--first-epochs", "60", "--grid", "patience=4",
             "lr=0.1,0.02,0.01,0.002,0.001", "-o", path("points")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  std::vector<double> hits;
  std::vector<int> epochs;
  const auto lines = lines_of(read_text(path("points")));
  for (size_t n = 1; n < lines.size(); ++n) {
    std::istringstream fields(lines[n]);
    double patience = 0, lr = 0, hit = 0;
    int length = 0;
    fields >> patience >> lr >> length >> hit;
    hits.push_back(hit);
    epochs.push_back(length);
  }
  ASSERT_EQ(hits.size(), 5u);
  EXPECT_TRUE(std::ranges::is_sorted(hits, std::greater()));
  EXPECT_FALSE(std::ranges::is_sorted(epochs, std::greater())) << "shows nothing";
}

TEST_F(Search, KilledAndGoneOnWithFindsTheSame) {
  const SmallExperiment experiment(folder_, /*epochs=*/40);
  ASSERT_EQ(derrd(search(experiment, "whole", {"-o", path("whole-points")})).exit_code, 0);
  for (const size_t epochs : {50, 70}) {
    Process process(search(experiment, "torn", {"-o", path("torn-points")}));
    wait_for_epochs(process, "torn", epochs);
    process.send(epochs == 50 ? SIGKILL : SIGINT);
    process.wait();
  }
  const Result result = derrd(search(experiment, "torn", {"-o", path("torn-points")}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(read_text(path("torn-points")), read_text(path("whole-points")));
}

/// Kills one of the processes that train a point in a folder, if there is one.
bool kill_a_point(const std::string& work) {
  std::error_code gone;
  for (const auto& entry : fs::directory_iterator("/proc", gone)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string line = read_text((entry.path() / "cmdline").string());
    if (line.starts_with(std::string("derrd\0distill", 13)) &&
        line.find(work + "/citeulike.bpr.rrd.") != std::string::npos) {
      return ::kill(std::stoi(name), SIGKILL) == 0;
    }
  }
  return false;
}

// A point that the system killed may be the best one.
TEST_F(Search, AKilledPointIsNotCountedOut) {
  const SmallExperiment experiment(folder_, /*epochs=*/200);
  write_text(path("updated.toml"), experiment.text);
  const auto command = [&](const std::string& work, const Arguments& others) {
    Arguments all = search(experiment, work, others);
    *(std::find(all.begin(), all.end(), "--first-epochs") + 1) = "100";
    return all;
  };
  ASSERT_EQ(derrd(command("whole", {"-o", path("whole-points")})).exit_code, 0);
  const Arguments all = command("work", {"-o", path("points"), "--write", path("updated.toml")});
  Process process(all);
  bool killed = false;
  while (!killed && !process.ended()) killed = kill_a_point(path("work"));
  ASSERT_TRUE(killed);
  const Result result = process.wait();
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("1 of 8 points were killed"), std::string::npos) << result.err;
  EXPECT_EQ(read_text(path("updated.toml")), experiment.text);
  const Result again = derrd(all);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(read_text(path("points")), read_text(path("whole-points")));
  EXPECT_NE(read_text(path("updated.toml")), experiment.text);
}

TEST_F(Search, PointsThatDivergeAreCountedOut) {
  const SmallExperiment experiment(folder_, /*epochs=*/4);
  Arguments all = search(experiment, "work", {});
  all.back() = "lr=0.02,1e-7,1e30";
  const Result some = derrd(all);
  EXPECT_EQ(some.exit_code, 0) << some.err;
  std::vector<std::string> fates;
  for (const std::string& line : lines_of(some.out)) {
    const std::string fate = line.substr(line.rfind('\t') + 1);
    if ((fate == "finalist" || fate == "eliminated" || fate == "failed") &&
        (fates.empty() || fates.back() != fate)) {
      fates.push_back(fate);
    }
  }
  EXPECT_EQ(fates, (Arguments{"finalist", "eliminated", "failed"})) << "the best first";
  all.back() = "lr=1e30,2e30";
  const Result none = derrd(all);
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_NE(none.err.find("every point failed"), std::string::npos) << none.err;
}

TEST_F(Search, ProgressNamesThePoint) {
  const SmallExperiment experiment(folder_, /*epochs=*/4);
  Arguments all = search(experiment, "work", {});
  all[all.size() - 2] = "k+l=3,5";
  all.back() = "lr=0.02,1e30";
  const Result result = derrd(all);
  for (const char* text : {"] citeulike.bpr.rrd.split-0 k=3 l=3 lr=0.02: validation H@5",
                           "] citeulike.bpr.rrd.split-0 k=5 l=5 lr=0.02: validation H@5",
                           "citeulike.bpr.rrd.split-0 k=5 l=5 lr=1e+30: FAILED"}) {
    EXPECT_NE(result.err.find(text), std::string::npos) << text << "\n" << result.err;
  }
  EXPECT_NE(result.err.find("citeulike.bpr.teacher.split-0: validation"), std::string::npos);
}

TEST_F(Search, UsageErrors) {
  const SmallExperiment experiment(folder_);
  const auto refused = [&](const Arguments& grid, const std::string& what,
                           const Arguments& more = {}) {
    Arguments all = {"search",          "--data", experiment.data, "--recipes",
                     experiment.recipe, "--work", path("work")};
    all.insert(all.end(), more.begin(), more.end());
    if (more.empty()) all.insert(all.end(), {"--method", "rrd"});
    if (!grid.empty()) all.push_back("--grid");
    all.insert(all.end(), grid.begin(), grid.end());
    const Result result = derrd(all);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_NE(result.err.find(what), std::string::npos) << what << "\n" << result.err;
    EXPECT_FALSE(fs::exists(path("work")));
  };
  refused({"lambda-rrd"}, "--grid: takes OPTION=VALUE");
  refused({"lamda-rrd=1"}, "derrd distill has no option lamda-rrd; nearest: lambda-rrd");
  refused({"l=1000"}, "--grid: l=1000: ");
  refused({"method=rd"}, "--grid: method is chosen by --method");
  refused({"model=neumf"}, "--grid: model is chosen by --model");
  refused({"k=3", "k=5"}, "--grid: k is there twice");
  refused({"k=3", "k+l=5"}, "--grid: k is there twice");
  refused({"k=3,3"}, "--grid: k has 3 twice");
  refused({"k+l=3,5,03"}, "--grid: k+l has 3 twice");
  refused({"lr=3,1,3.0"}, "--grid: lr has 3 twice");
  refused({"epochs=1,2"}, "--grid: epochs can't be searched");
  refused({"seed=1"}, "--grid: seed is set by the program");
  refused({"split-seed=1"}, "--grid: split-seed is set by the program");
  refused({"teacher-item=1"}, "--grid: teacher-item is set by the program");
  refused({"dim=1"}, "--grid: the student's size is set by the program");
  refused({"size=1"}, "--grid: the student's size is set by the program");
  refused({"dim=1"}, "--grid: the student's size is set by the program", {"--method", "student"});
  refused({"dim=0"}, "--grid: dim=0: ", {"--method", "teacher"});
  refused({"k=1"}, "--method: " + experiment.recipe + ": there is no [bpr.xd]; there are teacher",
          {"--method", "xd"});
  refused({"k=1"}, "--model", {"--method", "rrd", "--model", "svd"});
  refused({"k=1"}, "--model: " + experiment.recipe, {"--method", "rrd", "--model", "neumf"});
  write_text(experiment.recipe, experiment.text + "[bpr.mine]\nmethod = \"de\"\n");
  refused({}, "the paper has no grid for mine; give one by --grid", {"--method", "mine"});
}

TEST_F(Search, OutputsAreCheckedFirst) {
  const SmallExperiment experiment(folder_);
  write_text(path("other.toml"), experiment.text);
  write_text(path("run.toml"), "seed = 3\n");
  const auto refused = [&](const Arguments& more, int exit_code, const std::string& what) {
    const auto before = folder_.files();
    const Result result = derrd(search(experiment, "work", more));
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_NE(result.err.find(what), std::string::npos) << what << "\n" << result.err;
    EXPECT_EQ(folder_.files(), before);
  };
  const std::string other = path("other.toml");
  refused({"-o", path("./users.tsv")}, 2, "--data and -o both name");
  refused({"-o", experiment.recipe}, 2, "--recipes and -o both name");
  refused({"--write", other, "-o", other}, 2, "--write and -o both name");
  refused({"--write", path("users.tsv")}, 2, "--data and --write both name");
  refused({"--config", path("run.toml"), "-o", path("run.toml")}, 2, "--config and -o both name");
  refused({"-o", experiment.recipe, "--dry-run"}, 2, "--recipes and -o both name");
  refused({"-o", path("no/such/points.tsv")}, 1, "create the folder first");
  EXPECT_EQ(read_text(experiment.recipe), experiment.text);
}

}  // namespace
}  // namespace derrd::test
