// Results of a model: recommendations and evaluations, on easy and on odd data sets.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "data/formats/safetensors.h"
#include "data/split.h"
#include "data/version.h"
#include "kernels/platform/device.h"
#include "tests/apps/program.h"

namespace derrd::test::recommend_test {
namespace {

/// The items that a user has not trained with, by falling score and then by number, in double.
/// @param seen whether the others are there too
std::vector<std::pair<double, int32_t>> expected_list(const Dataset& dataset,
                                                      const SmallModel& model, int64_t u,
                                                      bool seen = false) {
  std::vector<std::pair<double, int32_t>> list;
  for (int32_t i = 0; i < dataset.num_items(); ++i) {
    if (!seen && dataset.train.contains(u, i)) continue;
    double score = 0;
    for (int64_t d = 0; d < model.dim; ++d) {
      score += double{model.user[u * model.dim + d]} * model.item[i * model.dim + d];
    }
    list.emplace_back(-score, i);
  }
  std::sort(list.begin(), list.end());
  for (auto& [score, item] : list) score = -score;
  return list;
}

class Recommend : public CommandTest {
 protected:
  Recommend() : dataset_(write_small_dataset(folder_)), model_(60, 120, 5) {
    model_.write(path("model"));
  }
  Result recommend(const std::string& options) const {
    return succeed(words("recommend --data @data --model @model", options));
  }

  Dataset dataset_;
  SmallModel model_;
};

TEST_F(Recommend, EveryUsersBestUnobservedItems) {
  const Result result = recommend("--top 7");
  const auto lines = lines_of(result.out);
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines[0], "user\trank\titem\tscore");
  size_t line = 1;
  for (int64_t u = 0; u < 60; ++u) {
    const auto expected = expected_list(dataset_, model_, u);
    for (size_t k = 0; k < std::min<size_t>(7, expected.size()); ++k) {
      ASSERT_LT(line, lines.size());
      const auto cells = cells_of(lines[line++]);
      ASSERT_EQ(cells.size(), 4u);
      EXPECT_EQ(cells[0], dataset_.user_ids.text(u));
      EXPECT_EQ(cells[1], std::to_string(k + 1));
      EXPECT_EQ(cells[2], dataset_.item_ids.text(expected[k].second)) << "user " << u << " " << k;
      EXPECT_EQ(std::stod(cells[3]), expected[k].first);  // products of eighths are exact
    }
  }
  EXPECT_EQ(line, lines.size());
}

TEST_F(Recommend, HeldOutItemsStay) {
  const Result result = recommend("--top 120 --format jsonl");
  const auto lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), 60u);
  for (int64_t u = 0; u < 60; ++u) {
    const auto json = nlohmann::json::parse(lines[u]);
    EXPECT_EQ(json["user"], dataset_.user_ids.numbers()[u]);
    std::set<int64_t> items;
    for (const auto& entry : json["items"]) items.insert(entry["item"].get<int64_t>());
    EXPECT_EQ(items.size(), 120 - dataset_.train.row(u).size());
    EXPECT_TRUE(items.contains(dataset_.item_ids.numbers()[dataset_.test.items[u]]));
    EXPECT_TRUE(items.contains(dataset_.item_ids.numbers()[dataset_.valid.items[u]]));
    for (const int32_t i : dataset_.train.row(u)) {
      EXPECT_FALSE(items.contains(dataset_.item_ids.numbers()[i]));
    }
  }
}

TEST_F(Recommend, SelectedUsersInTheirOrder) {
  const std::string all = recommend("--top 2").out;
  write_text(path("users"), "31\r\n 4\n\n31");
  for (const std::string selection : {"--users 31,4,31", "--users-file @users"}) {
    const Result result = recommend("--top 2 " + selection);
    const auto lines = lines_of(result.out);
    const auto expected = lines_of(all);
    ASSERT_EQ(lines.size(), 7u);
    for (const auto& [row, user] : {std::pair{1, 31}, {3, 4}, {5, 31}}) {
      EXPECT_EQ(lines[row], expected[1 + 2 * user]);
      EXPECT_EQ(lines[row + 1], expected[2 + 2 * user]);
    }
  }
}

