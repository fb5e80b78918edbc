// `derrd reproduce` from raw interactions to the report: finished runs, killed runs, damaged files.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "data/formats/safetensors.h"
#include "tests/apps/experiments/experiment_fixture.h"

namespace derrd::test::reproduce_test {
namespace {

namespace fs = std::filesystem;

class Reproduce : public Experiments {};

TEST_F(Reproduce, TablesHoldWhatTheRunsFound) {
  const Result result = succeed(reproduce("--table 1,2,3"));

  const auto files = texts_in("report");
  for (const char* name : {"index.html", "runs.tsv", "table1.md", "table1.tsv", "table2.md",
                           "table2.tsv", "table2-citeulike-bpr.svg", "table3.md", "table3.tsv"}) {
    EXPECT_TRUE(files.contains(name)) << name;
  }
  EXPECT_FALSE(files.contains("table4.md"));
  EXPECT_TRUE(contains(result.out, files.at("table2.md")));

  // Table 2's figures are the means of the models' own, and its paper's are the paper's.
  double sum = 0;
  for (const int split : {0, 1}) {
    const std::string run = run_folder(fmt::format("citeulike.bpr.de-rrd.split-{}", split));
    sum += metadata_json(run + "/model.safetensors", "metrics")["test"]["H@5"].get<double>();
    EXPECT_FALSE(fs::exists(run + "/checkpoint.safetensors")) << "not needed any more";
    EXPECT_TRUE(read_text(run + "/command.txt").starts_with("derrd distill "));
  }
  const Arguments row = cells(files.at("table2.tsv"), "citeulike\tbpr\tde-rrd");
  EXPECT_EQ(row[4], "H@5");
  EXPECT_EQ(row[5], fmt::format("{}", sum / 2));
  EXPECT_EQ(row[7], "2");
  EXPECT_EQ(row[8], "0.4843");
  EXPECT_EQ(row[9], "***");

  const Arguments users = cells(files.at("table1.tsv"), "-\t-\tciteulike");
  EXPECT_EQ(users[4], "users");
  EXPECT_EQ(users[5], "60");
  EXPECT_EQ(users[8], "5220");
  const Arguments half = cells(files.at("table3.tsv"), "citeulike\tbpr\tphi-0.5");
  EXPECT_EQ(half[4], "time");
  EXPECT_GT(std::stod(half[5]), 0);
  EXPECT_LT(std::stod(half[5]), 1);

  // Splits are different ones, and the student's size is a tenth of its teacher's.
  EXPECT_NE(read_text(run_folder("citeulike.split-0") + "/data.safetensors"),
            read_text(run_folder("citeulike.split-1") + "/data.safetensors"));
  const auto student =
      SafetensorsFile::read(run_folder("citeulike.bpr.student.split-0") + "/model.safetensors");
  EXPECT_EQ(student.tensor("user_embedding").shape[1], 2);
}

TEST_F(Reproduce, FinishedRunsAreKeptAndOnlyTheChangedOnesRunAgain) {
  const Arguments all = reproduce();
  const Result plan = succeed(reproduce("--table 2 --dry-run"));
  EXPECT_TRUE(contains(plan.out, "12 runs, 0 finished\n"));
  EXPECT_TRUE(contains(plan.out, "derrd distill --batch=64 --experts=3 --lr=0.02 --method=de "));
  EXPECT_EQ(folder_.names(), (Arguments{"recipe.toml", "users.tsv"})) << "nothing was made";

  const Result first = succeed(all);
  EXPECT_TRUE(contains(first.err, "[12/12]"));
  const auto report = texts_in("report");
  const Result second = succeed(all);
  EXPECT_EQ(second.err, "12 of 12 runs are finished already\n");
  EXPECT_EQ(texts_in("report"), report);
  const Result finished = derrd(reproduce("--table 2 --dry-run"));
  EXPECT_TRUE(contains(finished.out, "12 runs, 12 finished\n"));

  // Another option of a method: its runs and those that inherit it run again.
  edit_recipe("k = 5", "k = 6");
  EXPECT_TRUE(derrd(all).err.starts_with("8 of 12 runs are finished already\n"));
  // Other data: everything runs again.
  write_text(path("users.tsv"), read_text(path("users.tsv")) + "0\t1\n");
  EXPECT_TRUE(derrd(all).err.starts_with("[1/12]"));
}

TEST_F(Reproduce, AFigureIsMadeByItself) {
  const auto of_split_1 = [&](const std::string& options) {
    return with_data("reproduce",
                     "--work @work -o @report --models bpr --splits 1 --methods de " + options);
  };
  succeed(of_split_1("--figure 6"));
  const auto files = texts_in("report");
  EXPECT_TRUE(files.contains("figure6.md"));
  EXPECT_TRUE(files.contains("figure6-citeulike-bpr.svg"));
  EXPECT_FALSE(files.contains("table2.md"));
  // Its training records the gate; the one of Table 2 is another.
  EXPECT_TRUE(contains(files.at("runs.tsv"), "citeulike.bpr.de.split-1 snapshot-gate\t"));
  EXPECT_TRUE(fs::exists(run_folder("citeulike.bpr.de.split-1") + "/gate.safetensors"));
  // A single split's users give its figures standard errors: an evaluation for each training.
  EXPECT_TRUE(succeed(of_split_1("--table 2")).err.starts_with("2 of 5 runs are finished already"));
  EXPECT_TRUE(contains(texts_in("report").at("table2.md"), " ± "));
}

TEST_F(Reproduce, ContinuesAfterKillToTheSameReport) {
  constexpr int kEpochs = kLongTraining / 5;
  set_epochs(kEpochs);
  succeed(reproduce("--table 2", "@whole"));
  const Arguments torn = reproduce("--table 2", "@torn", "@torn-report");
  for (const auto& [signal, epochs] : {std::pair{SIGKILL, kEpochs / 3},
                                       {SIGINT, 5 * kEpochs / 2},
                                       {SIGHUP, 7 * kEpochs / 2},
                                       {SIGTERM, 5 * kEpochs}}) {
    const size_t logged = epochs_logged("torn");
    Process process(torn);
    wait_for_epochs(process, "torn", std::max<size_t>(epochs, logged + 1));
    process.send(signal);
    const Result result = process.wait();
    if (signal == SIGKILL) {
      EXPECT_EQ(result.signal, SIGKILL);
    } else {
      EXPECT_EQ(result.exit_code, 128 + signal) << result.err;
      EXPECT_TRUE(contains(result.err, "the same command continues"));
    }
    EXPECT_FALSE(fs::exists(path("torn-report/index.html")));
  }
  const Result result = succeed(torn);
  EXPECT_TRUE(contains(result.err, "are finished already"));
  const auto expected = texts_in("report");
  for (const auto& [name, text] : texts_in("torn-report")) {
    EXPECT_EQ(text, expected.at(name)) << name;
  }
}

/// Stops the process that tells how much memory a training of a folder takes, if there is one.
std::optional<pid_t> stop_a_dry_run(const std::string& work) {
  const std::optional<pid_t> asked = find_process([&](const std::string& line) {
    return contains(line, work + "/") && contains(line, "--dry-run");
  });
  if (!asked || ::kill(*asked, SIGSTOP) != 0) return std::nullopt;
  return asked;
}

// No run is in progress then: the first training is about to start.
TEST_F(Reproduce, IsInterruptedWhileItAsksForMemory) {
  for (int tries = 0; tries < 50; ++tries) {
    const std::string work = fmt::format("work-{}", tries);
    Process process(with_data("reproduce",
                              "--models bpr --methods student --splits 0 --jobs 2 --table 2 "
                              "-o @report --work @" +
                                  work));
    std::optional<pid_t> stopped;
    while (!stopped && !process.ended() && epochs_logged(work) == 0) {
      stopped = stop_a_dry_run(path(work));
    }
    process.send(SIGTERM);
    if (stopped) {
      EXPECT_FALSE(process.ended());
      ::kill(*stopped, SIGCONT);
    }
    const Result result = process.wait();
    if (!stopped) continue;  // too late to see it
    EXPECT_EQ(result.exit_code, 128 + SIGTERM) << result.err;
    EXPECT_TRUE(contains(result.err, "the same command continues")) << result.err;
    return;
  }
  FAIL() << "no process told how much memory a training takes";
}

TEST_F(Reproduce, AFailingRunIsShownAndTheOthersGoOn) {
  edit_recipe("[bpr.rrd]", "[bpr.rrd]\nlr = 1e30");
  write_text(path("recipe.toml"), read_text(path("recipe.toml")) + "lr = 0.02\n");  // de-rrd's
  const Arguments all = reproduce();
  // The message has the end of its output.
  expect_exit(kFailure, all,
              {"citeulike.bpr.rrd.split-0: FAILED with exit code 1", "    derrd: epoch 0",
               "derrd: 2 of 12 runs failed, 0 that need them"});
  const std::string table = read_text(path("report/table2.md"));
  EXPECT_TRUE(contains(table, "| RRD | – |"));
  EXPECT_FALSE(contains(table, "| DE-RRD | – |")) << table;
  EXPECT_TRUE(contains(read_text(path("report/runs.tsv")), "\tfailed\t"));
  EXPECT_TRUE(derrd(all).err.starts_with("10 of 12 runs are finished already\n"));
}

TEST_F(Reproduce, LeavesOutRunsThatNeedAFailedOne) {
  write_text(path("recipe.toml"), recipe_ + "[bpr.teacher]\n");  // twice: not TOML
  expect_exit(kFailure, reproduce());
  edit_recipe("dim = 20", "dim = 20\nlr = 1e30");
  expect_exit(kFailure, reproduce(),
              {"citeulike.bpr.de.split-1: left out, it needs citeulike.bpr.teacher.split-1",
               "2 of 12 runs failed, 6 that need them were left out"});
}

TEST_F(Reproduce, RejectsBadRecipesBeforeAnythingRuns) {
  const auto expect = [&](const std::string& old, const std::string& changed, int line,
                          const std::string& what) {
    edit_recipe(old, changed);
    const Result result = expect_exit(kFailure, reproduce(), {what});
    EXPECT_TRUE(result.err.starts_with(fmt::format("derrd: {}:{}: ", path("recipe.toml"), line)))
        << changed << "\n"
        << result.err;
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
  // Tables that no run takes are checked too.
  expect("[bpr.student]", "[bpr.typo]\nkk = 1\n[bpr.student]", 10,
         "[bpr.typo]: derrd distill has no option kk\n");
  expect("[bpr.student]", "[neumff.de]\nk = 1\n[bpr.student]", 9,
         "there is no base model neumff; there are bpr, neumf");
}

TEST_F(Reproduce, InputsAreNotOverwritten) {
  fs::create_directory(path("report"));
  fs::copy_file(path("users.tsv"), path("report/runs.tsv"));
  fs::copy_file(path("recipe.toml"), path("report/table2.md"));
  const auto refused = [&](const Arguments& arguments, const std::string& options) {
    expect_exit(kUsageError, arguments, {options + " both name "});
    EXPECT_FALSE(fs::exists(path("work")));
  };
  refused(words("reproduce --data citeulike=@report/runs.tsv --recipes @recipe.toml --table 2 "
                "--work @work -o @report"),
          "--data and -o");
  refused(words("reproduce --data citeulike=@users.tsv --recipes @report/table2.md --table 2 "
                "--work @work -o @report"),
          "--recipes and -o");
  refused(reproduce("", "@work", "@users.tsv"), "--data and -o");
  write_text(path("report/index.html"), "seed = 3\n");
  refused(reproduce("--config @report/./index.html"), "--config and -o");
  EXPECT_EQ(read_text(path("report/runs.tsv")), read_text(path("users.tsv")));
  EXPECT_EQ(read_text(path("report/table2.md")), recipe_);
}

TEST_F(Reproduce, TheReportsFolderIsMadeFirst) {
  write_text(path("file"), "");
  fs::create_directories(path("taken/runs.tsv"));
  for (const std::string& report : {path("file"), path("file/report"), std::string("/proc/x")}) {
    const Result result = expect_exit(kFailure, reproduce("--table 2", "@work", report), {"-o"});
    EXPECT_TRUE(result.err.starts_with("derrd: " + report + ": can't hold the report ("))
        << result.err;
  }
  expect_exit(kFailure, reproduce("--table 2", "@work", "@taken"),
              {"runs.tsv: is not a regular file"});
  EXPECT_FALSE(fs::exists(path("work")));
}

TEST_F(Reproduce, DamagedProductsAreMadeAgain) {
  const Arguments all = reproduce("--table 2,3");
  succeed(all);
  const std::string table = read_text(path("report/table2.tsv"));
  const auto file = [&](const std::string& run, const char* name) {
    return run_folder(run) + "/" + name;
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
  write_text(log, flipped(records, 8 * (records.find("\"H@5\":0.") + 8)));  // another figure
  const Result plan = derrd(reproduce("--table 2,3 --dry-run"));
  EXPECT_EQ(
      std::ranges::count_if(lines_of(plan.out),
                            [](const std::string& line) { return line.starts_with("damaged "); }),
      5)
      << plan.out;

  const Result again = succeed(all);
  for (const std::string& path : {teacher, student, data, timing, log}) {
    EXPECT_TRUE(contains(again.err,
                         fs::path(path).parent_path().string() +
                             ": what was there is damaged or incomplete; the run is done again"));
  }
  EXPECT_EQ(read_text(path("report/table2.tsv")), table);
  EXPECT_EQ(read_text(student), whole);
  const size_t runs = lines_of(plan.out).size() / 2;
  EXPECT_EQ(derrd(all).err, fmt::format("{} of {} runs are finished already\n", runs, runs));
}

// Files that are whole, but not what the run's program has written.
TEST_F(Reproduce, FilesOfOtherRunsAreNoResults) {
  const Arguments all = reproduce("--table 1,2");
  succeed(all);
  const auto report = texts_in("report");
  const auto file = [&](const std::string& run, const char* name) {
    return run_folder("citeulike." + run) + "/" + name;
  };
  const std::string student = file("bpr.student.split-0", "model.safetensors");
  fs::copy_file(file("bpr.student.split-1", "model.safetensors"), student,
                fs::copy_options::overwrite_existing);
  const std::string data = file("split-0", "data.safetensors");
  const SafetensorsFile whole = SafetensorsFile::read(data);
  Metadata metadata = whole.metadata();
  std::string& statistics = metadata.find("statistics")->second;
  statistics.replace(statistics.find("60"), 2, "61");
  write_safetensors(data, whole.tensors(), metadata);
  const std::string log = file("bpr.rrd.split-1", "log.jsonl");
  fs::copy_file(file("bpr.rrd.split-0", "log.jsonl"), log, fs::copy_options::overwrite_existing);
  const std::string fifo = file("bpr.de.split-0", "log.jsonl");
  fs::remove(fifo);
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0666), 0);

  const Result again = succeed(all);
  for (const std::string& path : {student, data, log, fifo}) {
    EXPECT_TRUE(contains(again.err, fs::path(path).parent_path().string() + ": what was there is"))
        << again.err;
  }
  EXPECT_EQ(texts_in("report"), report);
}

TEST_F(Reproduce, WhatOthersPutIntoARunsFolderStays) {
  succeed(reproduce("--table 1"));
  const std::string folder = run_folder("citeulike.split-0");
  fs::create_directory(folder + "/.notes");
  EXPECT_EQ(succeed(reproduce("--table 1")).err, "1 of 1 runs are finished already\n");
  write_text(folder + "/data.safetensors", "");
  succeed(reproduce("--table 1"));
  EXPECT_TRUE(fs::exists(folder + "/.notes"));
}

// What a killed training has left is checked before it goes on.
TEST_F(Reproduce, DamageToUnfinishedRunsIsHealed) {
  constexpr int kEpochs = kLongTraining / 5;
  set_epochs(kEpochs);
  succeed(reproduce("--table 2", "@whole", "@whole-report"));
  const Arguments all = reproduce();
  for (const char* name : {"checkpoint.safetensors", "data.safetensors", "attempts.jsonl"}) {
    Process process(all);
    wait_for_epochs(process, "work", 2 * kEpochs / 3);
    process.send(SIGTERM);
    process.wait();
    for (const auto& entry : fs::recursive_directory_iterator(path("work"))) {
      if (entry.path().filename() != name) continue;
      std::string bytes = read_text(entry.path().string());
      bytes[bytes.size() - 3] ^= 1;
      write_text(entry.path().string(), bytes);
    }
    succeed(all);
    EXPECT_EQ(read_text(path("report/table2.tsv")), read_text(path("whole-report/table2.tsv")));
    fs::remove_all(path("work"));
  }
}

// A stopped process keeps the folder's lock.
TEST_F(Reproduce, NamesTheProcessThatHoldsTheFolder) {
  fs::create_directories(path("work"));
  const pid_t holder = ::fork();
  if (holder == 0) {
    const int lock = ::open(path("work/lock").c_str(), O_RDWR | O_CREAT, 0666);
    ::flock(lock, LOCK_EX);
    ::raise(SIGSTOP);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(holder, &status, WUNTRACED), holder);
  Process process(reproduce("--table 1"));
  const std::string told = fmt::format(
      "{}: waiting for another derrd that works here: process {} (stopped); kill -CONT lets the "
      "stopped go on, kill -KILL ends them\n",
      path("work"), holder);
  for (int tries = 0; tries < 2000 && process.error_output() != told; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(process.error_output(), told);
  ::kill(holder, SIGCONT);
  ::waitpid(holder, &status, 0);
  EXPECT_EQ(process.wait().exit_code, 0);
}

// Leftovers of a killed attempt: a torn record, files that it had not yet renamed.
TEST_F(Reproduce, LeftoversOfKilledAttemptsDoNoHarm) {
  const Arguments all = reproduce();
  succeed(all);
  const std::string table = read_text(path("report/table2.tsv"));
  const std::string folder = run_folder("citeulike.bpr.student.split-0");
  write_text(folder + "/attempts.jsonl", R"({"epochs":3,"exit":0,"sec)");
  write_text(folder + "/derrd-0123456789abcdef.tmp", "x");
  write_text(folder + "/checkpoint.safetensors", "torn");
  succeed(all);
  EXPECT_EQ(read_text(path("report/table2.tsv")), table);
  EXPECT_FALSE(fs::exists(folder + "/derrd-0123456789abcdef.tmp"));
  EXPECT_FALSE(fs::exists(folder + "/checkpoint.safetensors"));
}

// The log is a part of the result: without its beginning a training starts anew.
TEST_F(Reproduce, ATrainingWithoutItsLogStartsAnew) {
  constexpr int kEpochs = kLongTraining / 5;
  set_epochs(kEpochs);
  const Arguments all = reproduce();
  succeed(reproduce("--table 2", "@whole", "@whole-report"));
  Process process(all);
  wait_for_epochs(process, "work", 2 * kEpochs / 3);
  process.send(SIGINT);
  process.wait();
  for (const auto& entry : fs::directory_iterator(path("work"))) {
    if (entry.is_directory()) fs::remove(entry.path() / "log.jsonl");
  }
  succeed(all);
  EXPECT_EQ(read_text(path("report/table2.tsv")), read_text(path("whole-report/table2.tsv")));
  EXPECT_EQ(epochs_logged("work"), epochs_logged("whole"));
}

// The name decides which format is guessed where neither tabs nor commas agree.
TEST_F(Reproduce, ANameOfAnotherFormatMakesOtherData) {
  std::string pairs;
  for (int u = 0; u < 40; ++u) {
    // A user with twelve items, or two with six.
    for (int n = 0; n < 12; ++n) {
      const std::string more = n % 3 == 0 ? "" : n % 3 == 1 ? "\t," : "\t,\t,";
      pairs += fmt::format("{}\t{},{}{}\n", u, n / 6, (u * 7 + n * 5) % 50, more);
    }
  }
  const auto users_of = [&](const std::string& file) {
    write_text(path(file), pairs);
    succeed(
        words("reproduce --recipes @recipe.toml --table 1 --splits 0 --work @work -o @report "
              "--data citeulike=@" +
              file));
    return cells(read_text(path("report/table1.tsv")), "-\t-\tciteulike\t-\tusers")[5];
  };
  EXPECT_EQ(users_of("same.tsv"), "40");
  EXPECT_EQ(users_of("same.csv"), "80");
}

TEST_F(Reproduce, UsageErrors) {
  const std::string recipe = path("recipe.toml");
  const auto refused = [&](const Arguments& arguments, const std::string& what) {
    expect_exit(kUsageError, arguments, {what});
    EXPECT_FALSE(fs::exists(path("work")));
    EXPECT_FALSE(fs::exists(path("report")));
  };
  refused(reproduce("--table 6"), "--table");
  refused(reproduce("--figure 3"), "--figure");
  refused(reproduce("--figure 4,4"), "twice");
  refused(with_data("reproduce", "--work @work -o @report --models neumf --figure 6"),
          "--models: figure6 shows none of them; it is of bpr");
  refused(reproduce("--table 2,2"), "twice");
  refused(reproduce("--seed -1"), "--seed");
  refused(reproduce("--methods de"), "--methods: names something twice");  // it is given already
  const std::string nameless = "--data: takes NAME=FILE";
  const std::vector<std::pair<std::string, std::string>> faults = {
      {"--data @users.tsv", nameless},
      {"--data @users.tsv --recipes @recipe.toml", nameless},
      {"--data citeulike= --recipes @recipe.toml", nameless},
      {"--data x=@users.tsv", "--recipes x=FILE"},
      {"--data citeulike=@users.tsv citeulike=@users.tsv --recipes @recipe.toml",
       "--data: names citeulike twice"},
      {"--data citeulike=@users.tsv other=@users.tsv --recipes @recipe.toml",
       "--recipes: needs NAME=FILE where there are several data sets"},
      {"--data citeulike=@users.tsv --recipes @recipe.toml @recipe.toml",
       "--recipes: names citeulike twice"},
      {"--data citeulike=@users.tsv --recipes foursquare=@recipe.toml",
       "--recipes: names foursquare, which --data doesn't"}};
  for (const auto& [options, what] : faults) {
    refused(words("reproduce --work @work -o @report", options), what);
  }
  const auto with_options = [&](const char* options) {
    return with_data("reproduce --work @work -o @report", options);
  };
  refused(with_options("--models bpr,svd"), "--models");
  refused(with_options("--models neumf"), "--models: " + recipe);
  refused(with_options("--models bpr --table 2 --methods rrd,xd"),
          "--methods: " + recipe + ": there is no [bpr.xd]; there are teacher, student, de, rrd");
}

}  // namespace
}  // namespace derrd::test::reproduce_test
