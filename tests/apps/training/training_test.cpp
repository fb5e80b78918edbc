// Training and distillation as a user runs them: the same bits whatever happens, records, signals.

#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <map>
#include <random>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "apps/cli/progress.h"
#include "data/formats/safetensors.h"
#include "tests/apps/program.h"

namespace derrd::test::training_test {
namespace {

using namespace std::chrono_literals;
using Arguments = std::vector<std::string>;

Arguments operator+(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// A small data set with a teacher.
class Training : public testing::Test {
 protected:
  Training() : dataset_(write_small_dataset(folder_)) {
    SmallModel(dataset_.num_users(), dataset_.num_items(), 10).write(path("teacher"));
  }
  std::string path(const std::string& name) const { return folder_ / name; }

  /// Arguments of a short run; the method "train" is the command of that name.
  Arguments run_of(const std::string& method, int epochs) const {
    Arguments arguments = {"train"};
    if (method != "train") {
      arguments = {"distill",
                   "--method",
                   method,
                   "--teacher",
                   path("teacher"),
                   "--k",
                   "5",
                   "--l",
                   "5",
                   "--experts",
                   "3",
                   "--list",
                   "30",
                   "--ir-k",
                   "5",
                   "--ir-l",
                   "5",
                   "--ir-list",
                   "20",
                   "--rd-k",
                   "4",
                   "--rd-negatives",
                   "20",
                   "--rd-warmup",
                   "2",
                   "--cd-items",
                   "5",
                   "--cd-list",
                   "30"};
    }
    return arguments +
           Arguments{"--data",  path("data"), "--dim",   "4",    "--epochs", std::to_string(epochs),
                     "--batch", "64",         "--quiet", "--lr", "0.02",     "--patience",
                     "100000"};
  }
  void expect_success(const Arguments& arguments) const {
    const Result result = derrd(arguments);
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }

  /// Waits until a run in progress has logged so many epochs.
  void wait_for_epochs(Process& process, size_t epochs) const {
    const auto give_up = std::chrono::steady_clock::now() + 60s;
    while (!process.ended() && lines_of(read_text(path("log"))).size() < epochs) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up);
      std::this_thread::sleep_for(5ms);
    }
  }

