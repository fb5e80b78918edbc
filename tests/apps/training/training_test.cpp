// Training and distillation as a user runs them: the same bits whatever happens, records, signals.

#include <pty.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "apps/cli/progress.h"
#include "data/formats/safetensors.h"
#include "tests/apps/program.h"

namespace derrd::test::training_test {

namespace fs = std::filesystem;

namespace {

using namespace std::chrono_literals;

/// A small data set with a teacher.
class Training : public CommandTest {
 protected:
  Training() : dataset_(write_small_dataset(folder_)) {
    SmallModel(dataset_.num_users(), dataset_.num_items(), 10).write(path("teacher"));
  }

  /// Arguments of a short run; the method "train" is the command of that name.
  Arguments run_of(const std::string& method, int epochs) const {
    Arguments arguments = {"train"};
    if (method != "train") {
      arguments =
          words("distill --method", method,
                "--teacher @teacher --k 5 --l 5 --experts 3 --list 30 --ir-k 5 --ir-l 5 "
                "--ir-list 20 --rd-k 4 --rd-negatives 20 --rd-warmup 2 --cd-items 5 --cd-list 30");
    }
    return arguments + words("--data @data --dim 4 --epochs", std::to_string(epochs),
                             "--batch 64 --quiet --lr 0.02 --patience 100000");
  }
  Dataset dataset_;
};

TEST_F(Training, SameBitsTwiceAndAtAnyNumberOfThreads) {
  for (const char* method : {"train", "none", "rrd", "de", "de-rrd", "rd", "cd", "rrd+ir"}) {
    const Arguments run = run_of(method, 4);
    succeed(run + words("-o @first --threads 1"));
    succeed(run + words("-o @second --threads 1"));
    succeed(run + words("-o @two --threads 2"));
    const std::string first = read_text(path("first"));
    ASSERT_FALSE(first.empty()) << method;
    EXPECT_EQ(first, read_text(path("second"))) << method;
    EXPECT_EQ(first, read_text(path("two"))) << method;
    succeed(run + words("-o @other --seed 1"));
    EXPECT_NE(first, read_text(path("other"))) << method;
  }
}

TEST_F(Training, OptionsOfSpeedChangeNoBit) {
  for (const char* method : {"train", "de-rrd"}) {
    const Arguments run = run_of(method, 4);
    succeed(run + words("-o @model"));
    const std::string model = read_text(path("model"));
    for (const char* options :
         {"--row-updates every-step", "--row-updates lazy", "--graph off", "--graph on"}) {
      succeed(run + words(options, "-o @other"));
      EXPECT_EQ(read_text(path("other")), model) << method << " " << options;
    }
  }
}

/// A larger data set, so that every kernel's work is split into several parts.
class LargeTraining : public CommandTest {
 protected:
  LargeTraining() {
    write_dataset(path("data"),
                  {.users = 1000, .items = 1500, .interactions = 8000, .candidates = 100});
    SmallModel(1000, 1500, 64).write(path("teacher"));
  }
  /// The model's file.
  std::string trained(const std::string& options, const char* threads) const {
    succeed(
        words("distill --data @data --teacher @teacher --dim 32 --experts 30 --batch 1024 "
              "--epochs 1 --quiet -o @model --threads",
              threads, options));
    return read_text(path("model"));
  }
};

// Cases: all experts are mixed; each user and item has few left; the other losses.
TEST_F(LargeTraining, SameBitsAtAnyNumberOfThreads) {
  for (const char* options : {"--method de-rrd --tau-epoch 0", "--method de-rrd --tau-epoch 200",
                              "--method rrd+ir+rd+cd --rd-warmup 0 --ir-items batch",
                              "--method rrd+ir+rd+cd --rd-warmup 0 --ir-items sampled"}) {
    const std::string one = trained(options, "1");
    ASSERT_FALSE(one.empty());
    EXPECT_EQ(one, trained(options, "2")) << options;
  }
}

/// The flags of a command's options in some groups of its help.
std::vector<std::string> flags_of(const std::string& command,
                                  const std::vector<std::string>& groups) {
  std::vector<std::string> flags;
  bool inside = false;
  for (const std::string& line : lines_of(derrd({command, "--help"}).out)) {
    if (!line.starts_with(" ") && line.ends_with(":")) {
      inside = std::find(groups.begin(), groups.end(), line) != groups.end();
    } else if (inside && line.starts_with("  --")) {
      flags.push_back(line.substr(2, line.find(' ', 2) - 2));
    }
  }
  return flags;
}

TEST_F(Training, EveryOptionOfTheMethodCounts) {
  std::map<std::string, std::string> changes;
  for (const std::string& change :
       words("--lr=0.01 --weight-decay=0.01 --batch=32 --negatives=2 --preset=paper --seed=1 "
             "--lambda-de=0.02 --experts=2 --gate=attention --ranking=full --expert-floor=0.3 "
             "--tau-start=0.9 --tau-end=1e-5 --tau-horizon=10 --tau-epoch=2 --lambda-rrd=0.002 "
             "--k=6 --l=6 --t=5 --list=20 --interesting=top --lambda-ir=0.002 --ir-k=6 --ir-l=6 "
             "--ir-t=5 --ir-list=15 --ir-items=batch --lambda-rd=2 --rd-k=5 --rd-sharpness=2 "
             "--rd-mu=0.05 --rd-negatives=30 --rd-warmup=3 --rd-renormalise= --lambda-cd=0.02 "
             "--cd-items=6 --cd-list=20 --cd-t=5 --cd-t1=1 --cd-t2=1 --dim=5")) {
    const size_t equals = change.find('=');
    changes[change.substr(0, equals)] = change.substr(equals + 1);
  }
  std::vector<std::string> flags = flags_of(
      "distill", {"Training:", "Distillation Experts (de):", "Relaxed Ranking Distillation (rrd):",
                  "Relaxed ranking from the items' side (ir):", "Ranking Distillation (rd):",
                  "Collaborative Distillation (cd):"});
  // --tap is about other models than this teacher; the others choose an epoch.
  for (const char* other : {"--epochs", "--patience", "--stop-on", "--tap"})
    std::erase(flags, other);
  flags.push_back("--dim");
  EXPECT_EQ(flags.size(), changes.size());
  for (const std::string& flag : flags) EXPECT_TRUE(changes.contains(flag)) << flag;

  // The last epoch's vectors: the best epoch may be too early for an option to count. The
  // parameters begin with the users' vectors.
  const auto users_of = [&](const Arguments& arguments) {
    succeed(arguments + words("-o @model --checkpoint @checkpoint"));
    const auto kept = user_vectors(path("model"));
    const auto checkpoint = SafetensorsFile::read(path("checkpoint"));
    auto best = checkpoint.values<float>("best_values");
    best.resize(kept.size());
    EXPECT_EQ(best, kept);
    auto last = checkpoint.values<float>("values");
    last.resize(kept.size());
    return last;
  };
  const Arguments unchanged = run_of("de+rrd+ir+rd+cd", 4);
  const auto users = users_of(unchanged);
  EXPECT_EQ(users_of(unchanged), users);
  for (const auto& [flag, value] : changes) {
    Arguments changed = unchanged;
    const auto given = std::find(changed.begin(), changed.end(), flag);
    if (given == changed.end()) {
      changed.push_back(flag);
      if (!value.empty()) changed.push_back(value);
    } else {
      *(given + 1) = value;
    }
    EXPECT_NE(users_of(changed), users) << flag;
  }
  // Each loss by itself; at a constant temperature, whose schedule depends on the preset too.
  for (const auto& [method, others] : {std::pair{"rrd", ""}, {"ir", ""}, {"de", "--tau-end 1"}}) {
    const Arguments authors = run_of(method, 4) + words(others);
    EXPECT_NE(users_of(authors + words("--preset paper")), users_of(authors)) << method;
  }
}

TEST_F(Training, WeightsCanBeChosenByTheSharesOfSectionFivePointFour) {
  const Result result = succeed(run_of("de-rrd", 5) + words("--auto-lambda -o @model --log @log"));
  const auto records = read_log(path("log"));
  const auto weights = metadata_json(path("model"), "metrics")["weights"];
  for (const auto& [loss, share] : {std::pair{"de", 0.2}, {"rrd", 0.085}}) {
    EXPECT_TRUE(contains(result.err, std::string("chose --lambda-") + loss));
    const double weight = weights[loss];
    EXPECT_EQ(records[2]["chosen_weight"][loss], weight);
    EXPECT_NEAR(weight * records[2]["loss"][loss].get<double>(),
                share * records[2]["loss"]["base"].get<double>(), 1e-6);
    EXPECT_NEAR(
        records[3]["share"][loss].get<double>(),
        weight * records[3]["loss"][loss].get<double>() / records[3]["loss"]["base"].get<double>(),
        1e-9);
  }
  EXPECT_EQ(metadata_json(path("model"), "options")["auto-lambda"], true);
}

TEST_F(Training, LossesWithoutARecommendedShareKeepTheirWeights) {
  const Result mixed =
      succeed(run_of("de+ir", 4) + words("--auto-lambda --lambda-ir 3e-4 -o @model --log @log"));
  EXPECT_TRUE(contains(mixed.err, "leaves --lambda-ir as it is"));
  const auto record = read_log(path("log"))[3];
  EXPECT_NEAR(record["share"]["ir"].get<double>(),
              3e-4 * record["loss"]["ir"].get<double>() / record["loss"]["base"].get<double>(),
              1e-9);
  expect_exit(kUsageError, run_of("rd+cd", 4) + words("--auto-lambda -o @model"), {"leave it out"});
}

TEST_F(Training, MethodsHaveOtherNames) {
  for (const auto& [name, sum] :
       {std::pair{"de-rrd", "de+rrd"}, {"ir-rrd", "rrd+ir"}, {"de-rrd+ir", "de+rrd+ir"}}) {
    std::vector<std::vector<float>> users;
    for (const char* method : {name, sum}) {
      succeed(run_of(method, 2) + words("-o @model"));
      users.push_back(user_vectors(path("model")));
    }
    EXPECT_EQ(users[0], users[1]) << name;
  }
}

TEST_F(Training, MethodsDifferAndNoneEqualsTraining) {
  std::vector<std::vector<float>> users;
  for (const char* method : {"train", "none", "rrd", "de", "de-rrd", "rd", "cd", "ir", "rrd+ir"}) {
    succeed(run_of(method, 3) + words("-o @model"));
    users.push_back(user_vectors(path("model")));
  }
  EXPECT_EQ(users[0], users[1]);
  EXPECT_EQ(std::set(users.begin(), users.end()).size(), users.size() - 1);
}

TEST_F(Training, ModelSaysWhatMadeIt) {
  succeed(run_of("de-rrd", 3) + words("-o @model --seed 9"));
  const SafetensorsFile model = SafetensorsFile::read(path("model"));
  const SafetensorsFile teacher = SafetensorsFile::read(path("teacher"));
  EXPECT_EQ(model.metadata_or("format", ""), "derrd-model");
  EXPECT_EQ(model.metadata_or("model", ""), "bpr");
  EXPECT_EQ(model.metadata_or("seed", ""), "9");
  EXPECT_EQ(model.metadata_or("dataset_hash", ""), dataset_.hash);
  EXPECT_EQ(model.metadata_or("teacher_hash", ""), hash_tensors(teacher.tensors()));
  const auto options = metadata_json(path("model"), "options");
  EXPECT_EQ(options["method"], "de-rrd");
  EXPECT_EQ(options["lambda-de"], 0.01);
  EXPECT_EQ(options["lambda-rrd"], 0.0005) << "beside de";
  EXPECT_EQ(options["patience"], 100000);
  const auto metrics = metadata_json(path("model"), "metrics");
  EXPECT_GE(metrics["test"]["H@20"], metrics["test"]["H@10"]);
  EXPECT_EQ(model.tensor("user_embedding").shape, (std::vector<int64_t>{60, 4}));
  EXPECT_EQ(model.tensor("item_embedding").shape, (std::vector<int64_t>{120, 4}));
}

TEST_F(Training, DefaultWeightsDependOnTheSum) {
  const auto weight_of = [&](const std::string& method, const std::string& options = "") {
    succeed(run_of(method, 1) + words("-o @model " + options));
    return metadata_json(path("model"), "options")["lambda-rrd"].get<double>();
  };
  EXPECT_EQ(weight_of("rrd"), 1e-3);
  EXPECT_EQ(weight_of("rrd+ir"), 1e-3);
  EXPECT_EQ(weight_of("de+rrd"), 5e-4);
  EXPECT_EQ(weight_of("de-rrd", "--lambda-rrd 1e-3"), 1e-3);
  // The model is that of the weight, not only its metadata.
  succeed(run_of("de-rrd", 1) + words("-o @default"));
  succeed(run_of("de-rrd", 1) + words("-o @half --lambda-rrd 5e-4"));
  EXPECT_EQ(read_text(path("default")), read_text(path("half")));
}

TEST_F(Training, ThePresetDecidesHowLongNothingMayImprove) {
  for (const auto& [preset, patience] : {std::pair{"authors", 20}, {"paper", 30}}) {
    succeed(words("train --data @data --dim 4 --epochs 1 --quiet --preset", preset, "-o @model"));
    EXPECT_EQ(metadata_json(path("model"), "options")["patience"], patience) << preset;
  }
}

// ir without rrd takes the items that rrd's options draw.
TEST_F(Training, OptionsOfAnotherLossThatCountAreRecorded) {
  const Arguments checkpointed = words("-o @model --checkpoint @checkpoint");
  const auto options = [&] { return metadata_json(path("model"), "options"); };
  succeed(run_of("ir", 2) + checkpointed);
  EXPECT_EQ(options()["k"], 5);
  expect_exit(kFailure, run_of("ir", 3) + checkpointed + words("--t 5 --resume"), {"another run"});
  Arguments short_list = run_of("ir", 2) + words("-o @model");
  *(std::find(short_list.begin(), short_list.end(), "--list") + 1) = "4";
  expect_exit(kUsageError, short_list, {"--list has to be at least --k"});

  succeed(run_of("ir", 2) + words("--ir-items batch -o @model"));
  EXPECT_FALSE(options().contains("k"));
}

TEST_F(Training, SizeIsRoundedFromTheTeachersDimension) {
  for (const auto& [size, dim] : {std::pair{"0.1", 1}, {"0.25", 3}, {"0.01", 1}, {"1", 10}}) {
    succeed(words("distill --data @data --teacher @teacher --method none --size", size,
                  "--epochs 1 -o @model --quiet"));
    EXPECT_EQ(SafetensorsFile::read(path("model")).tensor("user_embedding").shape[1], dim) << size;
  }
}

TEST_F(Training, NoneNeedsNoTeacherIfTheDimensionIsGiven) {
  succeed(words("distill --data @data --method none --dim 2 --epochs 1 -o @model --quiet"));
}

TEST_F(Training, LogHasARecordPerEpoch) {
  succeed(run_of("de-rrd", 5) + words("-o @model --log @log"));
  const auto records = read_log(path("log"));
  ASSERT_EQ(records.size(), 5u);
  for (size_t epoch = 0; epoch < records.size(); ++epoch) {
    const auto& record = records[epoch];
    EXPECT_EQ(record["epoch"], epoch);
    for (const char* part : {"base", "de", "rrd"}) EXPECT_GT(record["loss"][part], 0) << part;
    for (const char* side : {"live_experts_user", "live_experts_item"}) {
      EXPECT_GE(record[side], 1) << side;
    }
    for (const char* phase : {"prepare", "train", "evaluate"}) {
      EXPECT_GT(record["seconds"][phase], 0) << phase;
    }
    for (const char* part : {"valid", "test"}) EXPECT_EQ(record[part].size(), 9u);
    EXPECT_TRUE(record["best"].is_boolean());
  }
  EXPECT_TRUE(records[0]["best"].get<bool>());
}

TEST_F(Training, SummaryAndPlainProgress) {
  Arguments run = run_of("de", 12) + words("-o @model");
  std::erase(run, "--quiet");
  const Result result = succeed(run);
  expect_contains(result.err, {"epoch 0/12", "epoch 10/12"});
  EXPECT_FALSE(contains(result.err, "epoch 5/12")) << result.err;
  EXPECT_FALSE(contains(result.err, "\r"));
  EXPECT_TRUE(lines_of(result.err)[0].starts_with("memory: ")) << result.err;
  expect_contains(lines_of(result.err)[1], {"s left", "H@5 ", " best ", " base ", " de ",
                                            " best at ", " patience ", " s/epoch"});
  expect_contains(result.out,
                  {"finished all 12 epochs; best epoch ", "H@5", "wrote " + path("model")});
}

TEST_F(Training, QuietShowsNoProgress) {
  EXPECT_EQ(succeed(run_of("train", 2) + words("-o @model")).err, "");
}

/// The lines of a program on a terminal: the text after each return that erases the line.
std::vector<std::string> rewritten_lines(const Arguments& arguments, unsigned short columns) {
  winsize size = {};
  size.ws_row = 24;
  size.ws_col = columns;
  int terminal = -1;
  const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, &size);
  if (pid == 0) {
    std::string program = DERRD_PROGRAM;
    Arguments owned = arguments;
    std::vector<char*> argv = {program.data()};
    for (std::string& argument : owned) argv.push_back(argument.data());
    argv.push_back(nullptr);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  EXPECT_GE(pid, 0);
  std::string text;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(terminal, buffer, sizeof buffer)) > 0;) text.append(buffer, n);
  int status = 0;
  ::waitpid(pid, &status, 0);
  ::close(terminal);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << text;
  const std::string erase = "\r\x1b[K";
  std::vector<std::string> lines;
  for (size_t at = 0; (at = text.find(erase, at)) != std::string::npos;) {
    at += erase.size();
    lines.push_back(text.substr(at, text.find_first_of("\r\n", at) - at));
  }
  return lines;
}