TEST_F(Recommend, UnknownUsersAreNamed) {
  write_text(path("users"), "3\nbob\n");
  expect_exit(kFailure, words("recommend --data @data --model @model --users 3,60 -o @out"),
              {"\"60\""});
  expect_exit(kFailure, words("recommend --data @data --model @model --users-file @users -o @out"),
              {path("users") + ":2: "});
  write_text(path("users"), "\n");
  expect_exit(kFailure, words("recommend --data @data --model @model --users-file @users -o @out"),
              {path("users") + ": names no user; give an id per line"});
  EXPECT_FALSE(std::filesystem::exists(path("out")));
}

TEST_F(Recommend, FileHoldsWhatStandardOutputWould) {
  const std::string text = recommend("").out;
  recommend("-o @out");
  EXPECT_EQ(read_text(path("out")), text);
}

TEST_F(Recommend, SafetensorsHoldTheSameLists) {
  constexpr int64_t kTop = 115;  // more than some users have not trained with
  succeed(words("train --data @data --dim 4 --epochs 1 --seed 7 -o @model --quiet"));
  const std::string selection = fmt::format("--top {} --users 31,4,0,59 ", kTop);
  const std::string tsv = recommend(selection).out;
  const Result result = recommend(selection + "--format safetensors -o @lists");
  EXPECT_EQ(result.out, "");

  const SafetensorsFile file = SafetensorsFile::read(path("lists"));
  const auto users = file.values<int32_t>("users");
  const auto items = file.values<int32_t>("items");
  const auto scores = file.values<float>("scores");
  EXPECT_EQ(users, (std::vector<int32_t>{31, 4, 0, 59}));
  EXPECT_EQ(file.tensor("items").shape, (std::vector<int64_t>{4, kTop}));
  EXPECT_EQ(file.tensor("scores").shape, (std::vector<int64_t>{4, kTop}));
  std::string text = "user\trank\titem\tscore\n";
  size_t empty = 0;
  for (size_t u = 0; u < users.size(); ++u) {
    for (size_t k = 0; k < kTop; ++k) {
      const int32_t item = items[u * kTop + k];
      const float score = scores[u * kTop + k];
      if (item < 0) {
        EXPECT_EQ(item, -1);
        EXPECT_EQ(score, -std::numeric_limits<float>::infinity());
        ++empty;
        continue;
      }
      text += fmt::format("{}\t{}\t{}\t{}\n", dataset_.user_ids.text(users[u]), k + 1,
                          dataset_.item_ids.text(item), score);
    }
  }
  EXPECT_EQ(text, tsv);
  EXPECT_GT(empty, 0u) << "choose other users: these have no short list";

  const SafetensorsFile model = SafetensorsFile::read(path("model"));
  EXPECT_EQ(file.metadata_or("format", ""), "derrd-lists");
  EXPECT_EQ(file.metadata_or("version", ""), kVersion);
  EXPECT_EQ(file.metadata_or("dataset_hash", ""), dataset_.hash);
  EXPECT_EQ(file.metadata_or("model_hash", ""), hash_tensors(model.tensors()));
  EXPECT_EQ(file.metadata_or("model", ""), "bpr");
  EXPECT_EQ(file.metadata_or("model_seed", ""), "7");
  for (const char* fact : {"options", "metrics", "dataset_hash"}) {
    EXPECT_EQ(file.metadata_or(std::string("model_") + fact, ""), model.metadata_or(fact, "none"));
  }
  EXPECT_EQ(metadata_json(path("lists"), "options"),
            (nlohmann::json{{"command", "recommend"}, {"top", kTop}}));
}

TEST_F(Recommend, SafetensorsNeedAFile) {
  const Result result = expect_exit(
      kUsageError, words("recommend --data @data --model @model --format safetensors"), {"-o"});
  EXPECT_EQ(result.out, "");
}