  TemporaryFolder folder_;
  Dataset dataset_;
};

TEST_F(Training, SameBitsTwiceAndAtAnyNumberOfThreads) {
  for (const char* method : {"train", "none", "rrd", "de", "de-rrd", "rd", "cd", "rrd+ir"}) {
    const Arguments run = run_of(method, 4);
    expect_success(run + Arguments{"-o", path("first"), "--threads", "1"});
    expect_success(run + Arguments{"-o", path("second"), "--threads", "1"});
    expect_success(run + Arguments{"-o", path("two"), "--threads", "2"});
    const std::string first = read_text(path("first"));
    ASSERT_FALSE(first.empty()) << method;
    EXPECT_EQ(first, read_text(path("second"))) << method;
    EXPECT_EQ(first, read_text(path("two"))) << method;
    expect_success(run + Arguments{"-o", path("other"), "--seed", "1"});
    EXPECT_NE(first, read_text(path("other"))) << method;
  }
}

TEST_F(Training, OptionsOfSpeedChangeNoBit) {
  for (const char* method : {"train", "de-rrd"}) {
    const Arguments run = run_of(method, 4);
    expect_success(run + Arguments{"-o", path("model")});
    const std::string model = read_text(path("model"));
    for (const Arguments& options : std::vector<Arguments>{{"--row-updates", "every-step"},
                                                           {"--row-updates", "lazy"},
                                                           {"--graph", "off"},
                                                           {"--graph", "on"}}) {
      expect_success(run + options + Arguments{"-o", path("other")});
      EXPECT_EQ(read_text(path("other")), model) << method << " " << options[0] << options[1];
    }
  }
}

/// A larger data set, so that every kernel's work is split into several parts.
class LargeTraining : public testing::Test {
 protected:
  LargeTraining() {
    write_dataset(folder_ / "data",
                  {.users = 1000, .items = 1500, .interactions = 8000, .candidates = 100});
    SmallModel(1000, 1500, 64).write(folder_ / "teacher");
  }
  /// The model's file.
  std::string trained(const std::string& method, const Arguments& arguments) const {
    const Result result =
        derrd(Arguments{"distill", "--data", folder_ / "data", "--teacher", folder_ / "teacher",
                        "--method", method, "--dim", "32", "--experts", "30", "--batch", "1024",
                        "--epochs", "2", "--quiet", "-o", folder_ / "model"} +
              arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return read_text(folder_ / "model");
  }
  TemporaryFolder folder_;
};

TEST_F(LargeTraining, SameBitsAtAnyNumberOfThreads) {
  // While all experts are mixed, and when each user and item has few left.
  for (const char* epoch : {"0", "200"}) {
    const std::string one = trained("de-rrd", {"--tau-epoch", epoch, "--threads", "1"});
    ASSERT_FALSE(one.empty());
    EXPECT_EQ(one, trained("de-rrd", {"--tau-epoch", epoch, "--threads", "2"})) << epoch;
  }
  for (const char* items : {"batch", "sampled"}) {
    const Arguments options = {"--ir-items", items, "--rd-warmup", "1", "--threads"};
    const std::string one = trained("rrd+ir+rd+cd", options + Arguments{"1"});
    ASSERT_FALSE(one.empty());
    EXPECT_EQ(one, trained("rrd+ir+rd+cd", options + Arguments{"2"})) << items;
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
  const std::map<std::string, std::string> changes = {{"--lr", "0.01"},
                                                      {"--weight-decay", "0.01"},
                                                      {"--batch", "32"},
                                                      {"--negatives", "2"},
                                                      {"--preset", "paper"},
                                                      {"--seed", "1"},
                                                      {"--lambda-de", "0.02"},
                                                      {"--experts", "2"},
                                                      {"--gate", "attention"},
                                                      {"--ranking", "full"},
                                                      {"--expert-floor", "0.3"},
                                                      {"--tau-start", "0.9"},
                                                      {"--tau-end", "1e-5"},
                                                      {"--tau-horizon", "10"},
                                                      {"--tau-epoch", "2"},
                                                      {"--lambda-rrd", "0.002"},
                                                      {"--k", "6"},
                                                      {"--l", "6"},
                                                      {"--t", "5"},
                                                      {"--list", "20"},
                                                      {"--interesting", "top"},
                                                      {"--lambda-ir", "0.002"},
                                                      {"--ir-k", "6"},
                                                      {"--ir-l", "6"},
                                                      {"--ir-t", "5"},
                                                      {"--ir-list", "15"},
                                                      {"--ir-items", "batch"},
                                                      {"--lambda-rd", "2"},
                                                      {"--rd-k", "5"},
                                                      {"--rd-sharpness", "2"},
                                                      {"--rd-mu", "0.05"},
                                                      {"--rd-negatives", "30"},
                                                      {"--rd-warmup", "3"},
                                                      {"--rd-renormalise", ""},
                                                      {"--lambda-cd", "0.02"},
                                                      {"--cd-items", "6"},
                                                      {"--cd-list", "20"},
                                                      {"--cd-t", "5"},
                                                      {"--cd-t1", "1"},
                                                      {"--cd-t2", "1"},
                                                      {"--dim", "5"}};
  std::vector<std::string> flags = flags_of(
      "distill", {"Training:", "Distillation Experts (de):", "Relaxed Ranking Distillation (rrd):",
                  "Relaxed ranking from the items' side (ir):", "Ranking Distillation (rd):",
                  "Collaborative Distillation (cd):"});
  // --tap is about models that this teacher is none of.
  for (const char* other : {"--epochs", "--patience", "--tap"}) std::erase(flags, other);
  flags.push_back("--dim");
  EXPECT_EQ(flags.size(), changes.size());
  for (const std::string& flag : flags) EXPECT_TRUE(changes.contains(flag)) << flag;

  // Of the last epoch, not of the best, which may be too early for an option to count. The
  // parameters begin with the users' vectors.
  const auto users_of = [&](const Arguments& arguments) {
    expect_success(arguments + Arguments{"-o", path("model"), "--checkpoint", path("checkpoint")});
    const auto kept = SafetensorsFile::read(path("model")).values<float>("user_embedding");
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
  for (const auto& [method, others] :
       {std::pair{"rrd", Arguments{}}, {"ir", {}}, {"de", {"--tau-end", "1"}}}) {
    const Arguments authors = run_of(method, 4) + others;
    EXPECT_NE(users_of(authors + Arguments{"--preset", "paper"}), users_of(authors)) << method;
  }
}

TEST_F(Training, WeightsCanBeChosenByTheSharesOfSectionFivePointFour) {
  const Result result = derrd(
      run_of("de-rrd", 5) + Arguments{"--auto-lambda", "-o", path("model"), "--log", path("log")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto records = read_log(path("log"));
  const auto metadata = SafetensorsFile::read(path("model")).metadata();
  const auto weights = nlohmann::json::parse(metadata.at("metrics"))["weights"];
  for (const auto& [loss, share] : {std::pair{"de", 0.2}, {"rrd", 0.085}}) {
    EXPECT_NE(result.err.find(std::string("chose --lambda-") + loss), std::string::npos);
    const double weight = weights[loss];
    EXPECT_EQ(records[2]["chosen_weight"][loss], weight);
    EXPECT_NEAR(weight * records[2]["loss"][loss].get<double>(),
                share * records[2]["loss"]["base"].get<double>(), 1e-6);
    EXPECT_NEAR(
        records[3]["share"][loss].get<double>(),
        weight * records[3]["loss"][loss].get<double>() / records[3]["loss"]["base"].get<double>(),
        1e-9);
  }
  EXPECT_EQ(nlohmann::json::parse(metadata.at("options"))["auto-lambda"], true);
}

TEST_F(Training, LossesWithoutARecommendedShareKeepTheirWeights) {
  const Result mixed =
      derrd(run_of("de+ir", 4) + Arguments{"--auto-lambda", "--lambda-ir", "3e-4", "-o",
                                           path("model"), "--log", path("log")});
  ASSERT_EQ(mixed.exit_code, 0) << mixed.err;
  EXPECT_NE(mixed.err.find("leaves --lambda-ir as it is"), std::string::npos) << mixed.err;
  const auto record = read_log(path("log"))[3];
  EXPECT_NEAR(record["share"]["ir"].get<double>(),
              3e-4 * record["loss"]["ir"].get<double>() / record["loss"]["base"].get<double>(),
              1e-9);
  const Result none = derrd(run_of("rd+cd", 4) + Arguments{"--auto-lambda", "-o", path("model")});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_NE(none.err.find("leave it out"), std::string::npos) << none.err;
}

TEST_F(Training, MethodsHaveOtherNames) {
  for (const auto& [name, sum] :
       {std::pair{"de-rrd", "de+rrd"}, {"ir-rrd", "rrd+ir"}, {"de-rrd+ir", "de+rrd+ir"}}) {
    std::vector<std::vector<float>> users;
    for (const char* method : {name, sum}) {
      expect_success(run_of(method, 2) + Arguments{"-o", path("model")});
      users.push_back(SafetensorsFile::read(path("model")).values<float>("user_embedding"));
    }
    EXPECT_EQ(users[0], users[1]) << name;
  }
}

TEST_F(Training, MethodsDifferAndNoneEqualsTraining) {
  std::vector<std::vector<float>> users;
  for (const char* method : {"train", "none", "rrd", "de", "de-rrd", "rd", "cd", "ir", "rrd+ir"}) {
    expect_success(run_of(method, 3) + Arguments{"-o", path("model")});
    users.push_back(SafetensorsFile::read(path("model")).values<float>("user_embedding"));
  }
  EXPECT_EQ(users[0], users[1]);
  for (size_t a = 1; a < users.size(); ++a) {
    for (size_t b = a + 1; b < users.size(); ++b) EXPECT_NE(users[a], users[b]) << a << " " << b;
  }
}

TEST_F(Training, ModelSaysWhatMadeIt) {
  expect_success(run_of("de-rrd", 3) + Arguments{"-o", path("model"), "--seed", "9"});
  const SafetensorsFile model = SafetensorsFile::read(path("model"));
  const SafetensorsFile teacher = SafetensorsFile::read(path("teacher"));
  EXPECT_EQ(model.metadata_or("format", ""), "derrd-model");
  EXPECT_EQ(model.metadata_or("model", ""), "bpr");
  EXPECT_EQ(model.metadata_or("seed", ""), "9");
  EXPECT_EQ(model.metadata_or("dataset_hash", ""), dataset_.hash);
  EXPECT_EQ(model.metadata_or("teacher_hash", ""), hash_tensors(teacher.tensors()));
  const auto options = nlohmann::json::parse(model.metadata_or("options", ""));
  EXPECT_EQ(options["method"], "de-rrd");
  EXPECT_EQ(options["lambda-de"], 0.01);
  EXPECT_EQ(options["lambda-rrd"], 0.001);
  EXPECT_EQ(options["patience"], 100000);
  const auto metrics = nlohmann::json::parse(model.metadata_or("metrics", ""));
  EXPECT_GE(metrics["test"]["H@20"], metrics["test"]["H@10"]);
  EXPECT_EQ(model.tensor("user_embedding").shape, (std::vector<int64_t>{60, 4}));
  EXPECT_EQ(model.tensor("item_embedding").shape, (std::vector<int64_t>{120, 4}));
}

TEST_F(Training, ThePresetDecidesHowLongNothingMayImprove) {
  for (const auto& [preset, patience] : {std::pair{"authors", 20}, {"paper", 30}}) {
    expect_success({"train", "--data", path("data"), "--dim", "4", "--epochs", "1", "--quiet",
                    "--preset", preset, "-o", path("model")});
    const auto options =
        nlohmann::json::parse(SafetensorsFile::read(path("model")).metadata_or("options", ""));
    EXPECT_EQ(options["patience"], patience) << preset;
  }
}

// The item side alone is over what rrd's options draw.
TEST_F(Training, OptionsOfAnotherLossThatCountAreRecorded) {
  const Arguments checkpointed = {"-o", path("model"), "--checkpoint", path("checkpoint")};
  const auto options = [&] {
    return nlohmann::json::parse(SafetensorsFile::read(path("model")).metadata_or("options", ""));
  };
  expect_success(run_of("ir", 2) + checkpointed);
  EXPECT_EQ(options()["k"], 5);
  const Result other = derrd(run_of("ir", 3) + checkpointed + Arguments{"--t", "5", "--resume"});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_NE(other.err.find("another run"), std::string::npos) << other.err;
  Arguments short_list = run_of("ir", 2) + Arguments{"-o", path("model")};
  *(std::find(short_list.begin(), short_list.end(), "--list") + 1) = "4";
  const Result refused = derrd(short_list);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("--list has to be at least --k"), std::string::npos) << refused.err;

  expect_success(run_of("ir", 2) + Arguments{"--ir-items", "batch", "-o", path("model")});
  EXPECT_FALSE(options().contains("k"));
}

TEST_F(Training, SizeIsRoundedFromTheTeachersDimension) {
  for (const auto& [size, dim] : {std::pair{"0.1", 1}, {"0.25", 3}, {"0.01", 1}, {"1", 10}}) {
    expect_success({"distill", "--data", path("data"), "--teacher", path("teacher"), "--method",
                    "none", "--size", size, "--epochs", "1", "-o", path("model"), "--quiet"});
    EXPECT_EQ(SafetensorsFile::read(path("model")).tensor("user_embedding").shape[1], dim) << size;
  }
}

TEST_F(Training, NoneNeedsNoTeacherIfTheDimensionIsGiven) {
  expect_success({"distill", "--data", path("data"), "--method", "none", "--dim", "2", "--epochs",
                  "1", "-o", path("model"), "--quiet"});
}

TEST_F(Training, KeepsTheModelOfTheBestEpoch) {
  expect_success(run_of("train", 40) + Arguments{"-o", path("model"), "--log", path("log")});
  const auto records = read_log(path("log"));
  const auto best = std::max_element(
      records.begin(), records.end(),
      [](const auto& a, const auto& b) { return a["valid"]["H@5"] < b["valid"]["H@5"]; });
  ASSERT_NE(best->at("valid"), records.back()["valid"]) << "choose another run: its last is best";
  const Result result =
      derrd({"evaluate", "--data", path("data"), "--model", path("model"), "--json"});
  const auto evaluated = nlohmann::json::parse(result.out)["models"][0];
  EXPECT_EQ(evaluated["valid"], best->at("valid"));
  EXPECT_EQ(evaluated["test"], best->at("test"));
}

TEST_F(Training, LogHasARecordPerEpoch) {
  expect_success(run_of("de-rrd", 5) + Arguments{"-o", path("model"), "--log", path("log")});
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
  Arguments run = run_of("de", 12) + Arguments{"-o", path("model")};
  std::erase(run, "--quiet");
  const Result result = derrd(run);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find("epoch 0/12"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("epoch 10/12"), std::string::npos) << result.err;
  EXPECT_EQ(result.err.find("epoch 5/12"), std::string::npos) << result.err;
  EXPECT_EQ(result.err.find('\r'), std::string::npos);
  for (const char* field :
       {"s left", "H@5 ", " best ", " base ", " de ", " best at ", " patience ", " s/epoch"}) {
    EXPECT_NE(lines_of(result.err)[0].find(field), std::string::npos) << field << result.err;
  }
  EXPECT_NE(result.out.find("finished all 12 epochs; best epoch "), std::string::npos);
  EXPECT_NE(result.out.find("H@5"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("wrote " + path("model")), std::string::npos) << result.out;
}

TEST_F(Training, QuietShowsNoProgress) {
  const Result result = derrd(run_of("train", 2) + Arguments{"-o", path("model")});
  EXPECT_EQ(result.err, "");
}

/// What a program shows on a terminal of so many columns, after each return that erases the line.
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
    Arguments run = run_of(method, 5) + Arguments{"-o", path("model")};
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

TEST_F(Training, StopsEarlyAfterItsPatience) {
  Arguments run = run_of("train", 1000);
  run.back() = "3";
  const Result result = derrd(run + Arguments{"-o", path("model"), "--log", path("log")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("the last 3 without improvement"), std::string::npos) << result.out;
  EXPECT_LT(read_log(path("log")).size(), 1000u);
}

/// A log's records without their times.
std::vector<nlohmann::json> timeless(std::vector<nlohmann::json> records) {
  for (auto& record : records) record.erase("seconds");
  return records;
}

class KilledTraining : public Training {
 protected:
  void expect_same_bits(const std::string& method, int kills_wanted) const;
};

void KilledTraining::expect_same_bits(const std::string& method, int kills_wanted) const {
  const Arguments run = run_of(method, 300);
  const auto start = std::chrono::steady_clock::now();
  expect_success(run + Arguments{"-o", path("whole"), "--log", path("whole-log"), "--checkpoint",
                                 path("whole-checkpoint"), "--checkpoint-every", "0"});
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - start;
  const std::string expected = read_text(path("whole"));
  const auto expected_log = timeless(read_log(path("whole-log")));

  const Arguments resumed = run + Arguments{"-o",        path("model"),        "--log",
                                            path("log"), "--checkpoint",       path("checkpoint"),
                                            "--resume",  "--checkpoint-every", "0"};
  const auto expect_whole_result = [&] {
    EXPECT_EQ(read_text(path("model")), expected);
    EXPECT_EQ(timeless(read_log(path("log"))), expected_log);
  };
  std::mt19937 random(1);
  std::uniform_real_distribution<double> delay(0.0, whole.count() / 3);
  int kills = 0;
  while (kills < kills_wanted) {
    Process process(resumed);
    std::this_thread::sleep_for(std::chrono::duration<double>(delay(random)));
    process.send(SIGKILL);
    const Result result = process.wait();
    if (result.signal == SIGKILL) {
      ++kills;
      continue;
    }
    ASSERT_EQ(result.exit_code, 0) << result.err;
    expect_whole_result();
    for (const char* name : {"model", "log", "checkpoint"}) std::filesystem::remove(path(name));
  }
  expect_success(resumed);
  expect_whole_result();
}

TEST_F(KilledTraining, ResumedGivesTheSameBits) { expect_same_bits("de-rrd", 24); }
TEST_F(KilledTraining, ResumedGivesTheSameBitsForTheOtherLosses) {
  expect_same_bits("rrd+ir+rd+cd", 8);
}

// What enters no result may be another when a run goes on.
TEST_F(Training, OtherThreadsAndOptionsOfSpeedMayResume) {
  const Arguments run = run_of("de-rrd", 8);
  expect_success(run + Arguments{"-o", path("whole")});
  const Arguments checkpoint = {"--checkpoint", path("checkpoint"), "-o", path("model")};
  const std::vector<std::pair<Arguments, Arguments>> changes = {
      {{"--threads", "2"}, {"--threads", "1"}},
      {{"--row-updates", "lazy"}, {"--row-updates", "every-step"}}};
  for (const auto& [before, after] : changes) {
    expect_success(run_of("de-rrd", 3) + checkpoint + before);
    expect_success(run + checkpoint + after + Arguments{"--resume"});
    EXPECT_EQ(read_text(path("whole")), read_text(path("model"))) << before[0];
  }
}

TEST_F(Training, ResumeDropsTornAndRepeatedLogRecords) {
  const Arguments records = {"-o",    path("model"), "--checkpoint", path("checkpoint"),
                             "--log", path("log")};
  expect_success(run_of("train", 3) + records);
  const std::string complete = read_text(path("log"));
  write_text(path("log"), complete + "{\"epoch\":3,\"loss\":{\"base\":1}}\n{\"epo");
  const Result result = derrd(run_of("train", 5) + records + Arguments{"--resume"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find("continuing after 3 epochs"), std::string::npos) << result.err;
  // With the very times of the first run: nothing was run again.
  EXPECT_TRUE(read_text(path("log")).starts_with(complete));
  const auto log = read_log(path("log"));
  ASSERT_EQ(log.size(), 5u);
  for (size_t epoch = 0; epoch < log.size(); ++epoch) EXPECT_EQ(log[epoch]["epoch"], epoch);
  EXPECT_TRUE(log[3].contains("valid"));
}

TEST_F(Training, ResumeWithoutACheckpointStarts) {
  const Result result = derrd(run_of("train", 2) + Arguments{"-o", path("model"), "--checkpoint",
                                                             path("checkpoint"), "--resume"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find("no checkpoint yet"), std::string::npos) << result.err;
}

TEST_F(Training, SignalsEndAfterTheEpochAndKeepTheBestModel) {
  for (const auto& [signal, exit_code] : {std::pair{SIGINT, 130}, {SIGTERM, 143}}) {
    const Arguments records = {"-o",    path("model"), "--checkpoint", path("checkpoint"),
                               "--log", path("log")};
    Process process(run_of("train", 1000000) + records);
    wait_for_epochs(process, 40);  // the best of them is an early one
    process.send(signal);
    const Result result = process.wait();
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_NE(result.err.find("holds the best model so far"), std::string::npos) << result.err;
    const SafetensorsFile model = SafetensorsFile::read(path("model"));
    const auto metrics = nlohmann::json::parse(model.metadata_or("metrics", ""));
    const auto done = read_log(path("log")).size();
    EXPECT_EQ(metrics["epochs"], done);
    nlohmann::json best;
    for (const auto& record : read_log(path("log"))) {
      if (record["best"]) best = record;
    }
    EXPECT_EQ(metrics["best_epoch"], best["epoch"]);
    const auto evaluation =
        derrd({"evaluate", "--data", path("data"), "--model", path("model"), "--json"});
    const auto evaluated = nlohmann::json::parse(evaluation.out)["models"][0];
    EXPECT_EQ(evaluated["valid"], best["valid"]);
    EXPECT_EQ(evaluated["test"], best["test"]);

    // The checkpoint is that of the last epoch: going on repeats and omits none.
    const int epochs = static_cast<int>(done) + 2;
    expect_success(run_of("train", epochs) + records + Arguments{"--resume"});
    EXPECT_EQ(read_log(path("log")).size(), done + 2);
    for (const char* name : {"model", "log", "checkpoint"}) std::filesystem::remove(path(name));
  }
}

TEST_F(Training, SecondSignalKillsAtOnce) {
  // Epochs that take many seconds: large matrices, and a training step per sample.
  write_dataset(path("large"),
                {.users = 1000, .items = 2000, .interactions = 20000, .candidates = 10});
  Process process({"train", "--data", path("large"), "--dim", "256", "--batch", "1", "-o",
                   path("model"), "--log", path("log")});
  const auto give_up = std::chrono::steady_clock::now() + 60s;
  while (!std::filesystem::exists(path("log"))) {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up);
    std::this_thread::sleep_for(5ms);
  }
  std::this_thread::sleep_for(500ms);  // from the log to the first epoch, which takes far longer
  process.send(SIGINT);
  while (process.error_output().find("a second signal") == std::string::npos) {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up);
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_FALSE(process.ended());
  process.send(SIGINT);
  const Result result = process.wait();
  EXPECT_EQ(result.signal, SIGINT) << result.exit_code << result.err;
  EXPECT_FALSE(std::filesystem::exists(path("model")));
}

}  // namespace
}  // namespace derrd::test::training_test
