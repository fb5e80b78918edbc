#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/cli/memory_report.h"
#include "kernels/platform/device.h"
#include "tests/apps/experiments/experiment_fixture.h"
#include "tests/apps/program.h"

namespace derrd::test {
namespace {

/// Bytes of memory that programs think they have, for its lifetime.
class Memory {
 public:
  explicit Memory(int64_t bytes) { setenv("DERRD_MEMORY", fmt::to_string(bytes).c_str(), 1); }
  ~Memory() { unsetenv("DERRD_MEMORY"); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
};

ToldMemory told_by(const Arguments& run) {
  const auto told = read_memory_table(derrd(run + Arguments{"--dry-run"}).out);
  EXPECT_TRUE(told);
  return told.value_or(ToldMemory());
}

/// The number behind a text.
int64_t number_behind(const std::string& text, const std::string& all) {
  const size_t at = all.find(text);
  EXPECT_NE(at, std::string::npos) << text << " is not in " << all;
  return at == std::string::npos ? -1 : std::stoll(all.substr(at + text.size()));
}

class ToldMemoryOf : public CommandTest {
 protected:
  ToldMemoryOf() {
    write_dataset(path("data"),
                  {.users = 4000, .items = 3000, .interactions = 30000, .candidates = 100});
  }
  void SetUp() override {
    if (device_info().executor != "cpu") GTEST_SKIP() << "another device's memory is its own";
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "sanitizers keep memory for themselves";
#endif
  }
  /// Runs it, and compares its memory with what it tells beforehand.
  void expect_told(const Arguments& run) const {
    const auto told = static_cast<double>(told_by(run).together);
    const auto taken = static_cast<double>(succeed(run).peak_bytes);
    EXPECT_NEAR(told / taken, 1, 0.1)
        << testing::PrintToString(run) << ": " << told << " told, " << taken << " taken";
  }
};

TEST_F(ToldMemoryOf, TrainingAndRecommendingIsTaken) {
  for (const int dim : {300, 700, 1500}) {
    const std::string teacher = fmt::format("@teacher-{}", dim);
    expect_told(words("train --data @data --epochs 1 --quiet --checkpoint @checkpoint --dim",
                      fmt::to_string(dim), "-o", teacher));
    expect_told(
        words("train --data @data --epochs 2 --quiet --checkpoint @checkpoint --resume "
              "--dim",
              fmt::to_string(dim), "-o @again"));
    std::filesystem::remove(path("checkpoint"));
    expect_told(words("recommend --data @data --top 50 -o @lists --model", teacher));
    expect_told(
        words("recommend --data @data --top 500 --format safetensors -o @lists --model", teacher));
  }
}

TEST_F(ToldMemoryOf, NeumfIsTaken) {
  for (const int dim : {100, 200, 300}) {
    expect_told(
        words("train --data @data --model neumf --layers 2 --epochs 1 --quiet -o @model "
              "--dim",
              fmt::to_string(dim)));
  }
}

TEST_F(ToldMemoryOf, DistillationIsTaken) {
  for (const int dim : {100, 250, 500}) {
    SmallModel(4000, 3000, dim).write(path("teacher"));
    for (const char* method : {"rrd", "de-rrd --experts 3", "cd --cd-list 500"}) {
      expect_told(
          words("distill --data @data --teacher @teacher --epochs 1 --quiet -o @model "
                "--size 0.2 --method",
                method));
    }
  }
}

TEST_F(ToldMemoryOf, ManyUsersAreTaken) {
  for (const int64_t users : {200'000, 400'000, 800'000}) {
    write_dataset(path("many"),
                  {.users = users, .items = 40, .interactions = 5 * users, .candidates = 2});
    succeed(words("train --data @many --epochs 1 --quiet --dim 4 -o @narrow"));
    expect_told(words("train --data @many --epochs 1 --quiet --dim 4 -o @model"));
    expect_told(words("recommend --data @many --top 1 --users 1 -o @lists --model @narrow"));
  }
}

// Many users, few steps: the rows count.
TEST_F(ToldMemoryOf, GateRecordsAreTaken) {
  write_dataset(path("many"),
                {.users = 20'000, .items = 40, .interactions = 100'000, .candidates = 2});
  SmallModel(20'000, 40, 4).write(path("teacher"));
  for (const char* epochs : {"50", "100", "200"}) {
    expect_told(
        words("distill --data @many --teacher @teacher --method de --experts 2 --dim 2 --batch "
              "4000 --patience 100000 --quiet -o @model --snapshot-gate @gate --epochs",
              epochs));
  }
}

TEST_F(ToldMemoryOf, TeachersOfListsAreTaken) {
  SmallModel(4000, 3000, 16).write(path("teacher"));
  for (const int top : {500, 1000, 2000}) {
    succeed(words("recommend --data @data --model @teacher --format safetensors -o @lists --top",
                  fmt::to_string(top)));
    expect_told(
        words("distill --data @data --teacher @lists --epochs 1 --quiet --dim 8 --method rd -o "
              "@model"));
  }
}

class ToldMemoryOfSmallRuns : public CommandTest {
 protected:
  ToldMemoryOfSmallRuns() {
    write_small_dataset(folder_);
    succeed(words("train --data @data --epochs 1 --dim 16 --quiet -o @teacher"));
  }
};

TEST_F(ToldMemoryOfSmallRuns, ADryRunWritesNothing) {
  const std::vector<std::string> before = folder_.names();
  const Result run = succeed(words(
      "distill --data @data --teacher @teacher --checkpoint @c --log @l -o @model --dry-run"));
  expect_contains(run.out, {"the data set", "the teacher", "samples of users",
                            "experts of users and items", "most at once", "available"});
  expect_contains(run.err, {"memory: ", " needed, ", " available"});
  EXPECT_TRUE(read_memory_table(run.out));
  EXPECT_TRUE(read_memory_table(
      succeed(words("recommend --data @data --model @teacher -o @lists --dry-run")).out));
  EXPECT_EQ(folder_.names(), before);
}

TEST_F(ToldMemoryOfSmallRuns, AGateRecordCountsAtItsMostRows) {
  const auto told = [&](const char* more) {
    return told_by(
        words("distill --data @data --teacher @teacher -o @model --epochs 1000000", more));
  };
  const int64_t host = told("--snapshot-gate @gate").peak.host - told("").peak.host;
  EXPECT_NEAR(static_cast<double>(host), 1e6 * (60 * 4 + 4), 1e5);
}

TEST_F(ToldMemoryOfSmallRuns, TheTableIsReadBack) {
  MemoryNeed need;
  need.keep("a", {1000, 20});
  need.pass("b", {5, 300});
  need.keep("c", {-500, 0});
  const auto told =
      read_memory_table(memory_table(need, {.host = 7, .device = {}, .shared = false}));
  ASSERT_TRUE(told);
  EXPECT_EQ(told->peak.device, 1005);
  EXPECT_EQ(told->peak.host, 320);
  EXPECT_EQ(told->together, 1325);
  EXPECT_EQ(told->available.host, 7);
  EXPECT_FALSE(told->available.device);
  EXPECT_FALSE(told->available.shared);
  EXPECT_FALSE(read_memory_table("most at once\n"));
  EXPECT_FALSE(read_memory_table(""));
}

// The largest value fits, and the next one does not.
TEST_F(ToldMemoryOfSmallRuns, WhatIsTooLargeIsRefusedWithTheLargestThatFits) {
  if (!available_memory().shared) GTEST_SKIP() << "the figures are those of one kind of memory";
  struct Case {
    std::string run, option;
    int64_t bytes;
  };
  for (const auto& [run, option, bytes] : std::vector<Case>{
           {"train --data @data -o @model --epochs 1", "--dim", 14'000'000},
           {"train --data @data -o @model --epochs 1 --model neumf --layers 3", "--dim",
            14'000'000},
           {"distill --data @data --teacher @teacher -o @model --epochs 1 --method de --dim 1",
            "--experts", 20'000'000},
           {"distill --data @data --teacher @teacher -o @model --method de --experts 2 --dim 1 "
            "--patience 1 --snapshot-gate @gate",
            "--epochs", 14'000'000},
           {"recommend --data @data --model @teacher -o @lists", "--top", 12'900'000}}) {
    const Memory memory(bytes);
    const std::string huge = option == "--top" ? "120" : "2000000000";
    const Result refused =
        expect_exit(kFailure, words(run, option, huge), {" needs ", "available; " + option});
    EXPECT_FALSE(std::filesystem::exists(path("model")));
    const int64_t fitting = number_behind("available; " + option + " ", refused.err);
    succeed(words(run, option, fmt::to_string(fitting)));
    expect_exit(kFailure, words(run, option, fmt::to_string(fitting + 1)), {"would fit"});
    std::filesystem::remove(path("model"));
  }
}

TEST_F(ToldMemoryOfSmallRuns, IfNothingHelpsItIsSaid) {
  if (!available_memory().shared) GTEST_SKIP() << "the figures are those of one kind of memory";
  const Memory memory(1'000'000);
  expect_exit(kFailure, words("train --data @data -o @model"), {"reading it needs "});
  const Memory more(12'700'000);
  expect_exit(kFailure, words("train --data @data -o @model"),
              {"no smaller value of --dim or --batch", "would fit by itself: lower several"});
}

TEST_F(ToldMemoryOfSmallRuns, DataSetsWithTooManyCandidatesAreRefusedAtOnce) {
  const Memory memory(int64_t{1} << 30);
  const Result refused = expect_exit(
      kFailure,
      words("synthesize --users 200000 --items 150000 --interactions 1000000 --candidates 100000 "
            "-o @big"),
      {"needs 80.1 GB", "available; --candidates "});
  EXPECT_EQ(number_behind("available; --candidates ", refused.err), 1276);
  EXPECT_LT(refused.peak_bytes, int64_t{1} << 28);
  std::string pairs;
  for (int user = 0; user < 100; ++user) {
    for (int item = 0; item < 10; ++item) pairs += fmt::format("{}\t{}\n", user, (user + 1) * item);
  }
  write_text(path("pairs.tsv"), pairs);
  const Memory little(12'700'000);
  expect_exit(kFailure, words("prepare @pairs.tsv --candidates 500 -o @prepared"),
              {"available; --candidates "});
  EXPECT_FALSE(std::filesystem::exists(path("prepared")));
}

TEST_F(ToldMemoryOfSmallRuns, TheEnvironmentVariableHasToBeANumber) {
  setenv("DERRD_MEMORY", "lots", 1);
  expect_exit(kFailure, words("train --data @data -o @model"), {"DERRD_MEMORY", "number of bytes"});
  unsetenv("DERRD_MEMORY");
}

class MemoryOfExperiments : public Experiments {};

TEST_F(MemoryOfExperiments, RunsWaitForMemory) {
  if (!available_memory().shared) GTEST_SKIP() << "the figures are those of one kind of memory";
  succeed(reproduce("--table 1"));
  // The data set of split 0 is there, and no teacher.
  const std::vector<std::string> plan = lines_of(succeed(reproduce("--table 2 --dry-run")).out);
  EXPECT_EQ(std::ranges::count_if(
                plan, [](const std::string& line) { return line.ends_with(", needs 13 MB"); }),
            2)
      << testing::PrintToString(plan);
  const Memory for_one_run(20'000'000);
  const Result run = succeed(reproduce());
  expect_contains(run.err, {": waits for memory: it needs 13 MB"});
}

TEST_F(MemoryOfExperiments, ARunThatCannotFitFailsAsItSaysItself) {
  edit_recipe("dim = 20", "dim = 20000");
  const Memory memory(50'000'000);
  expect_exit(kFailure, reproduce(), {"citeulike.bpr.teacher.split-0", "FAILED", "would fit"});
}

TEST_F(MemoryOfExperiments, AGridOfTooManyPointsIsRefusedAtOnce) {
  std::string values = "1";
  for (int value = 2; value <= 256; ++value) values += fmt::format(",{}", value);
  const Result refused =
      expect_exit(kUsageError,
                  with_data("search", "--method rrd --work @work --grid lambda-rrd=" + values +
                                          " k=" + values + " t=" + values),
                  {"16777216 points", "at most 100000"});
  EXPECT_LT(refused.peak_bytes, int64_t{1} << 28);
}

}  // namespace
}  // namespace derrd::test