TEST_F(Recommend, ListsDoNotDependOnTheirPart) {
  // Users are taken 1,024 at a time.
  const Dataset dataset = write_dataset(
      path("data"), {.users = 1100, .items = 150, .interactions = 6000, .candidates = 10});
  const SmallModel model(1100, 150, 3);
  model.write(path("model"));
  const auto all = lines_of(recommend("--top 3").out);
  ASSERT_EQ(all.size(), 1u + 3 * 1100);
  for (const int64_t user : {1023, 1024, 1025, 1099}) {
    const auto one = lines_of(recommend("--top 3 --users " + std::to_string(user)).out);
    ASSERT_EQ(one.size(), 4u);
    const auto expected = expected_list(dataset, model, user);
    for (size_t k = 0; k < 3; ++k) {
      EXPECT_EQ(all[1 + 3 * user + k], one[1 + k]);
      EXPECT_EQ(cells_of(one[1 + k])[0], std::to_string(user));
      EXPECT_EQ(cells_of(one[1 + k])[2], dataset.item_ids.text(expected[k].second));
    }
  }
}

TEST_F(Recommend, SameAtAnyNumberOfThreads) {
  EXPECT_EQ(recommend("--threads 1").out, recommend("--threads 2").out);
}

/// Recommendations of some items, or of items that were seen.
TEST_F(Recommend, AModelThatIsNotThereIsNamed) {
  expect_exit(kFailure, words("recommend --data @data --model @none"),
              {path("none") + ": there is no such file"});
  expect_exit(kFailure, words("recommend --data @data --model-user @p.npy --model-item @q.npy"),
              {path("p.npy") + ": there is no such file"});
  expect_exit(kFailure, words("recommend --data @none --model @model"),
              {path("none") + ": there is no such file"});
}

class RecommendSelection : public Recommend {
 protected:
  RecommendSelection() {
    std::string text;
    for (const int32_t i : items_) text += dataset_.item_ids.text(i) + "\n";
    write_text(path("items"), text);
  }
  /// The text of the lists that are expected.
  std::string expected(int64_t top, bool only_items, bool seen) const {
    std::string text = "user\trank\titem\tscore\n";
    for (int64_t u = 0; u < 60; ++u) {
      int64_t rank = 0;
      for (const auto& [score, item] : expected_list(dataset_, model_, u, seen)) {
        if (only_items && std::ranges::find(items_, item) == items_.end()) continue;
        if (++rank > top) break;
        text += fmt::format("{}\t{}\t{}\t{}\n", dataset_.user_ids.text(u), rank,
                            dataset_.item_ids.text(item), score);
      }
    }
    return text;
  }

  const std::vector<int32_t> items_ = {77, 3, 110, 25, 3, 60, 8};
};

TEST_F(RecommendSelection, RanksTheseItemsOnly) {
  EXPECT_EQ(recommend("--top 4 --items @items").out, expected(4, true, false));
  EXPECT_EQ(recommend("--top 120 --items @items").out, expected(120, true, false));
}

TEST_F(RecommendSelection, IncludesSeenItems) {
  ASSERT_NE(expected(10, false, true), expected(10, false, false));
  ASSERT_NE(expected(10, true, true), expected(10, true, false));
  EXPECT_EQ(recommend("--include-seen").out, expected(10, false, true));
  EXPECT_EQ(recommend("--include-seen --items @items").out, expected(10, true, true));
}

TEST_F(RecommendSelection, OfANeumfIsPartOfTheFullRanking) {
  succeed(words("train --data @data --model neumf --dim 4 --epochs 2 --quiet -o @model"));
  const auto items_of = [](const std::string& text) {
    std::vector<std::pair<std::string, std::string>> pairs;
    for (const std::string& line : lines_of(text)) {
      const auto cells = cells_of(line);
      if (cells[0] != "user") pairs.emplace_back(cells[0], cells[2]);
    }
    return pairs;
  };
  auto all = items_of(recommend("--top 120").out);
  std::erase_if(all, [&](const auto& pair) {
    return std::ranges::find(items_, *dataset_.item_ids.find(pair.second)) == items_.end();
  });
  ASSERT_GT(all.size(), 100u);
  EXPECT_EQ(items_of(recommend("--top 120 --items @items").out), all);
}

