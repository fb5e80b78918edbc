// prepare and synthesize: what they accept, print and write.

#include <cstdlib>
#include <filesystem>

#include "data/dataset.h"
#include "tests/apps/program.h"

namespace derrd::test::prepare_test {
namespace {

class Prepare : public CommandTest {
 protected:
  /// The data set that it makes with these options.
  Dataset prepare(const std::string& options) {
    out_ = succeed(words("prepare -o @data", options)).out;
    return load_dataset(path("data"));
  }
  std::string out_;  ///< what the last call printed
};

TEST_F(Prepare, FiltersSplitsAndPrintsTheStatistics) {
  folder_.write("users.dat", "5 1 2 3 4 5\n1 9\n6 6 5 4 3 2 1\n6 1 2 3 4 5 5\n");
  const Dataset dataset = prepare("@users.dat --candidates 2");
  EXPECT_EQ(dataset.num_users(), 3);
  EXPECT_EQ(dataset.num_items(), 6);
  EXPECT_EQ(dataset.user_ids.numbers(), (std::vector<int64_t>{0, 2, 3}));
  EXPECT_EQ(dataset.train.num_interactions(), 10);
  EXPECT_EQ(dataset.num_candidates, 1) << "no user lacks two items";
  expect_contains(out_, {"format citeulike", "dropped 1 repeated",
                         "all                   3            6             16    11.111%"});
  const auto options = nlohmann::json::parse(dataset.options);
  EXPECT_EQ(options["input"], path("users.dat"));
  EXPECT_EQ(options["format"], "citeulike");
  EXPECT_EQ(options["min-user"], 5);
  EXPECT_EQ(options["min-item"], 0);
  EXPECT_EQ(options["split-seed"], 0);
  EXPECT_EQ(options["candidates"], 2);
}

TEST_F(Prepare, TheSameSeedGivesTheSameFile) {
  folder_.write("users.dat", "5 1 2 3 4 5\n6 6 5 4 3 2 1\n7 1 2 3 4 5 6 7\n");
  const auto file = [&](const std::string& seed) {
    prepare("@users.dat " + seed);
    return read_text(path("data"));
  };
  EXPECT_EQ(file("--seed 3"), file("--split-seed 3"));
  EXPECT_NE(file("--seed 4"), file("--split-seed 3"));
}

TEST_F(Prepare, TakesColumnsRatingsAndHeaders) {
  folder_.write("a.csv", "stars,who,what\n5,u,a\n4,u,b\n1,u,c\n3,u,d\n");
  const Dataset dataset = prepare(
      "@a.csv --user-column who --item-column what --rating-column stars --min-rating 3 "
      "--min-user 1");
  EXPECT_EQ(dataset.num_items(), 3);
  EXPECT_EQ(dataset.user_ids.text(0), "u");
  expect_contains(
      out_, {"header on line 1; user: column 2 `who`, item: column 3 `what`, rating: column 1",
             "dropped 1 interactions below the rating"});
  expect_exit(kFailure, words("prepare @a.csv --header no --min-user 1 -o @data"),
              {"a.csv: nothing is held out for the test of 5 users with 5 interactions; a user "
               "needs two or more"});
  EXPECT_EQ(prepare("@a.csv --header no --min-user 1 --user-column 2 --item-column 3").num_users(),
            2);
}

TEST_F(Prepare, SaysHowItTakesTheColumns) {
  folder_.write("r.csv", "item_id;user_id\ni1;u\ni2;u\n\ni3\n");
  const Dataset dataset = prepare("@r.csv --min-user 1 --candidates 1000000 --on-bad-line skip");
  EXPECT_EQ(dataset.num_users(), 1);
  EXPECT_EQ(dataset.num_candidates, 0) << "the only user has all items";
  expect_contains(out_, {"separator semicolon, header on line 1; user: column 2 `user_id`",
                         "skipped 1 bad line", "r.csv:5: has 1 column"});
  EXPECT_EQ(prepare("@r.csv --header no --separator ; --on-bad-line skip --min-user 1 "
                    "--user-column 2 --item-column 1")
                .num_users(),
            2);
  const auto options = nlohmann::json::parse(load_dataset(path("data")).options);
  EXPECT_EQ(options["separator"], ";");
  EXPECT_EQ(options["header"], "no");
  EXPECT_EQ(options["on-bad-line"], "skip");
}

TEST_F(Prepare, ReadsStandardInputPipesAndGzip) {
  folder_.write("a.tsv", "u\ta\nu\tb\nu\tc\nv\td\n");
  prepare("@a.tsv --min-user 1");
  const std::string hash = load_dataset(path("data")).hash;
  const auto reads = [&](const std::string& command, const std::string& input) {
    std::filesystem::remove(path("data"));
    const std::string whole = command + DERRD_PROGRAM + " prepare --min-user 1 -o '" +
                              path("data") + "' " + input + " > '" + path("out") + "'";
    EXPECT_EQ(std::system(whole.c_str()), 0) << whole;
    EXPECT_EQ(load_dataset(path("data")).hash, hash) << whole;
  };
  const std::string file = "'" + path("a.tsv") + "'";
  reads("cat " + file + " | ", "-");
  reads("gzip -c " + file + " | ", "/dev/stdin");
  reads("gzip -c " + file + " > '" + path("a.tsv.gz") + "'; ", "'" + path("a.tsv.gz") + "'");
}

TEST_F(Prepare, TakesAConfigurationFile) {
  const std::string input = folder_.write("users.dat", "5 1 2 3 4 5\n2 2 1\n1 7\n");
  folder_.write("c.toml", "input = \"" + input + "\"\nmin-user = 2\n[prepare]\ncandidates = 1\n");
  const Dataset dataset = prepare("--config @c.toml");
  EXPECT_EQ(dataset.num_users(), 2);
  EXPECT_EQ(dataset.num_candidates, 1);
  EXPECT_EQ(prepare("--config @c.toml --min-user 1").num_users(), 3);
}

class Split : public Prepare {
 protected:
  Split() {
    folder_.write("t.csv",
                  "user,item,time\nu,a,2015-01-01\nu,b,2015-01-02\nv,a,2015-01-03\n"
                  "u,c,2015-01-04\nv,d,2015-01-05\nu,d,2015-01-06\nw,a,2015-01-06\n");
  }
};

TEST_F(Split, TakesTheLatestOfEachUser) {
  const Dataset dataset = prepare("@t.csv --split last --min-user 1 --holdout 2 --candidates 1");
  EXPECT_EQ(dataset.train.offsets, (std::vector<int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(dataset.test.offsets, (std::vector<int64_t>{0, 2, 3, 3}));
  EXPECT_EQ(dataset.valid.offsets, (std::vector<int64_t>{0, 1, 1, 1}));
  expect_contains(
      out_, {"time: column 3 `time`", "times from 2015-01-01T00:00:00Z to 2015-01-06T00:00:00Z",
             "3 held-out items are in no training interaction"});
  const auto options = nlohmann::json::parse(dataset.options);
  EXPECT_EQ(options["split"], "last");
  EXPECT_EQ(options["holdout"], "2");
  EXPECT_FALSE(options.contains("time-test"));
}

TEST_F(Split, DividesAtMomentsAndSaysWhatItDrops) {
  const Dataset dataset = prepare(
      "@t.csv --split time --min-user 1 --time-column time --time-valid 2015-01-04 --time-test "
      "2015-01-05T12:00");
  EXPECT_EQ(dataset.num_users(), 2);
  EXPECT_EQ(dataset.train.items, (std::vector<int32_t>{0, 1, 0}));
  EXPECT_EQ(dataset.valid.items, (std::vector<int32_t>{2, 3}));
  EXPECT_EQ(dataset.test.items, (std::vector<int32_t>{3}));
  expect_contains(out_, {"training before 2015-01-04T00:00:00Z, validation from "
                         "2015-01-04T00:00:00Z on, test from 2015-01-05T12:00:00Z on",
                         "dropped 1 users without training interactions, with their 0 validation "
                         "and 1 test interactions",
                         "2 held-out items are in no training interaction"});
  const auto options = nlohmann::json::parse(dataset.options);
  EXPECT_EQ(options["split"], "time");
  EXPECT_EQ(options["time-column"], "time");
  EXPECT_EQ(options["time-valid"], "2015-01-04");
  EXPECT_EQ(options["time-test"], "2015-01-05T12:00");
  EXPECT_FALSE(options.contains("holdout"));
  EXPECT_EQ(options["valid-start"], "2015-01-04T00:00:00Z");
  EXPECT_TRUE(options.contains("test-start"));
}

TEST_F(Split, DefaultsAreNotInTheOptions) {
  prepare("@t.csv --min-user 1");
  const std::string file = read_text(path("data"));
  const auto options = nlohmann::json::parse(load_dataset(path("data")).options);
  for (const char* key : {"split", "holdout", "time-column", "time-test", "time-valid"}) {
    EXPECT_FALSE(options.contains(key)) << key;
  }
  prepare("@t.csv --min-user 1 --split random --holdout 1");
  EXPECT_EQ(read_text(path("data")), file);
  const Dataset two = prepare("@t.csv --min-user 1 --holdout 2");
  EXPECT_EQ(nlohmann::json::parse(two.options)["holdout"], "2");
  EXPECT_EQ(two.test.num_interactions(), 3);
}

TEST_F(Split, SaysThatNothingIsForValidation) {
  const std::string remark = "nothing is held out for validation: a training keeps its last epoch";
  prepare("@t.csv --split time --min-user 1 --time-valid 0.01");
  expect_contains(out_, {remark, "training before 2015-01-06T00:00:00Z, test from"});
  prepare("@t.csv --split time --min-user 1");
  EXPECT_FALSE(contains(out_, remark));
}

TEST_F(Split, WithoutCandidates) {
  const Dataset dataset = prepare("@t.csv --min-user 1 --candidates 0");
  EXPECT_EQ(dataset.num_candidates, 0);
  EXPECT_EQ(dataset.test.num_interactions(), 2);
}

TEST_F(Split, Refusals) {
  folder_.write("users.dat", "2 1 2\n2 3 4\n");
  for (const auto& [options, message] : std::vector<std::pair<const char*, const char*>>{
           {"@t.csv --split time --time-test 2016-01-01",
            "t.csv: none of the 7 interactions is in"},
           {"@t.csv --split time --time-test 1420070400", "t.csv: --time-test is a number"},
           {"@t.csv --split last --time-column item", "column 2 would be both item and time"},
           {"@users.dat --format citeulike --split last", "the format citeulike has no times"}}) {
    expect_exit(kFailure, words("prepare -o @data --min-user 1", options), {message});
  }
  for (const char* options :
       {"--time-test 0.1", "--time-valid 0.1", "--time-column 3", "--split last --time-test 0.1",
        "--split last --time-valid 0.1", "--split time --holdout 2", "--split first", "--holdout 0",
        "--holdout 1.5", "--split time --time-test x", "--split time --time-valid 01/02/2015"}) {
    expect_exit(kUsageError, words("prepare -o @data @t.csv", options));
  }
  EXPECT_FALSE(std::filesystem::exists(path("data")));
}

TEST_F(Split, TheHelpFitsTwoScreens) {
  const std::string help = succeed(words("prepare --help")).out;
  EXPECT_LE(lines_of(help).size(), 96u);
  for (const std::string& line : lines_of(help)) EXPECT_LE(line.size(), 100u) << line;
}

class ReadySplitCommand : public Prepare {
 protected:
  ReadySplitCommand() {
    folder_.write("a.tsv", "0\t0\n1\t1\n0\t4\n");
    folder_.write("b.tsv", "0\t1\n");
    folder_.write("c.tsv", "0\t2\n1\t0\n");
    folder_.write("d.tsv", "0\t3\n1\t3\n1\t2\n");
  }
  static constexpr const char* kParts = "--train @a.tsv --valid @b.tsv --test @c.tsv ";
};

TEST_F(ReadySplitCommand, DrawsCandidatesOrReadsThem) {
  const std::string parts = kParts;
  EXPECT_EQ(prepare(parts).num_candidates, 2) << "all that there are, instead of 499";
  EXPECT_EQ(prepare(parts + "--candidates 2").num_candidates, 2);
  const std::vector<int32_t> expected = {3, -1, 2, 3};
  EXPECT_EQ(prepare(parts + "--candidates @d.tsv").candidates, expected);
  EXPECT_EQ(prepare(parts + "--candidates-file @d.tsv").candidates, expected);
}

TEST_F(ReadySplitCommand, TellsWhatHasNoTraining) {
  folder_.write("cold.tsv", "0\t9\n7\t1\n1\t0\n");
  prepare("--train @a.tsv --test @cold.tsv");
  expect_contains(out_, {"1 of 3 users with held-out items have no training interaction",
                         "1 of 3 held-out items are in no training interaction"});
  prepare(kParts);
  expect_contains(out_, {"1 of 3 held-out items are in no training interaction"});
  EXPECT_FALSE(contains(out_, "users with held-out items have no")) << out_;
  const Arguments run = words("prepare -o @other --train @a.tsv --test");
  folder_.write("users.tsv", "007\t1\n008\t0\n");
  folder_.write("items.tsv", "0\t8\n1\t9\n");
  const std::string cure = "check that the files have the same ids in the same columns";
  expect_exit(kFailure, run + words("@users.tsv"), {"users.tsv: no user of the held-out", cure});
  expect_exit(kFailure, run + words("@items.tsv"), {"items.tsv: no item of the held-out", cure});
}

// A final model is trained on everything.
TEST_F(ReadySplitCommand, MayHaveNothingHeldOut) {
  folder_.write("e.tsv", "user\titem\n");
  const std::string test = "nothing is held out for the test: its metrics are unknown";
  const std::string valid = "nothing is held out for validation: a training keeps its last epoch";
  prepare("--train @a.tsv --test @e.tsv");
  expect_contains(out_, {test, valid});
  prepare(kParts);
  EXPECT_FALSE(contains(out_, "nothing is held out")) << out_;
}

TEST_F(ReadySplitCommand, UsageErrors) {
  for (const char* options :
       {"--min-user 5", "--min-item 1", "@a.tsv", "--candidates @d.tsv --candidates-file @d.tsv",
        "--candidates -1", "--split random", "--split last", "--holdout 2", "--time-test 0.1",
        "--time-valid 0.1", "--time-column 3"}) {
    expect_exit(kUsageError, words("prepare -o @data", kParts, options));
  }
  for (const char* options :
       {"", "--train @a.tsv", "--train @a.tsv --valid @b.tsv", "@a.tsv --candidates @d.tsv",
        "@a.tsv --candidates-file @d.tsv", "@a.tsv --format xml", "@a.tsv --min-user -1",
        "@a.tsv --min-rating nan", "@a.tsv --separator no", "@a.tsv --format inter --separator ;",
        "@a.tsv --user-column item --item-column item", "@a.tsv --on-bad-line x",
        "--train - --valid - --test @c.tsv"}) {
    expect_exit(kUsageError, words("prepare -o @data", options));
  }
  EXPECT_FALSE(std::filesystem::exists(path("data")));
}

TEST_F(Prepare, FailuresNameFileAndLineAndLeaveNothingBehind) {
  const std::string good = folder_.write("good.dat", "5 1 2 3 4 5\n2 2 1\n");
  const std::string broken = folder_.write("broken.dat", "5 1 2 3 4 5\n3 2 1\n");
  const std::vector<std::pair<const char*, std::string>> failures = {
      {"@broken.dat --format citeulike -o @data", "derrd: " + broken + ":2: announces 3 items"},
      {"@none -o @data", "derrd: " + path("none") + ": there is no such file"},
      {"@good.dat --min-user 9 -o @data", "derrd: " + good + ": no interactions remain; lower"},
      {"@good.dat --user-column 2 -o @data", "leave these options out"},
      {"@good.dat -o @no/folder", "create the folder first"}};
  for (const auto& [options, message] : failures) {
    expect_exit(kFailure, words("prepare", options), {message});
  }
  expect_exit(kUsageError, words("prepare @good.dat -o @good.dat"));
  EXPECT_EQ(read_text(good), "5 1 2 3 4 5\n2 2 1\n");
  EXPECT_EQ(folder_.names(), (Arguments{"broken.dat", "good.dat"}));
}

class Synthesize : public CommandTest {};

TEST_F(Synthesize, WritesTheDataSetItIsAskedFor) {
  for (const char* output : {"@a", "@b"}) {
    succeed(
        words("synthesize --users 30 --items 40 --interactions 300 --skew 0.5 --latent-dim 3 "
              "--candidates 7 --seed 9 -o",
              output));
  }
  EXPECT_EQ(read_text(path("a")), read_text(path("b")));
  const Dataset dataset = load_dataset(path("a"));
  const Statistics figures = statistics(dataset);
  EXPECT_EQ(figures.users, 30);
  EXPECT_EQ(figures.items, 40);
  EXPECT_EQ(figures.interactions, 300);
  EXPECT_EQ(dataset.num_candidates, 7);
  const auto options = nlohmann::json::parse(dataset.options);
  EXPECT_EQ(options["skew"], 0.5);
  EXPECT_EQ(options["latent-dim"], 3);
  EXPECT_EQ(options["seed"], 9);

  expect_exit(kFailure, words("synthesize --users 30 --interactions 10 -o @c"));
  expect_exit(kUsageError, words("synthesize --skew nan -o @c"));
  EXPECT_EQ(folder_.names(), (Arguments{"a", "b"}));
}

}  // namespace
}  // namespace derrd::test::prepare_test
