// Every command's help, exit codes, configuration files, and what info says.

#include <unistd.h>

#include <map>
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

class Commands : public CommandTest {};
class Info : public CommandTest {};

const std::vector<std::string> kCommands = {"prepare",  "synthesize", "train",     "distill",
                                            "evaluate", "recommend",  "reproduce", "search",
                                            "export",   "info"};

TEST_F(Commands, HelpOfEachHasAnExampleAndTheCommonOptions) {
  for (const std::string& command : kCommands) {
    const Result result = succeed({command, "--help"});
    expect_contains(result.out,
                    {"Example:\n  derrd " + command, "--config", "--seed", "--threads"});
  }
}

TEST_F(Commands, HelpFitsAHundredColumns) {
  std::vector<std::vector<std::string>> helps = {{"--help"}};
  for (const std::string& command : kCommands) helps.push_back({command, "--help"});
  for (const auto& help : helps) {
    for (const std::string& line : lines_of(derrd(help).out)) {
      if (line.starts_with("  derrd ")) continue;  // an example is to be copied
      EXPECT_LE(line.size(), 100u) << help[0] << ": " << line;
    }
  }
}

TEST_F(Commands, HelpShowsDefaults) {
  const std::string help = derrd({"distill", "--help"}).out;
  // The colon stands for a space.
  for (std::string option :
       words("--lr:FLOAT=0.001 --weight-decay:FLOAT=0.001 --batch:INT=1024 "
             "--row-updates:TEXT:{auto,lazy,every-step}=auto --graph:TEXT:{on,off}=on "
             "--epochs:INT=1000 --lambda-de:FLOAT=0.01 --experts:INT=30 --tau-end:FLOAT=1e-10 "
             "--k:INT=40 --l:INT=40 --t:FLOAT=10 --list:INT=500 "
             "--tau-start:FLOAT=1 --tau-horizon:INT=1000 --lambda-ir:FLOAT=0.0005 --ir-k:INT=20 "
             "--ir-l:INT=20 --ir-t:FLOAT=10 --ir-list:INT=500 --lambda-rd:FLOAT=1 --rd-k:INT=10 "
             "--rd-sharpness:FLOAT=1 --rd-mu:FLOAT=0.1 --rd-negatives:INT=100 --rd-warmup:INT=30 "
             "--lambda-cd:FLOAT=1 --cd-items:INT=50 --cd-list:INT=3000 --cd-t:FLOAT=150 "
             "--cd-t1:FLOAT=2 --cd-t2:FLOAT=0 --seed:UINT=0 --checkpoint-every:FLOAT=30")) {
    option[option.find(':')] = ' ';
    // CLI11 2.4 puts a default into brackets.
    const size_t equals = option.rfind('=');
    const std::string bracketed = option.substr(0, equals) + " [" + option.substr(equals + 1) + "]";
    EXPECT_TRUE(contains(help, option) || contains(help, bracketed)) << option << "\n" << help;
  }
}

TEST_F(Commands, VersionIsTold) {
  const Result result = succeed({"--version"});
  EXPECT_EQ(result.out, std::string("derrd ") + kVersion + "\n");
}

TEST_F(Commands, NoNumberOfThreadsMeansAll) {
  write_text(path("users.dat"), "3 0 1 2\n3 1 2 3\n3 2 3 4\n");
  write_text(path("recipe.toml"),
             "[prepare]\nformat = \"citeulike\"\nmin-user = 1\ncandidates = 2\n[bpr.teacher]\ndim "
             "= 2\n[bpr.rrd]\n");
  const std::vector<const char*> commands = {
      "prepare @users.dat --format citeulike --min-user 1 --candidates 2 -o @data",
      "synthesize --users 20 --items 30 --interactions 200 --candidates 5 -o @data",
      "train --data @data --dim 2 --epochs 1 --quiet -o @model",
      "distill --data @data --teacher @model --dim 1 --k 3 --l 3 --epochs 1 --quiet -o @student",
      "evaluate --data @data --model @model",
      "recommend --data @data --model @model",
      "reproduce --data citeulike=@users.dat --work @work --recipes @recipe.toml --table 1 "
      "--splits 0 -o @report --quiet",
      "search --data citeulike=@users.dat --work @work --method rrd --dry-run",
      "export @model -o @exported",
      "info"};
  ASSERT_EQ(commands.size(), kCommands.size());
  for (const char* command : commands) {
    succeed(words(command, "--threads 0"));
    expect_exit(kUsageError, words(command, "--threads -1"));
  }
}