TEST_F(RecommendSelection, IsSaidInTheListsFile) {
  recommend("--top 9 --items @items --include-seen --format safetensors -o @lists");
  const SafetensorsFile file = SafetensorsFile::read(path("lists"));
  EXPECT_EQ(file.tensor("items").shape, (std::vector<int64_t>{60, 6}));
  const nlohmann::json options = metadata_json(path("lists"), "options");
  EXPECT_EQ(options["items"], 6);
  EXPECT_EQ(options["include-seen"], true);
  // The same items in another order are the same; others are not.
  const auto hash_of = [&](const std::string& text) {
    write_text(path("items"), text);
    recommend("--items @items --format safetensors -o @lists");
    return metadata_json(path("lists"), "options")["items_hash"];
  };
  EXPECT_EQ(hash_of("3\n8\n25\n60\n77\n110\n"), options["items_hash"]);
  EXPECT_NE(hash_of("3\n8\n25\n60\n77\n111\n"), options["items_hash"]);
  EXPECT_FALSE(metadata_json(path("lists"), "options").contains("include-seen"));
}

TEST_F(RecommendSelection, UnknownItemsAreNamed) {
  const Arguments run = words("recommend --data @data --model @model --items @items -o @out");
  write_text(path("items"), "3\n\nbook\n");
  expect_exit(kFailure, run, {path("items") + ":3: ", "no item has the id \"book\""});
  write_text(path("items"), "\n");
  expect_exit(kFailure, run, {path("items"), "names no item"});
  EXPECT_FALSE(std::filesystem::exists(path("out")));
  expect_exit(kUsageError, words("recommend --data @data --model @model --items @m -o @m"),
              {"--items and -o"});
}

TEST_F(RecommendSelection, GoesOnWhereListsTeach) {
  const auto student = [&](const std::string& lists) {
    return succeed(words("distill --data @data --dim 2 --epochs 2 --quiet --k 3 --l 3 --list 30 "
                         "--method rrd -o @student --teacher",
                         path(lists)))
        .err;
  };
  const auto dropped = std::to_string(dataset_.train.num_interactions());
  for (const char* format : {"tsv", "safetensors"}) {
    const std::string ending = std::string(".") + format;
    recommend(std::string("--top 120 --format ") + format + " -o @unseen" + ending);
    recommend(std::string("--top 120 --include-seen --format ") + format + " -o @seen" + ending);
    const std::string unseen = student("unseen" + ending);
    EXPECT_FALSE(contains(unseen, "warning")) << unseen;
    const auto vectors = user_vectors(path("student"));
    expect_contains(student("seen" + ending), {dropped + " items that their user trained with"});
    EXPECT_EQ(user_vectors(path("student")), vectors);
  }
  recommend("--top 120 --items @items --format safetensors -o @few");
  expect_contains(student("few"), {"warning: " + path("few"), "ranks 6 items alone"});
}

class RecommendIds : public CommandTest {};

TEST_F(RecommendIds, StringsAndNumbersBeyond32Bits) {
  // Users named by strings, items by large numbers; two of each kind look alike.
  std::string text;
  for (const char* user : {"anna", "Anna", "o'brien, p.", "zo\xc3\xab"}) {
    for (int64_t item = 0; item < 6; ++item) {
      text += std::string(user) + "\t" + std::to_string(3000000000 + item * 4294967296) + "\n";
    }
  }
  text += "anna\t-9\nanna\t0\n";
  write_text(path("text.tsv"), text);
  succeed(words("prepare @text.tsv --format tsv --header no --min-user 1 --candidates 3 -o @data"));
  succeed(words("train --data @data --dim 2 --epochs 1 -o @model --quiet"));
  const Result tsv = succeed(words("recommend --data @data --model @model"));
  std::set<std::string> users, items;
  for (const std::string& line : lines_of(tsv.out)) {
    const auto cells = cells_of(line);
    users.insert(cells.at(0));
    items.insert(cells.at(2));
  }
  EXPECT_TRUE(users.contains("anna") && users.contains("Anna") && users.contains("zo\xc3\xab"));
  EXPECT_TRUE(items.contains("-9") && items.contains("0"));
  for (const std::string& item : items) {
    EXPECT_TRUE(item == "item" || item == "-9" || item == "0" || std::stoll(item) >= 3000000000);
  }
  write_text(path("users"), "o'brien, p.\n");
  const Result jsonl =
      succeed(words("recommend --data @data --model @model --users-file @users --format jsonl"));
  const auto json = nlohmann::json::parse(jsonl.out);
  EXPECT_EQ(json["user"], "o'brien, p.");
  for (const auto& entry : json["items"]) EXPECT_TRUE(entry["item"].is_number_integer());
}