constexpr const char* kShownOutcome =
    R"(epoch \d/5  \d+s left  H@5 (\.\d{4}|1\.000) best (\.\d{4}|1\.000))";
constexpr const char* kShownLoss = R"( [0-9.]{3,5}[kM]?)";

TEST_F(Training, TerminalHasOneLineThatIsRewritten) {
  for (const auto& [method, parts] :
       {std::pair{"train", std::vector{"base"}}, {"de-rrd", {"base", "de", "rrd"}}}) {
    Arguments run = run_of(method, 5) + words("-o @model");
    std::erase(run, "--quiet");
    std::string whole = std::string(kShownOutcome) + " ";
    for (const char* part : parts) whole += std::string(" ") + part + kShownLoss;
    for (const auto& [columns, pattern] : {std::pair{80, whole}, {44, kShownOutcome}}) {
      const auto lines = rewritten_lines(run, static_cast<unsigned short>(columns));
      EXPECT_EQ(lines.size(), 5u);
      for (const std::string& line : lines) {
        EXPECT_LT(line.size(), static_cast<size_t>(columns)) << "a line that wraps stays: " << line;
        EXPECT_TRUE(std::regex_search(line, std::regex("^" + pattern + "(  |$)"))) << line;
      }
    }
  }
}

TEST(ProgressLine, FitsEightyColumnsAtItsLongest) {
  EpochRecord record;
  record.epoch = 500;
  record.evaluation.valid.hit[0] = 0.45678;
  record.evaluation.valid.users = 1;
  record.decisive.emplace("H@5", 0.45678);
  record.losses = {{"base", 79.76e3}, {"de", 1.2345e7}, {"rrd", 9.996e8}};
  EarlyStopping early_stopping(StoppingRule::kEachCutoff, 20);
  early_stopping.update(499, record.evaluation);
  const ProgressLimits limits = {1000, 20};
  const double seconds = 35999.0 / 499;
  EXPECT_EQ(progress_line(record, early_stopping, limits, seconds, 79),
            "epoch 500/1000  9h59m left  H@5 .4568 best .4568  base 79.8k de 12.3M rrd 1.00G");
  EXPECT_EQ(progress_line(record, early_stopping, limits, seconds, std::string::npos),
            "epoch 500/1000  9h59m left  H@5 .4568 best .4568  base 79.8k de 12.3M rrd 1.00G"
            "  best at 499  patience 19  72.1 s/epoch");
  EXPECT_EQ(progress_line(record, early_stopping, limits, seconds, 40),
            "epoch 500/1000  9h59m left  H@5 .4568");
}

