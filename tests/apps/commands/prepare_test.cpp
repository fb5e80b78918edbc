// prepare and synthesize: what they accept, print and write.

#include <gtest/gtest.h>

#include <filesystem>

#include "data/dataset.h"
#include "data/formats/safetensors.h"
#include "tests/apps/program.h"

namespace derrd::test::prepare_test {
namespace {

class Prepare : public testing::Test {
 protected:
  /// Runs it with these arguments and -o `data`, and expects it to work.
  Dataset prepare(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"prepare", "-o", data_});
    result_ = derrd(arguments);
    EXPECT_EQ(result_.exit_code, 0) << result_.err;
    return load_dataset(data_);
  }

  std::string write(const std::string& name, const std::string& text) {
    write_text(folder_ / name, text);
    return folder_ / name;
  }

  TemporaryFolder folder_;
  std::string data_ = folder_ / "data";
  Result result_;
};

TEST_F(Prepare, FiltersSplitsAndPrintsTheStatistics) {
  const std::string input = write("users.dat", "5 1 2 3 4 5\n1 9\n6 6 5 4 3 2 1\n6 1 2 3 4 5 5\n");
  const Dataset dataset = prepare({input, "--candidates", "2"});
  EXPECT_EQ(dataset.num_users(), 3);
  EXPECT_EQ(dataset.num_items(), 6);
  EXPECT_EQ(dataset.user_ids.numbers(), (std::vector<int64_t>{0, 2, 3}));
  EXPECT_EQ(dataset.train.num_interactions(), 10);
  EXPECT_EQ(dataset.num_candidates, 2);
  EXPECT_NE(result_.out.find("format citeulike"), std::string::npos) << result_.out;
  EXPECT_NE(result_.out.find("dropped 1 repeated"), std::string::npos) << result_.out;
  EXPECT_NE(result_.out.find("all                   3            6             16    11.111%"),
            std::string::npos)
      << result_.out;

  const auto options = nlohmann::json::parse(dataset.options);
  EXPECT_EQ(options["input"], input);
  EXPECT_EQ(options["format"], "citeulike");
  EXPECT_EQ(options["min-user"], 5);
  EXPECT_EQ(options["min-item"], 0);
  EXPECT_EQ(options["split-seed"], 0);
  EXPECT_EQ(options["candidates"], 2);
}

TEST_F(Prepare, TheSameSeedGivesTheSameFile) {
  const std::string input = write("users.dat", "5 1 2 3 4 5\n6 6 5 4 3 2 1\n7 1 2 3 4 5 6 7\n");
  prepare({input, "--split-seed", "3"});
  const std::string first = read_text(data_);
  prepare({input, "--seed", "3"});
  EXPECT_EQ(read_text(data_), first);
  prepare({input, "--seed", "4"});
  EXPECT_NE(read_text(data_), first);
}

TEST_F(Prepare, TakesColumnsRatingsAndHeaders) {
  const std::string input = write("a.csv", "stars,who,what\n5,u,a\n4,u,b\n1,u,c\n3,u,d\n");
  const Dataset dataset =
      prepare({input, "--user-column", "who", "--item-column", "what", "--rating-column", "stars",
               "--min-rating", "3", "--min-user", "1"});
  EXPECT_EQ(dataset.num_items(), 3);
  EXPECT_EQ(dataset.user_ids.text(0), "u");
  EXPECT_NE(result_.out.find("first line taken for a header"), std::string::npos);
  EXPECT_NE(result_.out.find("dropped 1 interactions below the rating"), std::string::npos);
  EXPECT_EQ(prepare({input, "--header", "no", "--min-user", "1"}).num_users(), 5);
}

TEST_F(Prepare, TakesAConfigurationFile) {
  const std::string input = write("users.dat", "5 1 2 3 4 5\n2 2 1\n1 7\n");
  const std::string config =
      write("c.toml", "input = \"" + input + "\"\nmin-user = 2\n[prepare]\ncandidates = 1\n");
  const Dataset dataset = prepare({"--config", config});
  EXPECT_EQ(dataset.num_users(), 2);
  EXPECT_EQ(dataset.num_candidates, 1);
  EXPECT_EQ(prepare({"--config", config, "--min-user", "1"}).num_users(), 3);
}

class ReadySplitCommand : public Prepare {
 protected:
  const std::vector<std::string> parts_ = {"--train", write("a.tsv", "0\t0\n1\t1\n0\t4\n"),
                                           "--valid", write("b.tsv", "0\t1\n"),
                                           "--test",  write("c.tsv", "0\t2\n1\t0\n")};
  std::vector<std::string> with(std::vector<std::string> more) const {
    more.insert(more.begin(), parts_.begin(), parts_.end());
    return more;
  }
  const std::string candidates_ = write("d.tsv", "0\t3\n1\t3\n1\t2\n");
};

