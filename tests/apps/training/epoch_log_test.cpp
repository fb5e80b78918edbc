// The log of a training: what it holds, what it replaces, and who may write it.

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "data/formats/checked_line.h"
#include "tests/apps/program.h"

namespace derrd::test::epoch_log_test {
namespace {

namespace fs = std::filesystem;

class EpochLogTest : public CommandTest {
 protected:
  EpochLogTest() { write_small_dataset(folder_); }

  Arguments training(int epochs, std::string_view options = "") const {
    return words("train --data @data --dim 4 --batch 64 --quiet --patience 1000000 --epochs",
                 std::to_string(epochs), options) +
           words("-o @model --log @log");
  }
  Arguments resumed(int epochs) const {
    return training(epochs, "--checkpoint @checkpoint --resume");
  }

  /// Expects that a training refuses the log and leaves it as it is.
  void expect_refusal(const Arguments& arguments, const std::string& part) const {
    const std::string before = read_text(path("log"));
    expect_exit(kFailure, arguments, {path("log") + ": ", part});
    EXPECT_EQ(read_text(path("log")), before);
  }
  void expect_epochs(size_t epochs) const {
    const auto log = read_log(path("log"));
    ASSERT_EQ(log.size(), epochs);
    for (size_t epoch = 0; epoch < epochs; ++epoch) EXPECT_EQ(log[epoch]["epoch"], epoch);
  }
};

TEST_F(EpochLogTest, OnlyALogIsReplaced) {
  succeed(training(2));
  const std::string log = read_text(path("log"));
  std::vector<std::string> others = {
      read_text(path("model")),     "precious\n", "precious",      R"({"precious":1})",
      "{\"epoch\":0,\"loss\":1}\n", "\n",         flipped(log, 70)};
  for (const std::string& other : others) {
    write_text(path("log"), other);
    expect_refusal(training(2), "is not a training's log; name another file");
    expect_refusal(resumed(2), "is not a training's log; name another file");
    EXPECT_FALSE(fs::exists(path("checkpoint")));
  }
  // A log, an empty file, and a log that was torn at once.
  for (const std::string& own : {log, std::string(), log.substr(0, 5), log.substr(0, 100)}) {
    write_text(path("log"), own);
    succeed(training(3));
    expect_epochs(3);
  }
}

TEST_F(EpochLogTest, AHardLinkToAnInputIsRefused) {
  fs::create_hard_link(path("data"), path("linked"));
  const std::string data = read_text(path("data"));
  const Arguments run = words("train --data @data --dim 4 --epochs 1 --quiet -o @model");
  expect_exit(kUsageError, run + words("--log @linked"), {"--data and --log both name"});
  EXPECT_EQ(read_text(path("data")), data);
  // Another output has no other names when it is complete.
  succeed(run);
  fs::create_hard_link(path("model"), path("kept"));
  const std::string model = read_text(path("model"));
  succeed(
      words("distill --data @data --teacher @kept --method none --dim 4 --epochs 1 --seed 1 "
            "--quiet -o @model"));
  EXPECT_EQ(read_text(path("kept")), model);
  EXPECT_NE(read_text(path("model")), model);
}

TEST_F(EpochLogTest, OneTrainingAtATimeWritesIt) {
  Process first(training(1000000));
  wait_for_lines(first, "log", 3);
  for (const Arguments& second :
       {words("train --data @data --dim 4 --epochs 1 --quiet -o @other --log @log"), resumed(2)}) {
    expect_exit(kFailure, second, {path("log") + ": another training is writing this log"});
  }
  EXPECT_FALSE(fs::exists(path("other")));
  first.send(SIGINT);
  EXPECT_EQ(first.wait().exit_code, 130);
  expect_epochs(read_log(path("log")).size());
  Process killed(training(1000000));
  wait_for_lines(killed, "log", 3);
  killed.send(SIGKILL);
  killed.wait();
  succeed(training(2));
  expect_epochs(2);
}

TEST_F(EpochLogTest, ATrainingThatGoesOnKeepsWholeRecordsAlone) {
  succeed(resumed(4));
  const std::string log = read_text(path("log"));
  const std::vector<std::string> lines = lines_of(log);
  const std::string records = read_text(path("checkpoint"));
  const auto go_on = [&](const std::string& text) {
    write_text(path("checkpoint"), records);
    write_text(path("log"), text);
    return succeed(resumed(6)).err;
  };
  // Torn at every byte of what the crash may have hit, behind the checkpoint's epochs.
  const std::string later = checked_line(R"({"best":true,"epoch":4})") + "\n";
  for (const std::string& tail : {later, later.substr(0, 10), later.substr(0, later.size() - 1),
                                  std::string(50, '\0'), flipped(later, 100)}) {
    EXPECT_FALSE(contains(go_on(log + tail), "warning"));
    EXPECT_TRUE(read_text(path("log")).starts_with(log));
    expect_epochs(6);
  }
  // A new log lacks the first records.
  EXPECT_TRUE(contains(go_on(""), path("log") + ": has no records of epochs 0 to 3"));
  EXPECT_EQ(read_log(path("log")).size(), 2u);
  succeed(resumed(7));
  EXPECT_EQ(read_log(path("log")).size(), 3u);
  // A training that had no log so far does not go on with one.
  write_text(path("checkpoint"), records);
  succeed(
      words("train --data @data --dim 4 --batch 64 --quiet --patience 1000000 --epochs 5 -o "
            "@model --checkpoint @checkpoint --resume"));
  write_text(path("log"), log);
  expect_refusal(resumed(6), "is not this training's log, which had none so far");
  // Records that are changed, or lost, or of another training.
  write_text(path("checkpoint"), records);
  std::filesystem::remove(path("log"));
  succeed(training(4, "--seed 1"));
  const std::string other = read_text(path("log"));
  for (const std::string& text : {flipped(log, 8 * (lines[0].size() + 20)),
                                  lines[0] + "\n" + lines[2] + "\n" + lines[3] + "\n",
                                  lines[0] + "\n" + lines[1] + "\n", other}) {
    write_text(path("log"), text);
    expect_refusal(resumed(6), "its first 4 epochs are not those of the checkpoint's training");
  }
}

}  // namespace
}  // namespace derrd::test::epoch_log_test
