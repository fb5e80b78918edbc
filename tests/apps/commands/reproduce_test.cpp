// `derrd reproduce` from raw interactions to the report: finished runs, killed runs, damaged files.

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

#include "data/formats/safetensors.h"
#include "tests/apps/experiments/experiment_fixture.h"
#include "tests/apps/program.h"

namespace derrd::test::reproduce_test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class Reproduce : public Experiments {};

TEST_F(Reproduce, TablesHoldWhatTheRunsFound) {
  const SmallExperiment experiment(folder_);
  const Result result = derrd(arguments(experiment, "work", "report", {"--table", "1,2,3"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;

  const auto files = contents(path("report"));
  for (const char* name : {"index.html", "runs.tsv", "table1.md", "table1.tsv", "table2.md",
                           "table2.tsv", "table2-citeulike-bpr.svg", "table3.md", "table3.tsv"}) {
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
  EXPECT_NE(plan.out.find("12 runs, 0 finished\n"), std::string::npos) << plan.out;
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
  EXPECT_NE(finished.out.find("12 runs, 12 finished\n"), std::string::npos) << finished.out;

  // One method's option: its runs and those that inherit it.
  std::string text = experiment.text;
  text.replace(text.find("k = 5"), 5, "k = 6");
  write_text(experiment.recipe, text);
  EXPECT_TRUE(derrd(all).err.starts_with("8 of 12 runs are finished already\n"));
  // The data: everything.
  write_text(path("users.tsv"), read_text(path("users.tsv")) + "0\t1\n");
  EXPECT_TRUE(derrd(all).err.starts_with("[1/12]"));
}

TEST_F(Reproduce, ContinuesAfterKillToTheSameReport) {
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
      EXPECT_NE(result.err.find("the same command continues"), std::string::npos) << result.err;
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
  expect("dim = 20", "dims = 20", 8, "[bpr.teacher]: derrd train has no option dims");
  expect("[prepare]", "[prepare]\nmin-user = -1", 6, "-1 is not a number of at least 0");
  // Also in tables that no run takes.
  expect("[bpr.student]", "[bpr.typo]\nkk = 1\n[bpr.student]", 10,
         "[bpr.typo]: derrd distill has no option kk\n");
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

}  // namespace
}  // namespace derrd::test::reproduce_test