class Evaluate : public Recommend {};

TEST_F(Evaluate, FiguresAreThoseOfTheDefinition) {
  const nlohmann::json model = evaluated(path("data"), path("model"));
  EXPECT_EQ(model["dim"], 5);
  EXPECT_EQ(model["parameters"], (60 + 120) * 5);
  EXPECT_GT(model["top10_ms"], 0);

  double hit = 0, ranked = 0, full_hit = 0, full_ndcg = 0;
  for (int64_t u = 0; u < 60; ++u) {
    const auto score = [&](int32_t i) {
      return std::inner_product(&model_.user[u * 5], &model_.user[u * 5] + 5, &model_.item[i * 5],
                                0.0);
    };
    const int32_t test = dataset_.test.items[u];
    const auto beats = [&](int32_t i) { return i >= 0 && i != test && score(i) >= score(test); };
    int64_t full = 1;
    for (int32_t i = 0; i < 120; ++i) full += !dataset_.train.contains(u, i) && beats(i);
    full_hit += full <= 20;
    full_ndcg += full <= 20 ? std::log(2.0) / std::log(full + 1.0) : 0.0;
    const auto candidates = dataset_.candidates_of(u);
    const auto rank = 1 + std::count_if(candidates.begin(), candidates.end(), beats);
    if (candidates.empty() || candidates[0] < 0) continue;  // any model ranks it first
    ++ranked;
    hit += rank <= 10;
  }
  EXPECT_DOUBLE_EQ(model["test"]["H@10"], hit / ranked);
  EXPECT_LT(ranked, 60);
  EXPECT_DOUBLE_EQ(model["full"]["HR@20"], full_hit / 60);
  EXPECT_DOUBLE_EQ(model["full"]["Recall@20"], full_hit / 60);
  EXPECT_NEAR(model["full"]["NDCG@20"].get<double>(), full_ndcg / 60, 1e-12);  // order of a sum
}

TEST_F(Evaluate, TableHasARowPerModel) {
  SmallModel(60, 120, 3).write(path("smaller"));
  const Arguments run = words("evaluate --data @data --model @model @smaller");
  const Result result = succeed(run);
  const auto lines = lines_of(result.out);
  const auto rows = [&](const std::string& name) {
    return std::count_if(lines.begin(), lines.end(),
                         [&](const std::string& line) { return line.starts_with(name + " "); });
  };
  // One of the files, one among candidates, three cutoffs among all items.
  EXPECT_EQ(rows("model"), 5) << result.out;
  EXPECT_EQ(rows("smaller"), 5) << result.out;
  expect_contains(result.out, {"H@5", "M@20", "Recall", "NDCG", "Gini", "900", "540"});
  EXPECT_FALSE(contains(result.out, "validation item"));
  EXPECT_TRUE(contains(derrd(run + Arguments{"--valid"}).out, "validation item"));
}

TEST_F(Evaluate, AgreesWithTraining) {
  succeed(words("train --data @data --dim 4 --epochs 1 -o @trained --quiet"));
  const auto figures = evaluated(path("data"), path("trained"));
  const auto reported = metadata_json(path("trained"), "metrics");
  EXPECT_EQ(figures["test"], reported["test"]);
  EXPECT_EQ(figures["valid"], reported["valid"]);
}