TEST_F(ReadySplitCommand, DrawsCandidatesOrReadsThem) {
  EXPECT_EQ(prepare(with({})).num_candidates, 499);
  EXPECT_EQ(prepare(with({"--candidates", "2"})).num_candidates, 2);
  const std::vector<int32_t> expected = {3, -1, 2, 3};
  EXPECT_EQ(prepare(with({"--candidates", candidates_})).candidates, expected);
  EXPECT_EQ(prepare(with({"--candidates-file", candidates_})).candidates, expected);
}

TEST_F(ReadySplitCommand, UsageErrors) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"--train", parts_[1]},
           {"--train", parts_[1], "--valid", parts_[3]},
           {parts_[1], "--candidates", candidates_},
           {parts_[1], "--candidates-file", candidates_},
           with({"--min-user", "5"}),
           with({"--min-item", "1"}),
           with({parts_[1]}),
           with({"--candidates", candidates_, "--candidates-file", candidates_}),
           with({"--candidates", "0"}),
           with({"--candidates", "-1"}),
           {parts_[1], "--format", "xml"},
           {parts_[1], "--min-user", "-1"},
           {parts_[1], "--min-rating", "nan"},
           {}}) {
    std::vector<std::string> all = arguments;
    all.insert(all.begin(), {"prepare", "-o", data_});
    const Result result = derrd(all);
    EXPECT_EQ(result.exit_code, 2) << testing::PrintToString(arguments) << result.err;
    EXPECT_FALSE(std::filesystem::exists(data_));
  }
}

TEST_F(Prepare, FailuresNameFileAndLineAndLeaveNothingBehind) {
  const std::string good = write("good.dat", "5 1 2 3 4 5\n2 2 1\n");
  const std::string broken = write("broken.dat", "5 1 2 3 4 5\n3 2 1\n");
  struct Failure {
    std::vector<std::string> arguments;
    std::string message;
  };
  for (const auto& [arguments, message] : std::vector<Failure>{
           {{broken, "--format", "citeulike"}, "derrd: " + broken + ":2: announces 3 items"},
           {{folder_ / "none"}, "derrd: " + (folder_ / "none") + ": there is no such file"},
           {{good, "--min-user", "9"}, "derrd: " + good + ": no interactions remain; lower"},
           {{good, "--user-column", "2"}, "leave these options out"}}) {
    std::vector<std::string> all = arguments;
    all.insert(all.begin(), {"prepare", "-o", data_});
    const Result result = derrd(all);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.err.find(message), std::string::npos) << result.err;
  }
  const Result missing = derrd({"prepare", good, "-o", folder_ / "no/folder"});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_NE(missing.err.find("create the folder first"), std::string::npos) << missing.err;
  const Result same = derrd({"prepare", good, "-o", good});
  EXPECT_EQ(same.exit_code, 2);
  EXPECT_EQ(read_text(good), "5 1 2 3 4 5\n2 2 1\n");
  EXPECT_EQ(folder_.files(), (std::vector<std::string>{"broken.dat", "good.dat"}));
}

TEST(Synthesize, WritesTheDataSetItIsAskedFor) {
  const TemporaryFolder folder;
  const std::vector<std::string> arguments = {
      "synthesize", "--users",      "30", "--items",      "40", "--interactions", "300", "--skew",
      "0.5",        "--latent-dim", "3",  "--candidates", "7",  "--seed",         "9",   "-o"};
  const auto run = [&](const std::string& name) {
    std::vector<std::string> all = arguments;
    all.push_back(folder / name);
    EXPECT_EQ(derrd(all).exit_code, 0);
    return load_dataset(folder / name);
  };
  const Dataset dataset = run("a");
  const Statistics figures = statistics(dataset);
  EXPECT_EQ(figures.users, 30);
  EXPECT_EQ(figures.items, 40);
  EXPECT_EQ(figures.interactions, 300);
  EXPECT_EQ(dataset.num_candidates, 7);
  const auto options = nlohmann::json::parse(dataset.options);
  EXPECT_EQ(options["skew"], 0.5);
  EXPECT_EQ(options["latent-dim"], 3);
  EXPECT_EQ(options["seed"], 9);
  run("b");
  EXPECT_EQ(read_text(folder / "a"), read_text(folder / "b"));

  EXPECT_EQ(
      derrd({"synthesize", "--users", "30", "--interactions", "10", "-o", folder / "c"}).exit_code,
      1);
  EXPECT_EQ(derrd({"synthesize", "--skew", "nan", "-o", folder / "c"}).exit_code, 2);
  EXPECT_EQ(folder.files(), (std::vector<std::string>{"a", "b"}));
}

}  // namespace
}  // namespace derrd::test::prepare_test
