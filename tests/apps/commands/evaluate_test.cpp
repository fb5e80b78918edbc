// `derrd evaluate`: other programs' lists, intervals, users, and what is said aloud. Values are
// checked in metrics_check.py.

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <sstream>

#include "data/formats/safetensors.h"
#include "tests/apps/program.h"

namespace derrd::test::evaluate_test {
namespace {

/// Two users and 40 items, whose scores a model gives to both users. User "a" trained with item 0
/// and has the test items 1 and 30, user "b" trained with item 2 and has the test item 3 and the
/// validation item 5; only "a" has candidates.
class EvaluateLists : public CommandTest {
 protected:
  static constexpr int32_t kItems = 40;

  EvaluateLists() {
    dataset_.train = {{0, 1, 2}, {0, 2}};
    dataset_.valid = {{0, 0, 1}, {5}};
    dataset_.test = {{0, 2, 3}, {1, 30, 3}};
    dataset_.num_candidates = 6;
    dataset_.candidates = {10, 11, 12, 13, 14, 15, -1, -1, -1, -1, -1, -1};
    const std::vector<std::string_view> users = {"a", "b"};
    dataset_.user_ids = IdTable::from_texts(users);
    dataset_.item_ids = IdTable::identity(kItems);
    save_dataset(dataset_, path("data"));
    score_.resize(kItems);
    std::iota(score_.rbegin(), score_.rend(), 1.0f);  // item 0 has the highest score
    write_model("model", score_);
  }

  void write_model(const std::string& name, const std::vector<float>& scores) const {
    const std::vector<float> user(2, 1.0f);
    write_safetensors(path(name),
                      {{"user_embedding", tensor_view(std::span(user), {2, 1})},
                       {"item_embedding", tensor_view(std::span(scores), {kItems, 1})}},
                      {});
  }

  static nlohmann::json parsed(const Result& result) { return nlohmann::json::parse(result.out); }