TEST_F(Evaluate, MeasuresLatencyIfAsked) {
  SmallModel(60, 120, 3).write(path("smaller"));
  succeed(words("recommend --data @data --model @model -o @lists.tsv"));
  succeed(words("train --data @data --model neumf --dim 4 --epochs 1 --quiet -o @neumf"));
  const Arguments run =
      words("evaluate --data @data --model @model @smaller @neumf --lists @lists.tsv --json");
  const auto parsed = [](const Arguments& arguments) {
    return nlohmann::json::parse(succeed(arguments).out);
  };
  nlohmann::json without = parsed(run), with = parsed(run + Arguments{"--latency"});
  EXPECT_FALSE(without.contains("peak_host_bytes"));
  EXPECT_GT(with["peak_host_bytes"], 1 << 20);
  EXPECT_LT(with["peak_host_bytes"], int64_t{1} << 40);
  with.erase("peak_host_bytes");
  EXPECT_FALSE(with["models"][3].contains("latency")) << "lists are made already";
  for (size_t m = 0; m < 3; ++m) {
    SCOPED_TRACE(with["models"][m]["file"]);
    nlohmann::json& model = with["models"][m];
    const nlohmann::json latency = model["latency"];
    EXPECT_EQ(latency.size(), 3u);
    for (const char* way : {"full_sort", "top10"}) {
      const nlohmann::json& times = latency[way];
      ASSERT_EQ(times.size(), 5u) << way;
      const double median = times["median_us"], p99 = times["p99_us"], seconds = times["seconds"];
      EXPECT_GT(median, 0.01);
      EXPECT_GE(p99, median);
      EXPECT_GE(seconds * 1e6 * 1.001, p99 + median * 29) << "half the 60 users took no less";
      EXPECT_LT(seconds, 60);
      EXPECT_DOUBLE_EQ(times["users_per_s"], 60 / seconds);
      EXPECT_GT(times["peak_device_bytes"], model["parameters"].get<int64_t>() * 4 + 120 * 4);
      EXPECT_LT(times["peak_device_bytes"], 1 << 20);
    }
    EXPECT_GT(latency["full_sort"]["peak_device_bytes"], latency["top10"]["peak_device_bytes"]);
    const nlohmann::json& batched = latency["batched_top10"];
    EXPECT_EQ(batched.size(), 2u);
    EXPECT_DOUBLE_EQ(batched["seconds"], model["top10_ms"].get<double>() / 1e3);
    EXPECT_DOUBLE_EQ(batched["users_per_s"], 60 / batched["seconds"].get<double>());
    model.erase("latency");
    for (nlohmann::json* other : {&model, &without["models"][m]}) other->erase("top10_ms");
  }
  EXPECT_EQ(with, without);
}

TEST_F(Evaluate, LatencyHasATableOfItsOwn) {
  succeed(words("recommend --data @data --model @model -o @lists.tsv"));
  const Arguments run = words("evaluate --data @data --model @model --lists @lists.tsv");
  const auto lines = lines_of(succeed(run + Arguments{"--latency"}).out);
  const auto head = std::ranges::find_if(
      lines, [](const std::string& line) { return contains(line, "median us"); });
  ASSERT_GT(lines.end() - head, 4);
  const std::vector<std::vector<std::string>> ways = {
      {"all", "items", "sorted"}, {"top", "10"}, {"top", "10,", "many", "users", "at", "once"}};
  for (size_t way = 0; way < 3; ++way) {
    const Arguments cells = words(*(head + 1 + static_cast<std::ptrdiff_t>(way)));
    const Arguments name(cells.begin() + 1, cells.end() - 5);
    EXPECT_EQ(cells[0], "model");
    EXPECT_EQ(name, ways[way]);
    const auto figure = [&](size_t column) { return cells[cells.size() - 5 + column]; };
    EXPECT_GT(std::stod(figure(3)), 0);
    EXPECT_GT(std::stod(figure(2)), 0);
    for (const size_t column : {0, 1, 4}) EXPECT_EQ(figure(column) == "-", way == 2);
    if (way == 2) continue;
    EXPECT_GT(std::stod(figure(0)), 0);
    EXPECT_GE(std::stod(figure(1)), std::stod(figure(0)));
  }
  EXPECT_TRUE(contains(*(head + 4), "MB of the host's memory"));
  EXPECT_FALSE(contains(succeed(run).out, "median us"));
  EXPECT_FALSE(contains(succeed(run).out, "host's memory"));
  expect_exit(kUsageError, words("evaluate --data @data --lists @lists.tsv --latency"),
              {"--latency times models", "give --model"});
}