TEST_F(Commands, UsageErrorsExitWithTwo) {
  const std::string most = std::to_string(kMaxRankingSamples);
  const std::map<std::string, std::vector<std::string>> usages = {
      {"",
       {"", "tain", "train", "train --data d", "evaluate --data d", "export m", "export -o f",
        "train --config /no/such/file.toml"}},
      {"train --data d -o m",
       {"--no-such-option", "--lr 0", "--lr nan", "--lr inf", "--weight-decay -1", "--batch 0",
        "--batch 2.5", "--epochs 99999999999", "--seed -1", "--threads -1", "--model svd",
        "--preset mine", "--row-updates never", "--graph never", "--resume"}},
      {"distill --data d -o m", {"--method de", "--method none", "--method xd --teacher t"}},
      {"distill --data d -o m --teacher t",
       {"--size 0.1 --dim 3",
        "--size 0",
        "--size 1e300",
        "--method de+",
        "--list 10 --k 11",
        "--tau-end 0",
        "--tau-end 1e-300",
        "--lambda-de 1e-300",
        "--lr 1e-300",
        "--tau-end 0.5 --tau-start 0.4",
        "--expert-floor 2",
        "--t 1e-300",
        "--method rrd+rrd",
        "--method none --auto-lambda",
        "--k 0",
        "--k " + most,
        "--l " + most,
        "--l 2.5",
        "--rd-k 513",
        "--rd-mu 0",
        "--cd-t1 0",
        "--method cd --cd-list 10 --cd-items 11",
        "--method ir --ir-list 10 --ir-k 11",
        "--method ir --ir-k 20 --ir-l 500"}},
      {"reproduce --data citeulike=d --work w", {"", "-o r --splits -1"}},
      {"search --data citeulike=d --work w", {"", "--method de --factor 1"}},
      {"recommend --data d --model m",
       {"--top 0", "--format xml", "--format safetensors", "--users 1 --users-file f"}},
      {"export m -o f",
       {"--format csv", "--format tsv", "--top 5", "--format npy --user-name P",
        "--format tsv --data d --item-name Q"}},
  };
  for (const auto& [command, all_options] : usages) {
    for (const std::string& options : all_options) {
      EXPECT_FALSE(expect_exit(kUsageError, words(command, options)).err.empty()) << options;
    }
  }
}

TEST_F(Commands, SlotsOfRankingDistillationAreLimited) {
  const std::string most = std::to_string(kMaxRankingSamples);
  const std::string most_of_a_kind = std::to_string(kMaxRankingSamples - 1);
  const auto refused = [&](const std::string& k, const std::string& l,
                           const std::vector<std::string>& parts) {
    expect_exit(kUsageError, words("distill --data d -o m --teacher t --list 600 --k", k, "--l", l),
                parts);
  };
  refused(most, "40", {"--k", "to " + most_of_a_kind});
  refused("40", most, {"--l", "to " + most_of_a_kind});
  refused(most_of_a_kind, "2", {"--k", "--l", "at most " + most, "lower"});
  EXPECT_TRUE(contains(derrd({"distill", "--help"}).out, "at most " + most + ":"));

  write_small_dataset(folder_);
  SmallModel(60, 120, 3).write(path("teacher"));
  succeed(
      words("distill --method rrd --data @data -o @model --teacher @teacher --dim 2 --epochs 1 "
            "--quiet --list 600 --l 1 --k",
            most_of_a_kind));
}