TEST(ProgressLine, TimesAreShort) {
  EXPECT_EQ(format_duration(0.2), "0s");
  EXPECT_EQ(format_duration(59.6), "1m00s");
  EXPECT_EQ(format_duration(3661), "1h01m");
  EXPECT_EQ(format_duration(36000), "10h");
}

class KilledTraining : public Training {};

TEST_F(KilledTraining, ResumedGivesTheSameBits) {
  expect_same_bits_when_killed(run_of("de-rrd", kLongTraining), 24);
}

TEST_F(KilledTraining, ResumedGivesTheSameBitsForTheOtherLosses) {
  expect_same_bits_when_killed(run_of("rrd+ir+rd+cd", kLongTraining), 8);
}

// Options that enter no result may change when a run goes on.
TEST_F(Training, OtherThreadsAndOptionsOfSpeedMayResume) {
  const Arguments run = run_of("de-rrd", 8);
  succeed(run + words("-o @whole"));
  const Arguments checkpoint = words("--checkpoint @checkpoint -o @model");
  for (const auto& [before, after] : {std::pair{"--threads 2", "--threads 1"},
                                      {"--row-updates lazy", "--row-updates every-step"}}) {
    succeed(run_of("de-rrd", 3) + checkpoint + words(before));
    succeed(run + checkpoint + words(after, "--resume"));
    EXPECT_EQ(read_text(path("whole")), read_text(path("model"))) << before;
  }
}