TEST_F(Evaluate, LongMeasurementsShowWhatIsLeft) {
  if (device_info().executor != "cpu") GTEST_SKIP() << "may end before anything is shown";
  write_dataset(path("large"),
                {.users = 8000, .items = 12000, .interactions = 40000, .candidates = 5});
  SmallModel(8000, 12000, 32).write(path("wide"));
  const Result result = derrd_on_terminal(words("evaluate --data @large --model @wide --latency"));
  EXPECT_EQ(result.exit_code, 0);
  // The lists of ten may end before anything is shown.
  expect_contains(result.out,
                  {"latency, all items sorted: user ", "/8000  ", "s left  " + path("wide")});
}

TEST_F(Evaluate, MeansOverNoUsersAreUnknown) {
  dataset_.valid = dataset_.test =
      InteractionRows::at_most_one(std::vector<int32_t>(dataset_.num_users(), -1));
  save_dataset(dataset_, path("data"));
  const auto expect_unknown = [](const nlohmann::json& metrics, size_t count = 9) {
    ASSERT_EQ(metrics.size(), count);
    for (const auto& value : metrics) EXPECT_TRUE(value.is_null()) << metrics;
  };
  const nlohmann::json model = evaluated(path("data"), path("model"));
  for (const char* part : {"valid", "test"}) expect_unknown(model[part]);
  expect_unknown(model["full"], 27);
  const std::string tables = succeed(words("evaluate --valid --data @data --model @model")).out;
  EXPECT_FALSE(contains(tables, "0.0000")) << tables;
  const Arguments cells = words(tables);
  EXPECT_EQ(std::ranges::count(cells, "-"), 9 + 9 + 27) << tables;

  const Result training =
      succeed(words("train --data @data --dim 4 --epochs 2 -o @trained --log @log"));
  EXPECT_FALSE(contains(training.out, "0.0000")) << training.out;
  EXPECT_FALSE(contains(training.err, ".0000")) << training.err;
  for (const char* part : {"valid", "test"}) {
    expect_unknown(metadata_json(path("trained"), "metrics")[part]);
    expect_unknown(read_log(path("log"))[1][part]);
  }
}

/// 6 users, 9 items: one has all of them, one none, one a single item; no candidates for the first.
Dataset odd_dataset() {
  Dataset dataset;
  const std::vector<std::vector<int32_t>> rows = {
      {0, 1, 2, 3, 4, 5, 6, 7, 8}, {}, {4}, {0, 1, 2}, {1, 5, 6, 7, 8}, {2, 3}};
  for (const auto& row : rows) {
    dataset.train.items.insert(dataset.train.items.end(), row.begin(), row.end());
    dataset.train.offsets.push_back(dataset.train.num_interactions());
  }
  dataset.valid = InteractionRows::at_most_one(std::vector<int32_t>{-1, -1, -1, 5, 0, 1});
  dataset.test = InteractionRows::at_most_one(std::vector<int32_t>{-1, 3, 0, 6, 2, 4});
  dataset.user_ids = IdTable::identity(6);
  dataset.item_ids = IdTable::identity(9);
  draw_candidates(dataset, 499, 0);
  return dataset;
}

class OddData : public CommandTest {};

TEST_F(OddData, EveryMethodRunsToItsEnd) {
  save_dataset(odd_dataset(), path("data"));
  SmallModel(6, 9, 4).write(path("teacher"));
  for (const char* preset : {"authors", "paper"}) {
    for (const char* method : {"none", "rrd", "de", "de-rrd", "rd", "cd", "ir", "rrd+ir"}) {
      for (const char* interesting : {"sampled", "top"}) {
        succeed(
            words("distill --data @data --teacher @teacher --dim 2 --epochs 3 -o @student "
                  "--quiet --method",
                  method, "--preset", preset, "--interesting", interesting));
      }
    }
  }
  // At most 8 items beside the target: it is always among the first 20.
  EXPECT_EQ(evaluated(path("data"), path("student"))["test"]["H@20"], 1.0);

  const Result recommended =
      succeed(words("recommend --data @data --model @student --format jsonl"));
  const auto lines = lines_of(recommended.out);
  ASSERT_EQ(lines.size(), 6u);
  const std::vector<size_t> unobserved = {0, 9, 8, 6, 4, 7};
  for (size_t u = 0; u < 6; ++u) {
    EXPECT_EQ(nlohmann::json::parse(lines[u])["items"].size(), unobserved[u]) << u;
  }
}

}  // namespace
}  // namespace derrd::test::recommend_test