TEST_F(Commands, FailuresExitWithOneAndOneMessage) {
  write_text(path("text"), "not safetensors");
  for (const char* command :
       {"train --data @missing -o @model", "train --data @text -o @model",
        "evaluate --data @missing --model @text", "recommend --data @missing --model @text",
        "info @missing", "info @text"}) {
    const Result result = expect_exit(kFailure, words(command), {path("")});
    EXPECT_TRUE(result.err.starts_with("derrd: ")) << result.err;
  }
  EXPECT_EQ(folder_.names(), Arguments{"text"});
}

class Config : public CommandTest {
 protected:
  Config() { write_small_dataset(folder_); }

  void configure(const std::string& text) const { write_text(path("run.toml"), text); }
  /// The options in the metadata of a model trained with the configuration.
  nlohmann::json trained_options(const std::string& flags = "--data @data") const {
    succeed(words("train --quiet -o @model --config @run.toml", flags));
    return metadata_json(path("model"), "options");
  }
};

TEST_F(Config, GivesValuesAndTheCommandLineWins) {
  configure("data = \"" + path("data") + "\"\ndim = 7\nlr = 0.25\nepochs = 2\n");
  const auto options = trained_options("--dim 5");
  EXPECT_EQ(options["dim"], 5);
  EXPECT_EQ(options["lr"], 0.25);
  EXPECT_EQ(options["epochs"], 2);
}

TEST_F(Config, TheCommandLineWinsOverWhatExcludesIt) {
  SmallModel(60, 120, 10).write(path("teacher"));
  const auto dim_of = [&](const std::string& text, const std::string& flags) {
    configure(text);
    succeed(
        words("distill --config @run.toml --data @data --teacher @teacher --method none "
              "--epochs 1 --quiet -o @model",
              flags));
    return SafetensorsFile::read(path("model")).tensor("user_embedding").shape[1];
  };
  EXPECT_EQ(dim_of("dim = 7\n", "--size 0.5"), 5);
  EXPECT_EQ(dim_of("size = 0.5\n", "--dim 3"), 3);
  EXPECT_EQ(dim_of("size = 0.4\n", ""), 4);

  configure("dim = 7\nsize = 0.5\n");
  expect_exit(kUsageError,
              words("distill --config @run.toml --data @data --teacher @teacher -o @model"),
              {"--dim"});
}

TEST_F(Config, MayBeginWithAByteOrderMark) {
  configure(
      "\xEF\xBB\xBF"
      "dim = 6\nepochs = 1\n");
  EXPECT_EQ(trained_options()["dim"], 6);
}

TEST_F(Config, TablesOfOtherCommandsAreLeftAlone) {
  configure("epochs = 2\n[train]\ndim = 6\n[distill]\ndim = 9\nk = 3\n");
  const auto options = trained_options();
  EXPECT_EQ(options["dim"], 6);
}

TEST_F(Config, RejectsBadValuesAndUnknownKeys) {
  for (const char* text : {"dmi = 6\n", "lr = -1\n", "epochs = \"many\"\n",
                           "[training]\nepochs = 1\n", "[Train]\nlr = 0.1\n"}) {
    configure(text);
    expect_exit(kUsageError, words("train --config @run.toml --data @data -o @model"));
  }
}

TEST_F(Config, ErrorsNameFileAndLine) {
  for (const auto& [text, exit_code, what] :
       {std::tuple{"epochs = 1\ndmi = 6\n", 2, ":2: train has no option \"dmi\""},
        {"epochs = 1\n[training]\n", 2, ":2: there is no command \"training\""},
        {"[train.more]\nlr = 1\n", 2, ":1: train has no option \"more\""},
        {"lr = 0.1\nepochs 3\n", 1, ":2: "}}) {
    configure(text);
    expect_exit(exit_code, words("train --config @run.toml --data @data -o @model"),
                {path("run.toml") + what});
  }
}