TEST_F(Training, ResumeDropsTornAndRepeatedLogRecords) {
  const Arguments records = words("-o @model --checkpoint @checkpoint --log @log");
  succeed(run_of("train", 3) + records);
  const std::string complete = read_text(path("log"));
  write_text(path("log"), complete + "{\"epoch\":3,\"loss\":{\"base\":1}}\n{\"epo");
  const Result result = succeed(run_of("train", 5) + records + Arguments{"--resume"});
  EXPECT_TRUE(contains(result.err, "continuing after 3 epochs"));
  // The first run's times are kept: nothing was run again.
  EXPECT_TRUE(read_text(path("log")).starts_with(complete));
  const auto log = read_log(path("log"));
  ASSERT_EQ(log.size(), 5u);
  for (size_t epoch = 0; epoch < log.size(); ++epoch) EXPECT_EQ(log[epoch]["epoch"], epoch);
  EXPECT_TRUE(log[3].contains("valid"));
}

TEST_F(Training, ResumeWithoutACheckpointStarts) {
  const Result result =
      succeed(run_of("train", 2) + words("-o @model --checkpoint @checkpoint --resume"));
  EXPECT_TRUE(contains(result.err, "no checkpoint yet"));
}

TEST_F(Training, SignalsEndAfterTheEpochAndKeepTheBestModel) {
  for (const auto& [signal, exit_code] :
       {std::pair{SIGINT, 130}, {SIGTERM, 143}, {SIGHUP, 129}, {SIGUSR1, 138}, {SIGXCPU, 152}}) {
    const Arguments records = words("-o @model --checkpoint @checkpoint --log @log");
    Process process(run_of("train", 1000000) + records);
    wait_for_lines(process, "log", 40);  // the best of them is an early one
    process.send(signal);
    const Result result = process.wait();
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_TRUE(contains(result.err, "holds the best model so far"));
    const auto metrics = metadata_json(path("model"), "metrics");
    const auto done = read_log(path("log")).size();
    EXPECT_EQ(metrics["epochs"], done);
    nlohmann::json best;
    for (const auto& record : read_log(path("log"))) {
      if (record["best"]) best = record;
    }
    EXPECT_EQ(metrics["best_epoch"], best["epoch"]);
    const auto figures = evaluated(path("data"), path("model"));
    EXPECT_EQ(figures["valid"], best["valid"]);
    EXPECT_EQ(figures["test"], best["test"]);

    // The checkpoint is that of the last epoch: going on repeats and omits none.
    const int epochs = static_cast<int>(done) + 2;
    succeed(run_of("train", epochs) + records + Arguments{"--resume"});
    EXPECT_EQ(read_log(path("log")).size(), done + 2);
    for (const char* name : {"model", "log", "checkpoint"}) fs::remove(path(name));
  }
}

