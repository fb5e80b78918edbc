// Every command's help, exit codes, configuration files, and what info says.

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "data/formats/safetensors.h"
#include "data/version.h"
#include "kernels/distill/relaxed_ranking.h"
#include "tests/apps/program.h"

namespace derrd::test::commands_test {
namespace {

const std::vector<std::string> kCommands = {"prepare",  "synthesize", "train",     "distill",
                                            "evaluate", "recommend",  "reproduce", "search",
                                            "export",   "info"};

TEST(Commands, HelpOfEachHasAnExampleAndTheCommonOptions) {
  for (const std::string& command : kCommands) {
    const Result result = derrd({command, "--help"});
    EXPECT_EQ(result.exit_code, 0) << command;
    EXPECT_NE(result.out.find("Example:\n  derrd " + command), std::string::npos) << result.out;
    for (const char* option : {"--config", "--seed", "--threads"}) {
      EXPECT_NE(result.out.find(option), std::string::npos) << command << " " << option;
    }
  }
}

TEST(Commands, HelpFitsAHundredColumns) {
  std::vector<std::vector<std::string>> helps = {{"--help"}};
  for (const std::string& command : kCommands) helps.push_back({command, "--help"});
  for (const auto& help : helps) {
    for (const std::string& line : lines_of(derrd(help).out)) {
      if (line.starts_with("  derrd ")) continue;  // an example is to be copied
      EXPECT_LE(line.size(), 100u) << help[0] << ": " << line;
    }
  }
}

TEST(Commands, HelpShowsDefaults) {
  const std::string help = derrd({"distill", "--help"}).out;
  const std::vector<std::pair<std::string, std::string>> defaults = {
      {"--lr FLOAT", "0.001"},
      {"--weight-decay FLOAT", "0.001"},
      {"--batch INT", "1024"},
      {"--row-updates TEXT:{auto,lazy,every-step}", "auto"},
      {"--graph TEXT:{on,off}", "on"},
      {"--epochs INT", "1000"},
      {"--lambda-de FLOAT", "0.01"},
      {"--experts INT", "30"},
      {"--tau-end FLOAT", "1e-10"},
      {"--lambda-rrd FLOAT", "0.001"},
      {"--k INT", "40"},
      {"--l INT", "40"},
      {"--t FLOAT", "10"},
      {"--list INT", "500"},
      {"--tau-start FLOAT", "1"},
      {"--tau-horizon INT", "1000"},
      {"--lambda-ir FLOAT", "0.0005"},
      {"--ir-k INT", "20"},
      {"--ir-l INT", "20"},
      {"--ir-t FLOAT", "10"},
      {"--ir-list INT", "500"},
      {"--lambda-rd FLOAT", "1"},
      {"--rd-k INT", "10"},
      {"--rd-sharpness FLOAT", "1"},
      {"--rd-mu FLOAT", "0.1"},
      {"--rd-negatives INT", "100"},
      {"--rd-warmup INT", "30"},
      {"--lambda-cd FLOAT", "1"},
      {"--cd-items INT", "50"},
      {"--cd-list INT", "3000"},
      {"--cd-t FLOAT", "150"},
      {"--cd-t1 FLOAT", "2"},
      {"--cd-t2 FLOAT", "0"},
      {"--seed UINT", "0"},
      {"--checkpoint-every FLOAT", "30"}};
  for (const auto& [option, value] : defaults) {
    // CLI11 2.4 puts a default into brackets.
    const bool shown = help.find(option + "=" + value) != std::string::npos ||
                       help.find(option + " [" + value + "]") != std::string::npos;
    EXPECT_TRUE(shown) << option << " " << value << "\n" << help;
  }
}

TEST(Commands, VersionIsTold) {
  const Result result = derrd({"--version"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, std::string("derrd ") + kVersion + "\n");
}

TEST(Commands, NoNumberOfThreadsMeansAll) {
  const TemporaryFolder folder;
  const std::string data = folder / "data";
  const std::string model = folder / "model";
  write_text(folder / "users.dat", "3 0 1 2\n3 1 2 3\n3 2 3 4\n");
  write_text(folder / "recipe.toml",
             "[prepare]\nformat = \"citeulike\"\nmin-user = 1\ncandidates = 2\n[bpr.teacher]\ndim "
             "= 2\n[bpr.rrd]\n");
  const std::vector<std::vector<std::string>> commands = {
      {"prepare", folder / "users.dat", "--format", "citeulike", "--min-user", "1", "--candidates",
       "2", "-o", data},
      {"synthesize", "--users", "20", "--items", "30", "--interactions", "200", "--candidates", "5",
       "-o", data},
      {"train", "--data", data, "--dim", "2", "--epochs", "1", "--quiet", "-o", model},
      {"distill", "--data", data, "--teacher", model, "--dim", "1", "--k", "3", "--l", "3",
       "--epochs", "1", "--quiet", "-o", folder / "student"},
      {"evaluate", "--data", data, "--model", model},
      {"recommend", "--data", data, "--model", model},
      {"reproduce", "--data", "citeulike=" + (folder / "users.dat"), "--work", folder / "work",
       "--recipes", folder / "recipe.toml", "--table", "1", "--splits", "0", "-o",
       folder / "report", "--quiet"},
      {"search", "--data", "citeulike=" + (folder / "users.dat"), "--work", folder / "work",
       "--method", "rrd", "--dry-run"},
      {"export", model, "-o", folder / "exported"},
      {"info"},
  };
  ASSERT_EQ(commands.size(), kCommands.size());
  for (auto arguments : commands) {
    arguments.insert(arguments.end(), {"--threads", "0"});
    const Result result = derrd(arguments);
    EXPECT_EQ(result.exit_code, 0) << arguments[0] << result.err;
    arguments.back() = "-1";
    EXPECT_EQ(derrd(arguments).exit_code, 2) << arguments[0];
  }
}

TEST(Commands, UsageErrorsExitWithTwo) {
  const std::vector<std::vector<std::string>> usages = {
      {},
      {"tain"},
      {"train"},
      {"train", "--data", "d"},
      {"train", "--data", "d", "-o", "m", "--no-such-option"},
      {"train", "--data", "d", "-o", "m", "--lr", "0"},
      {"train", "--data", "d", "-o", "m", "--lr", "nan"},
      {"train", "--data", "d", "-o", "m", "--lr", "inf"},
      {"train", "--data", "d", "-o", "m", "--weight-decay", "-1"},
      {"train", "--data", "d", "-o", "m", "--batch", "0"},
      {"train", "--data", "d", "-o", "m", "--batch", "2.5"},
      {"train", "--data", "d", "-o", "m", "--epochs", "99999999999"},
      {"train", "--data", "d", "-o", "m", "--seed", "-1"},
      {"train", "--data", "d", "-o", "m", "--threads", "-1"},
      {"train", "--data", "d", "-o", "m", "--model", "svd"},
      {"train", "--data", "d", "-o", "m", "--preset", "mine"},
      {"train", "--data", "d", "-o", "m", "--row-updates", "never"},
      {"train", "--data", "d", "-o", "m", "--graph", "never"},
      {"train", "--data", "d", "-o", "m", "--resume"},
      {"distill", "--data", "d", "-o", "m", "--method", "de"},
      {"distill", "--data", "d", "-o", "m", "--method", "none"},
      {"distill", "--data", "d", "-o", "m", "--method", "xd", "--teacher", "t"},
      {"distill", "--data", "d", "-o", "m", "--teacher", "t", "--size", "0.1", "--dim", "3"},
      {"distill", "--data", "d", "-o", "m", "--teacher", "t", "--size", "0"},
      {"distill", "--data", "d", "-o", "m", "--teacher", "t", "--size", "1e300"},
      {"distill", "--data", "d", "-o", "m", "--teacher", "t", "--method", "de+"},
      {"distill", "--data", "d", "-o", "m", "--teacher", "t", "--list", "10", "--k", "11"},
      {"distill", "--data", "d", "-o", "m", "--teacher", "t", "--tau-end", "0"},
      {"distill", "--data", "d", "-o", "m", "--teacher", "t", "--tau-end", "1e-300"},
      {"distill", "--data", "d", "-o", "m", "--teacher", "t", "--tau-end", "0.5", "--tau-start",
       "0.4"},
      {"distill", "--data", "d", "-o", "m", "--teacher", "t", "--expert-floor", "2"},
      {"distill", "--data", "d", "-o", "m", "--teacher", "t", "--t", "1e-300"},
      {"distill", "--data", "d", "-o", "m", "--teacher", "t", "--method", "rrd+rrd"},
      {"distill", "--data", "d", "-o", "m", "--teacher", "t", "--method", "none", "--auto-lambda"},
      {"distill", "--data", "d", "-o", "m", "--teacher", "t", "--k", "0"},
      {"distill", "--data", "d", "-o", "m", "--teacher", "t", "--k",
       std::to_string(kMaxRankingSamples)},
      {"distill", "--data", "d", "-o", "m", "--teacher", "t", "--l",
       std::to_string(kMaxRankingSamples)},
      {"distill", "--data", "d", "-o", "m", "--teacher", "t", "--l", "2.5"},
      {"distill", "--data", "d", "-o", "m", "--teacher", "t", "--rd-k", "513"},
      {"distill", "--data", "d", "-o", "m", "--teacher", "t", "--rd-mu", "0"},
      {"distill", "--data", "d", "-o", "m", "--teacher", "t", "--cd-t1", "0"},
      {"distill", "--data", "d", "-o", "m", "--teacher", "t", "--method", "cd", "--cd-list", "10",
       "--cd-items", "11"},
      {"distill", "--data", "d", "-o", "m", "--teacher", "t", "--method", "ir", "--ir-list", "10",
       "--ir-k", "11"},
      {"distill", "--data", "d", "-o", "m", "--teacher", "t", "--method", "ir", "--ir-k", "20",
       "--ir-l", "500"},
      {"evaluate", "--data", "d"},
      {"reproduce", "--data", "citeulike=d", "--work", "w"},
      {"reproduce", "--data", "citeulike=d", "--work", "w", "-o", "r", "--splits", "-1"},
      {"search", "--data", "citeulike=d", "--work", "w"},
      {"search", "--data", "citeulike=d", "--work", "w", "--method", "de", "--factor", "1"},
      {"recommend", "--data", "d", "--model", "m", "--top", "0"},
      {"recommend", "--data", "d", "--model", "m", "--format", "xml"},
      {"recommend", "--data", "d", "--model", "m", "--format", "safetensors"},
      {"recommend", "--data", "d", "--model", "m", "--users", "1", "--users-file", "f"},
      {"export", "m"},
      {"export", "-o", "f"},
      {"export", "m", "-o", "f", "--format", "csv"},
      {"export", "m", "-o", "f", "--format", "tsv"},
      {"export", "m", "-o", "f", "--top", "5"},
      {"export", "m", "-o", "f", "--format", "npy", "--user-name", "P"},
      {"export", "m", "-o", "f", "--format", "tsv", "--data", "d", "--item-name", "Q"},
      {"train", "--config", "/no/such/file.toml"},
  };
  for (const auto& arguments : usages) {
    std::string shown;
    for (const std::string& argument : arguments) shown += argument + " ";
    const Result result = derrd(arguments);
    EXPECT_EQ(result.exit_code, 2) << shown;
    EXPECT_FALSE(result.err.empty()) << shown;
  }
}

TEST(Commands, SlotsOfRankingDistillationAreLimited) {
  const std::string most = std::to_string(kMaxRankingSamples);
  const int64_t most_of_a_kind = kMaxRankingSamples - 1;
  const auto refused = [](int64_t k, int64_t l, const std::vector<std::string>& texts) {
    const Result result = derrd({"distill", "--data", "d", "-o", "m", "--teacher", "t", "--k",
                                 std::to_string(k), "--l", std::to_string(l), "--list", "600"});
    EXPECT_EQ(result.exit_code, 2) << result.err;
    for (const std::string& text : texts) {
      EXPECT_NE(result.err.find(text), std::string::npos) << text << "\n" << result.err;
    }
  };
  refused(most_of_a_kind + 1, 40, {"--k", "to " + std::to_string(most_of_a_kind)});
  refused(40, most_of_a_kind + 1, {"--l", "to " + std::to_string(most_of_a_kind)});
  refused(most_of_a_kind, 2, {"--k", "--l", "at most " + most, "lower"});
  const std::string help = derrd({"distill", "--help"}).out;
  EXPECT_NE(help.find("at most " + most + ":"), std::string::npos) << help;

  const TemporaryFolder folder;
  write_small_dataset(folder);
  SmallModel(60, 120, 3).write(folder / "teacher");
  std::vector<std::string> most_slots = {"distill",        "--method",      "rrd",
                                         "--data",         folder / "data", "-o",
                                         folder / "model", "--teacher",     folder / "teacher"};
  for (const char* more : {"--dim=2", "--epochs=1", "--quiet", "--list=600", "--l=1"}) {
    most_slots.emplace_back(more);
  }
  most_slots.push_back("--k=" + std::to_string(most_of_a_kind));
  const Result longest = derrd(most_slots);
  EXPECT_EQ(longest.exit_code, 0) << longest.err;
}

TEST(Commands, FailuresExitWithOneAndOneMessage) {
  const TemporaryFolder folder;
  const std::string output = folder / "model";
  write_text(folder / "text", "not safetensors");
  const std::vector<std::vector<std::string>> failures = {
      {"train", "--data", folder / "missing", "-o", output},
      {"train", "--data", folder / "text", "-o", output},
      {"evaluate", "--data", folder / "missing", "--model", folder / "text"},
      {"recommend", "--data", folder / "missing", "--model", folder / "text"},
      {"info", folder / "missing"},
      {"info", folder / "text"},
  };
  for (const auto& arguments : failures) {
    const Result result = derrd(arguments);
    EXPECT_EQ(result.exit_code, 1) << arguments[0];
    EXPECT_TRUE(result.err.starts_with("derrd: ")) << result.err;
    EXPECT_NE(result.err.find(folder / ""), std::string::npos) << result.err;
  }
  EXPECT_EQ(folder.files(), std::vector<std::string>{"text"});
}

class Config : public testing::Test {
 protected:
  Config() { write_small_dataset(folder_); }

  /// The options in the metadata of a model trained with these arguments.
  nlohmann::json options_of(std::vector<std::string> arguments) {
    const std::string model = folder_ / "model";
    arguments.insert(arguments.begin(), {"train", "--quiet", "-o", model});
    const Result result = derrd(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    if (result.exit_code != 0) return {};
    return nlohmann::json::parse(SafetensorsFile::read(model).metadata_or("options", ""));
  }
  TemporaryFolder folder_;
};

TEST_F(Config, GivesValuesAndTheCommandLineWins) {
  write_text(folder_ / "run.toml",
             "data = \"" + (folder_ / "data") + "\"\ndim = 7\nlr = 0.25\nepochs = 2\n");
  const auto options = options_of({"--config", folder_ / "run.toml", "--dim", "5"});
  EXPECT_EQ(options["dim"], 5);
  EXPECT_EQ(options["lr"], 0.25);
  EXPECT_EQ(options["epochs"], 2);
}

TEST_F(Config, TheCommandLineWinsOverWhatExcludesIt) {
  SmallModel(60, 120, 10).write(folder_ / "teacher");
  const auto dim_of = [&](const std::string& text, const std::vector<std::string>& flags) {
    write_text(folder_ / "run.toml", text);
    std::vector<std::string> arguments = {"distill",
                                          "--config",
                                          folder_ / "run.toml",
                                          "--data",
                                          folder_ / "data",
                                          "--teacher",
                                          folder_ / "teacher",
                                          "--method",
                                          "none",
                                          "--epochs",
                                          "1",
                                          "--quiet",
                                          "-o",
                                          folder_ / "model"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const Result result = derrd(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return SafetensorsFile::read(folder_ / "model").tensor("user_embedding").shape[1];
  };
  EXPECT_EQ(dim_of("dim = 7\n", {"--size", "0.5"}), 5);
  EXPECT_EQ(dim_of("size = 0.5\n", {"--dim", "3"}), 3);
  EXPECT_EQ(dim_of("size = 0.4\n", {}), 4);

  write_text(folder_ / "run.toml", "dim = 7\nsize = 0.5\n");
  const Result both =
      derrd({"distill", "--config", folder_ / "run.toml", "--data", folder_ / "data", "--teacher",
             folder_ / "teacher", "-o", folder_ / "model"});
  EXPECT_EQ(both.exit_code, 2) << both.err;
  EXPECT_NE(both.err.find("--dim"), std::string::npos) << both.err;
}

TEST_F(Config, MayBeginWithAByteOrderMark) {
  write_text(folder_ / "run.toml",
             "\xEF\xBB\xBF"
             "dim = 6\nepochs = 1\n");
  EXPECT_EQ(options_of({"--config", folder_ / "run.toml", "--data", folder_ / "data"})["dim"], 6);
}

TEST_F(Config, TablesOfOtherCommandsAreLeftAlone) {
  write_text(folder_ / "run.toml", "epochs = 2\n[train]\ndim = 6\n[distill]\ndim = 9\nk = 3\n");
  const auto options = options_of({"--config", folder_ / "run.toml", "--data", folder_ / "data"});
  EXPECT_EQ(options["dim"], 6);
}

TEST_F(Config, ValuesAreCheckedAndUnknownKeysRefused) {
  for (const char* text : {"dmi = 6\n", "lr = -1\n", "epochs = \"many\"\n",
                           "[training]\nepochs = 1\n", "[Train]\nlr = 0.1\n"}) {
    write_text(folder_ / "run.toml", text);
    const Result result = derrd({"train", "--config", folder_ / "run.toml", "--data",
                                 folder_ / "data", "-o", folder_ / "model"});
    EXPECT_EQ(result.exit_code, 2) << text << result.err;
  }
}

TEST_F(Config, ErrorsNameFileAndLine) {
  for (const auto& [text, exit_code, what] :
       {std::tuple{"epochs = 1\ndmi = 6\n", 2, ":2: train has no option \"dmi\""},
        {"epochs = 1\n[training]\n", 2, ":2: there is no command \"training\""},
        {"[train.more]\nlr = 1\n", 2, ":1: train has no option \"more\""},
        {"lr = 0.1\nepochs 3\n", 1, ":2: "}}) {
    write_text(folder_ / "run.toml", text);
    const Result result = derrd({"train", "--config", folder_ / "run.toml", "--data",
                                 folder_ / "data", "-o", folder_ / "model"});
    EXPECT_EQ(result.exit_code, exit_code) << text << result.err;
    EXPECT_NE(result.err.find((folder_ / "run.toml") + what), std::string::npos) << result.err;
  }
}

TEST_F(Config, TakesFlagsAndLists) {
  write_text(folder_ / "run.toml", "quiet = true\n[evaluate]\nmodel = [\"a\", \"b\"]\n");
  const Result trained =
      derrd({"train", "--config", folder_ / "run.toml", "--data", folder_ / "data", "--dim", "2",
             "--epochs", "1", "-o", folder_ / "a"});
  EXPECT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_EQ(trained.err, "");
  SmallModel(60, 120, 3).write(folder_ / "b");
  write_text(folder_ / "run.toml", "[evaluate]\njson = true\nmodel = [\"" + (folder_ / "a") +
                                       "\", \"" + (folder_ / "b") + "\"]\n");
  const Result both =
      derrd({"evaluate", "--config", folder_ / "run.toml", "--data", folder_ / "data"});
  EXPECT_EQ(both.exit_code, 0) << both.err;
  EXPECT_EQ(nlohmann::json::parse(both.out)["models"].size(), 2u);
}

TEST(Info, TellsWhatTheProgramRunsOn) {
  const Result result = derrd({"info"});
  EXPECT_EQ(result.exit_code, 0);
  for (const char* key :
       {"derrd", "compiler", "build", "backend", "device", "threads", "libraries"}) {
    EXPECT_NE(("\n" + result.out).find("\n" + std::string(key) + " "), std::string::npos)
        << key << "\n"
        << result.out;
  }
}

TEST(Info, TellsWhatAFileIs) {
  const TemporaryFolder folder;
  const Dataset dataset = write_small_dataset(folder);
  SmallModel(3, 4, 2).write(folder / "foreign", "F16");
  ASSERT_EQ(derrd({"train", "--data", folder / "data", "-o", folder / "model", "--dim", "4",
                   "--epochs", "2", "--checkpoint", folder / "checkpoint"})
                .exit_code,
            0);
  ASSERT_EQ(derrd({"recommend", "--data", folder / "data", "--model", folder / "model", "--top",
                   "3", "--format", "safetensors", "-o", folder / "lists"})
                .exit_code,
            0);
  const auto expect = [&](const char* file, const std::vector<std::string>& texts) {
    const Result result = derrd({"info", folder / file});
    EXPECT_EQ(result.exit_code, 0);
    for (const std::string& text : texts) {
      EXPECT_NE(result.out.find(text), std::string::npos) << text << "\n" << result.out;
    }
  };
  expect("data", {"data set of derrd", "hash: " + dataset.hash, "tensor \"train_items\" I32"});
  expect("model", {"model of derrd", "dataset_hash: " + dataset.hash, "  dim: 4",
                   "tensor \"user_embedding\" F32 [60, 4]"});
  expect("checkpoint", {"checkpoint of derrd", "tensor \"first_moments\" F32"});
  expect("lists", {"recommendations of derrd", "dataset_hash: " + dataset.hash, "  top: 3",
                   "tensor \"items\" I32 [60, 3]"});
  expect("foreign", {"usable as a teacher", "tensor \"item_embedding\" F16 [4, 2]"});
}

}  // namespace
}  // namespace derrd::test::commands_test