TEST_F(Config, RejectsWhatWouldKeepTheParserBusy) {
  std::string dots = "a";
  for (int i = 0; i < 1'000'000; ++i) dots += ".a";
  const auto soon = [] { ::alarm(10); };
  for (const auto& [text, what] :
       {std::pair{"epochs = 1\n[" + dots + "]\n", ":2: the line has 2000003 bytes"},
        {dots + " = 1", ":1: the line has 2000005 bytes"},
        {"a = " + std::string(100'000, '['), ":1: the line has 100004 bytes"},
        {"a = " + std::string(10'000, '['), ":1: "},
        {std::string(size_t{5} << 20, '\n'), ": has 5242880 bytes"}}) {
    configure(text);
    for (const char* command :
         {"train --data @data -o @model --config @run.toml",
          "reproduce --data citeulike=@data --work @work -o @report --recipes @run.toml"}) {
      const Result result = derrd(words(command), soon);
      EXPECT_EQ(result.exit_code, kFailure) << "signal " << result.signal;
      expect_contains(result.err, {path("run.toml") + what});
    }
  }
}

TEST_F(Config, TakesALineOf16384Bytes) {
  std::string users;
  while (users.size() < 16300) users += "1, ";
  configure("epochs = 1\n[recommend]\nusers = [" + users + "]\n");
  trained_options();
}

TEST_F(Config, TakesFlagsAndLists) {
  configure("quiet = true\n[evaluate]\nmodel = [\"a\", \"b\"]\n");
  const Result trained =
      succeed(words("train --config @run.toml --data @data --dim 2 --epochs 1 -o @a"));
  EXPECT_EQ(trained.err, "");
  SmallModel(60, 120, 3).write(path("b"));
  configure("[evaluate]\njson = true\nmodel = [\"" + path("a") + "\", \"" + path("b") + "\"]\n");
  const Result both = succeed(words("evaluate --config @run.toml --data @data"));
  EXPECT_EQ(nlohmann::json::parse(both.out)["models"].size(), 2u);
}

TEST_F(Info, TellsWhatTheProgramRunsOn) {
  const Result result = succeed({"info"});
  for (const char* key :
       {"derrd", "compiler", "build", "backend", "device", "threads", "libraries", "arithmetic"}) {
    EXPECT_TRUE(contains("\n" + result.out, "\n" + std::string(key) + " "));
  }
}

TEST_F(Info, TellsWhatAFileIs) {
  const Dataset dataset = write_small_dataset(folder_);
  SmallModel(3, 4, 2).write(path("foreign"), "F16");
  succeed(words("train --data @data -o @model --dim 4 --epochs 2 --checkpoint @checkpoint"));
  succeed(words("recommend --data @data --model @model --top 3 --format safetensors -o @lists"));
  succeed(
      words("distill --data @data --teacher @model --method de --dim 2 --epochs 1 -o @student "
            "--snapshot-gate @gate"));
  const auto expect = [&](const std::string& file, const std::vector<std::string>& parts) {
    expect_contains(succeed({"info", path(file)}).out, parts);
  };
  expect("data", {"data set of derrd", "hash: " + dataset.hash, "tensor \"train_items\" I32"});
  expect("model", {"model of derrd", "dataset_hash: " + dataset.hash, "  dim: 4",
                   "tensor \"user_embedding\" F32 [60, 4]"});
  expect("checkpoint", {"checkpoint of derrd", "tensor \"first_moments\" F32"});
  expect("lists", {"recommendations of derrd", "dataset_hash: " + dataset.hash, "  top: 3",
                   "tensor \"items\" I32 [60, 3]"});
  expect("gate", {"gate record of derrd", "best_row: 1", "experts: 30",
                  "tensor \"user_expert\" I32 [2, 60]"});
  expect("foreign", {"usable as a teacher", "tensor \"item_embedding\" F16 [4, 2]"});
}

}  // namespace
}  // namespace derrd::test::commands_test