TEST_F(Training, SecondSignalKillsAtOnce) {
  // Epochs that take many seconds: large matrices, and a training step per sample.
  write_dataset(path("large"),
                {.users = 1000, .items = 2000, .interactions = 20000, .candidates = 10});
  Process process(words("train --data @large --dim 256 --batch 1 -o @model --log @log"));
  const auto give_up = std::chrono::steady_clock::now() + 60s;
  while (!fs::exists(path("log"))) {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up);
    std::this_thread::sleep_for(5ms);
  }
  std::this_thread::sleep_for(500ms);  // from the log to the first epoch, which takes far longer
  process.send(SIGINT);
  while (process.error_output().find("a second Ctrl-C") == std::string::npos) {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up);
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_FALSE(process.ended());
  process.send(SIGINT);
  const Result result = process.wait();
  EXPECT_EQ(result.signal, SIGINT) << result.exit_code << result.err;
  EXPECT_FALSE(fs::exists(path("model")));
}

// A shell and then the kernel send it when a terminal is closed.
TEST_F(Training, RepeatedHangupDoesNotKill) {
  Process process(run_of("train", 1000000) + words("-o @model --log @log"));
  wait_for_lines(process, "log", 2);
  for (int i = 0; i < 20; ++i) process.send(SIGHUP);
  const Result result = process.wait();
  EXPECT_EQ(result.exit_code, 129) << result.signal << result.err;
  EXPECT_TRUE(fs::exists(path("model")));
}

