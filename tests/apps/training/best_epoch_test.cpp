// The epoch whose model is kept, and the end of a training.

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/apps/program.h"

namespace derrd::test::best_epoch_test {
namespace {

class BestEpoch : public CommandTest {
 protected:
  BestEpoch() : dataset_(write_small_dataset(folder_)) {}

  Arguments trained(int epochs, int patience) const {
    return words("train --data @data --dim 4 --batch 64 --lr 0.02 --quiet --epochs",
                 std::to_string(epochs), "--patience", std::to_string(patience));
  }

  Dataset dataset_;
};

TEST_F(BestEpoch, KeepsTheModelOfTheBestEpoch) {
  succeed(trained(40, 100000) + words("-o @model --log @log"));
  const auto records = read_log(path("log"));
  const auto best = std::max_element(
      records.begin(), records.end(),
      [](const auto& a, const auto& b) { return a["valid"]["H@5"] < b["valid"]["H@5"]; });
  ASSERT_NE(best->at("valid"), records.back()["valid"]) << "choose another run: its last is best";
  const auto figures = evaluated(path("data"), path("model"));
  EXPECT_EQ(figures["valid"], best->at("valid"));
  EXPECT_EQ(figures["test"], best->at("test"));
}

TEST_F(BestEpoch, WithoutValidationItemsTheLastEpochIsKept) {
  dataset_.valid = InteractionRows::at_most_one(std::vector<int32_t>(dataset_.num_users(), -1));
  save_dataset(dataset_, path("data"));
  for (const char* preset : {"authors", "paper"}) {
    const Arguments run =
        words("train --data @data --dim 4 --batch 64 --lr 0.02 --patience 2 --preset", preset);
    const Result result = succeed(run + words("--epochs 6 -o @model --log @log"));
    expect_contains(result.err, {path("data") + ": no user has a validation item", "--patience"});
    EXPECT_FALSE(contains(result.err, "H@5")) << result.err;
    expect_contains(result.out, {"finished all 6 epochs; kept the last one, epoch 5"});
    EXPECT_FALSE(contains(result.out, "that were best")) << result.out;
    const auto records = read_log(path("log"));
    ASSERT_EQ(records.size(), 6u);
    for (const auto& record : records) EXPECT_TRUE(record["best"].get<bool>());
    const auto metrics = metadata_json(path("model"), "metrics");
    EXPECT_EQ(metrics["best_epoch"], 5);
    EXPECT_EQ(metrics["test"], records.back()["test"]);
    EXPECT_EQ(evaluated(path("data"), path("model"))["test"], records.back()["test"]);

    succeed(run + words("--epochs 3 --checkpoint @checkpoint -o @resumed"));
    succeed(run + words("--epochs 6 --checkpoint @checkpoint --resume -o @resumed"));
    EXPECT_EQ(read_text(path("resumed")), read_text(path("model")));
    std::filesystem::remove(path("checkpoint"));
  }
}

TEST_F(BestEpoch, StopsOnAMetricOfTheFullRanking) {
  const Arguments without =
      words("train --data @data --dim 4 --batch 64 --lr 0.02 --patience 3 --quiet");
  const Arguments run = without + Arguments{"--stop-on", "recall@20"};
  const Result result = succeed(run + words("-o @model --log @log"));
  expect_contains(result.out, {"the last 3 without improvement", "valid Recall@20 0."});
  const auto records = read_log(path("log"));
  size_t best = 0;
  for (size_t e = 0; e < records.size(); ++e) {
    const auto value = [&](size_t epoch) {
      return records[epoch]["valid"]["Recall@20"].get<double>();
    };
    EXPECT_EQ(records[e]["best"], e == 0 || value(e) > value(best)) << e;
    if (e > 0 && value(e) > value(best)) best = e;
  }
  EXPECT_EQ(records.size(), best + 1 + 3);
  const auto metrics = metadata_json(path("model"), "metrics");
  EXPECT_EQ(metrics["best_epoch"], best);
  EXPECT_EQ(metrics["test"], records[best]["test"]);
  EXPECT_EQ(metrics["valid"], records[best]["valid"]);
  EXPECT_EQ(metadata_json(path("model"), "options")["stop-on"], "Recall@20");

  // The validation items as test items: evaluate finds the same figure.
  Dataset swapped = dataset_;
  std::swap(swapped.valid, swapped.test);
  save_dataset(swapped, path("swapped"));
  EXPECT_NEAR(evaluated(path("swapped"), path("model"))["full"]["Recall@20"].get<double>(),
              metrics["valid"]["Recall@20"].get<double>(), 1e-12);

  succeed(run + words("--epochs 2 --checkpoint @checkpoint -o @resumed"));
  succeed(run + words("--epochs 1000 --checkpoint @checkpoint --resume -o @resumed"));
  EXPECT_EQ(read_text(path("resumed")), read_text(path("model")));
  const Result other = derrd(without + Arguments{"--stop-on", "NDCG@20"} +
                             words("--checkpoint @checkpoint --resume -o @resumed"));
  EXPECT_NE(other.exit_code, 0) << "another metric is another run";
}

TEST_F(BestEpoch, AMetricThatCannotTellEpochsApartIsSaidAndTheNextOneTaken) {
  dataset_.num_candidates = 3;
  dataset_.candidates.clear();
  for (int64_t u = 0; u < dataset_.num_users(); ++u) {
    for (int32_t item = 0; item < dataset_.num_items(); ++item) {
      if (std::ssize(dataset_.candidates) == 3 * (u + 1)) break;
      if (dataset_.train.contains(u, item) || dataset_.valid.contains(u, item) ||
          dataset_.test.contains(u, item)) {
        continue;
      }
      dataset_.candidates.push_back(item);
    }
    dataset_.candidates.resize(static_cast<size_t>(3 * (u + 1)), -1);
  }
  save_dataset(dataset_, path("data"));
  const Arguments run = words("train --data @data --dim 4 --epochs 2 --quiet -o @model");
  const auto metric = [&] { return metadata_json(path("model"), "options")["stop-on"]; };
  expect_contains(succeed(run).err,
                  {path("data") + ": H@5 can't tell epochs apart: no user has 5 candidates",
                   path("data") + ": N@5 says which epoch is best"});
  EXPECT_EQ(metric(), "N@5");
  expect_contains(succeed(run + Arguments{"--stop-on", "H@10,MAP@50,N@5"}).err,
                  {"H@10 can't tell", "MAP@50 says which"});
  EXPECT_EQ(metric(), "MAP@50");
  const Result refused = derrd(run + Arguments{"--stop-on", "H@5,h@20"});
  EXPECT_EQ(refused.exit_code, 1);
  expect_contains(refused.err, {"H@20 can't tell", "name another one with --stop-on"});

  dataset_.num_candidates = 0;
  dataset_.candidates.clear();
  save_dataset(dataset_, path("data"));
  expect_contains(succeed(run).err, {"N@5 can't tell epochs apart: no user with a validation item "
                                     "has candidates",
                                     "NDCG@10 says which epoch is best"});
  EXPECT_EQ(metric(), "NDCG@10");

  const Result unknown = derrd(run + Arguments{"--stop-on", "Recall@7"});
  EXPECT_EQ(unknown.exit_code, 2);
  expect_contains(unknown.err, {"no metric \"Recall@7\"", "Recall@50"});
}

TEST_F(BestEpoch, StopsEarlyAfterItsPatience) {
  const Result result = succeed(trained(1000, 3) + words("-o @model --log @log"));
  EXPECT_TRUE(contains(result.out, "the last 3 without improvement"));
  EXPECT_LT(read_log(path("log")).size(), 1000u);
}

}  // namespace
}  // namespace derrd::test::best_epoch_test