  Dataset dataset_;
  std::vector<float> score_;
};

TEST_F(EvaluateLists, TheListsOfAModelGiveItsFigures) {
  succeed(words("recommend --data @data --model @model --top 40 -o @lists.tsv"));
  succeed(words("recommend --data @data --model @model --top 40 --format safetensors -o @lists"));
  for (const char* options : {"", " --exclude-valid"}) {
    const auto models = parsed(
        succeed(words("evaluate --data @data --model @model --lists @lists.tsv @lists --json",
                      options)))["models"];
    ASSERT_EQ(models.size(), 3u);
    EXPECT_FALSE(models[0]["full"]["NDCG@50"].is_null());
    EXPECT_EQ(models[1]["full"], models[0]["full"]);
    EXPECT_EQ(models[2]["full"], models[0]["full"]);
    EXPECT_FALSE(models[1].contains("test"));
  }
}

TEST_F(EvaluateLists, SayWhatIsLeftOutAndWhoHasNone) {
  std::string lines = "a\t0\na\tnew\nnobody\t1\na\t7\na\t1\n";
  for (int32_t item = 8; item < 21; ++item) lines += "a\t" + std::to_string(item) + "\n";
  write_text(path("lists.tsv"), lines);
  const Result result = succeed(words("evaluate --data @data --lists @lists.tsv --json"));
  expect_contains(result.err,
                  {"lists of 1 of 2 users with test items; the other 1 count as misses",
                   "left out 1 users and 1 items that the data set does not have",
                   "and 1 items that their user trained with",
                   "metrics at 20 and more are unknown: the longest list has 15 items"});
  const auto full = parsed(result)["models"][0]["full"];
  EXPECT_EQ(full["MRR@10"], 0.5 / 2);  // "a" finds item 1 behind item 7, "b" finds none
  EXPECT_EQ(full["Recall@10"], 0.5 / 2);
  EXPECT_EQ(full["coverage@10"], 10.0 / kItems);
  for (const char* name : {"Recall@20", "gini@20", "MAP@50"}) {
    EXPECT_TRUE(full[name].is_null()) << name;
  }
  const Result table = succeed(words("evaluate --data @data --lists @lists.tsv --ci"));
  std::istringstream cells(table.out);
  const auto unknown = std::count(std::istream_iterator<std::string>(cells), {}, "-");
  // Two cutoffs of 9 figures; 12 metrics without value and interval, 18 without difference.
  EXPECT_EQ(unknown, 2 * 9 + 2 * 12 + 2 * 18) << table.out;
  EXPECT_FALSE(contains(table.out, "candidates")) << table.out;
}

// A list that ends before K says nothing of the places behind its end.
TEST_F(EvaluateLists, ShortenedListsAreWarnedOf) {
  succeed(words("recommend --data @data --model @model --top 10 -o @ten.tsv"));
  const Arguments run = words("evaluate --data @data --lists @ten.tsv --json");
  EXPECT_FALSE(contains(succeed(run).err, "warning"));
  expect_contains(succeed(run + words("--exclude-valid")).err,
                  {"warning: " + path("ten.tsv") +
                   ": 1 of 2 lists have fewer than 10 items without those left out"});
}

TEST_F(EvaluateLists, ListsOfSelectedItemsAreWarnedOf) {
  write_text(path("items"), "3\n4\n9\n");
  succeed(
      words("recommend --data @data --model @model --items @items --format safetensors "
            "-o @lists"));
  expect_contains(succeed(words("evaluate --data @data --lists @lists")).err,
                  {"ranks 3 items alone, so its metrics are not those of a ranking of all items"});
}

TEST_F(EvaluateLists, LeaveValidationItemsOutIfAsked) {
  write_text(path("lists.tsv"), "b\t5\nb\t3\n");
  const Result whole = succeed(words("evaluate --data @data --lists @lists.tsv --ci --json"));
  const Result without =
      succeed(words("evaluate --data @data --lists @lists.tsv --exclude-valid --json"));
  expect_contains(without.err, {"and 1 that are validation items"});
  EXPECT_TRUE(parsed(whole)["models"][0]["full"]["MRR@10"].is_null());  // too short
  write_text(path("lists.tsv"),
             "b\t5\nb\t6\nb\t3\nb\t7\nb\t8\nb\t9\nb\t10\nb\t11\nb\t12\nb\t13\nb"
             "\t14\n");
  const auto mrr = [&](const char* options) {
    return parsed(succeed(words("evaluate --data @data --lists @lists.tsv --json",
                                options)))["models"][0]["full"]["MRR@10"];
  };
  EXPECT_EQ(mrr(""), 1.0 / 3 / 2);
  EXPECT_EQ(mrr(" --exclude-valid"), 1.0 / 2 / 2);
}

TEST_F(EvaluateLists, RejectsListsOfNobody) {
  write_text(path("lists.tsv"), "0\t1\n1\t3\n");
  expect_exit(kFailure, words("evaluate --data @data --lists @lists.tsv"),
              {"no user with a test item has a list", "\"0\"", "the file that the data set was"});
  expect_exit(kFailure, words("evaluate --data @data --lists @model"),
              {"has no tensor items", "--model"});
  expect_exit(kUsageError, words("evaluate --data @data"), {"--model, --lists or both"});
}

TEST_F(EvaluateLists, SaysWhereCandidatesAndAllItemsDisagree) {
  // The test items of "a" are best among its candidates and behind all other items; and reversed.
  std::vector<float> other(kItems, 5.0f);
  for (const int32_t item : {1, 30}) other[static_cast<size_t>(item)] = 4.0f;
  for (int32_t item = 10; item < 16; ++item) other[static_cast<size_t>(item)] = 3.0f;
  other[3] = 4.0f;
  write_model("other", other);
  std::vector<float> reversed(kItems, 1.0f);
  for (const int32_t item : {1, 3, 30}) reversed[static_cast<size_t>(item)] = 4.0f;
  for (int32_t item = 10; item < 13; ++item) reversed[static_cast<size_t>(item)] = 5.0f;
  write_model("reversed", reversed);
  const std::string run = "evaluate --data @data --model @other @reversed";
  const Result tables = succeed(words(run));
  expect_contains(tables.out, {path("other") + " and " + path("reversed") +
                                   ": candidates and all items put them in opposite orders: N@10 "
                                   "is 1.000000 and 0.430677, NDCG@10 is 0.000000 and 0.",
                               "1 of 2 users with test items have no candidates: they"});
  const auto json = parsed(succeed(words(run, " --json")));
  ASSERT_EQ(json["opposite_orders"].size(), 1u);
  EXPECT_EQ(json["opposite_orders"][0]["models"], (Arguments{path("other"), path("reversed")}));
  EXPECT_EQ(json["data"]["test_users_without_candidates"], 1);

  const Result same = succeed(words("evaluate --data @data --model @model @model"));
  EXPECT_FALSE(contains(same.out, "opposite"));

  // Equal among all items, where neither finds a test item, and different among candidates.
  for (int32_t item = 10; item < 16; ++item) other[static_cast<size_t>(item)] = 6.0f;
  write_model("neither", other);
  for (const char* models : {"@neither @other", "@other @neither"}) {
    const auto equal = parsed(succeed(words("evaluate --data @data --json --model", models)));
    EXPECT_EQ(equal["models"][0]["full"]["NDCG@10"], equal["models"][1]["full"]["NDCG@10"]);
    EXPECT_NE(equal["models"][0]["test"]["N@10"], equal["models"][1]["test"]["N@10"]);
    EXPECT_TRUE(equal["opposite_orders"].empty()) << equal["opposite_orders"];
  }
}

TEST_F(EvaluateLists, TellsWhereItRan) {
  const auto told = [&](const char* threads) {
    return parsed(succeed(words("evaluate --data @data --model @model --json --threads", threads)));
  };
  EXPECT_TRUE(contains(succeed({"info"}).out, told("1")["device"].get<std::string>()));
  EXPECT_EQ(told("1")["threads"], 1);
#ifdef DERRD_BACKEND_CPU
  EXPECT_EQ(told("3")["threads"], 3);
#endif
}

TEST_F(EvaluateLists, IntervalsOfDifferencesArePaired) {
  write_model("again", score_);
  const Result result = succeed(words("evaluate --data @data --model @model @again --ci --json"));
  const auto models = parsed(result)["models"];
  const auto& first = models[0]["ci"]["full"]["NDCG@10"];
  EXPECT_TRUE(first["difference"].is_null());
  EXPECT_LT(first["interval"][0], first["interval"][1]);
  for (const char* part : {"test", "full"}) {
    for (const auto& [name, estimate] : models[1]["ci"][part].items()) {
      EXPECT_EQ(estimate["difference"], 0.0) << name;
      EXPECT_EQ(estimate["difference_interval"], (std::vector<double>{0, 0})) << name;
    }
  }
  write_text(path("lists.tsv"), "b\t5\nb\t3\n");
  const Result tables =
      succeed(words("evaluate --data @data --model @model @again --lists @lists.tsv --ci"));
  expect_contains(tables.out, {"95 % interval", "[0.0000, 0.0000]", "+0.0000", "difference"});
  const auto lines = lines_of(tables.out);
  const auto lines_with = [&](const std::string& metric) {
    return std::ranges::count_if(
        lines, [&](const std::string& line) { return line.starts_with(metric + " "); });
  };
  EXPECT_EQ(lines_with("N@10"), 2) << tables.out;  // lists have no figures among candidates
  EXPECT_EQ(lines_with("NDCG@10"), 3) << tables.out;
}

TEST_F(EvaluateLists, PerUserFileHasALinePerModelAndUser) {
  const Result result =
      succeed(words("evaluate --data @data --model @model @model --per-user @users.tsv"));
  const auto lines = lines_of(read_text(path("users.tsv")));
  ASSERT_EQ(lines.size(), 5u);
  const auto names = cells_of(lines[0]), a = cells_of(lines[1]), b = cells_of(lines[2]);
  ASSERT_EQ(names.size(), 3u + 9 + 18);
  const auto cell = [&](const Arguments& line, const std::string& name) {
    return line.at(static_cast<size_t>(std::ranges::find(names, name) - names.begin()));
  };
  EXPECT_EQ(cell(a, "model"), path("model"));
  EXPECT_EQ(cell(a, "user"), "a");
  EXPECT_EQ(cell(a, "test_items"), "2");
  EXPECT_EQ(cell(a, "H@5"), "0.5");  // item 30 stands behind all six candidates
  EXPECT_EQ(cell(a, "Recall@10"), "0.5");
  EXPECT_EQ(cell(a, "Precision@10"), "0.1");
  EXPECT_EQ(cell(b, "H@5"), "-");
  EXPECT_EQ(cell(b, "MRR@10"), "0.3333333333333333");
  EXPECT_EQ(lines[3], lines[1]);
}

TEST_F(EvaluateLists, PerUserFileIsCheckedFirst) {
  const std::string run = "evaluate --data @data --model @model --per-user ";
  const std::string before = read_text(path("data"));
  expect_exit(kUsageError, words(run, "@data"), {"--data and --per-user both name"});
  expect_exit(kUsageError, words(run, "@model"), {"--model and --per-user both name"});
  expect_exit(kFailure, words("evaluate --data @missing --model @model --per-user @no/users.tsv"),
              {"no/users.tsv"});
  EXPECT_EQ(read_text(path("data")), before);
  const std::vector<std::string_view> users = {"a\tb", "c"};
  dataset_.user_ids = IdTable::from_texts(users);
  save_dataset(dataset_, path("data"));
  expect_exit(kFailure, words(run, "@users.tsv"), {"\"a\\tb\"", "--per-user"});
  EXPECT_FALSE(std::filesystem::exists(path("users.tsv")));
}

TEST_F(EvaluateLists, WithoutCandidatesThereAreNoTablesOfThem) {
  const Arguments run = words("evaluate --data @data --model @model --valid --ci");
  expect_contains(succeed(run).out, {"candidates", "M@20"});
  dataset_.num_candidates = 0;
  dataset_.candidates.clear();
  save_dataset(dataset_, path("data"));
  const Result result = succeed(run);
  EXPECT_FALSE(contains(result.out, "M@20")) << result.out;
  expect_contains(result.out, {"have no candidates", "Recall"});
  EXPECT_TRUE(parsed(succeed(run + words("--json")))["models"][0]["test"]["H@5"].is_null());
}

TEST_F(EvaluateLists, EqualFileNamesKeepTheirFolders) {
  std::filesystem::create_directory(path("other"));
  write_model("other/model", score_);
  write_model("third", score_);
  const std::string out =
      succeed(words("evaluate --data @data --model @model @other/model @third")).out;
  expect_contains(out, {"\n" + path("model") + " ", "\n" + path("other/model") + " ", "\nthird "});
}

}  // namespace
}  // namespace derrd::test::evaluate_test