TEST_F(Training, KeepsIgnoringWhatItsParentIgnores) {
  for (const int ignored : {SIGHUP, SIGUSR1, SIGXCPU, SIGINT}) {
    Process process(run_of("train", 1000000) + words("-o @model --log @log"),
                    [&] { std::signal(ignored, SIG_IGN); });
    wait_for_lines(process, "log", 2);
    process.send(ignored);
    const size_t lines = lines_of(read_text(path("log"))).size();
    wait_for_lines(process, "log", lines + 5);
    EXPECT_FALSE(process.ended());
    process.send(SIGTERM);
    EXPECT_EQ(process.wait().exit_code, 143);
    fs::remove(path("log"));
  }
}

TEST_F(Training, ATerminalThatIsClosedEndsItWithItsModel) {
  int master = -1, terminal = -1;
  ASSERT_EQ(::openpty(&master, &terminal, nullptr, nullptr, nullptr), 0);
  Process process(run_of("train", 1000000) + words("-o @model --checkpoint @checkpoint --log @log"),
                  [&] {
                    ::close(master);
                    ::setsid();
                    ::ioctl(terminal, TIOCSCTTY, 0);
                    for (const int stream : {0, 1, 2}) ::dup2(terminal, stream);
                  });
  ::close(terminal);
  wait_for_lines(process, "log", 2);
  ::close(master);
  const Result result = process.wait();
  EXPECT_EQ(result.exit_code, 129) << result.signal;
  for (const char* name : {"model", "checkpoint"}) EXPECT_TRUE(fs::exists(path(name))) << name;
}

// The PTX executor takes longer to start, and the sanitizers to load.
#if defined(DERRD_BACKEND_CPU) && !defined(__SANITIZE_ADDRESS__)
TEST_F(Training, LimitOnProcessorTimeEndsItWithItsModel) {
  const Result result = derrd(run_of("train", 1000000) + words("-o @model"), [] {
    const rlimit limit = {1, 30};
    ::setrlimit(RLIMIT_CPU, &limit);
  });
  EXPECT_EQ(result.exit_code, 152) << result.signal << result.err;
  EXPECT_TRUE(fs::exists(path("model")));
}
#endif

TEST_F(Training, LimitOnFileSizeIsAnError) {
  const Result result = derrd(run_of("train", 3) + words("-o @model --checkpoint @checkpoint"), [] {
    const rlimit limit = {4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  });
  EXPECT_EQ(result.exit_code, kFailure) << result.signal;
  expect_contains(result.err, {"can't be written"});
  EXPECT_EQ(folder_.names(), (std::vector<std::string>{"data", "teacher"}));
}

}  // namespace
}  // namespace derrd::test::training_test
