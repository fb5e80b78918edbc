// NeuMF as a user runs it: teacher, student, evaluation, recommendations.

#include <filesystem>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "data/formats/safetensors.h"
#include "tests/apps/program.h"

namespace derrd::test::neumf_test {
namespace {

class Neumf : public CommandTest {
 protected:
  Neumf() : dataset_(write_small_dataset(folder_)) {}
  Arguments training(const std::string& command, const std::string& epochs) const {
    return words(command, "--data @data --epochs", epochs,
                 "--batch 64 --quiet --lr 0.01 --patience 100000");
  }
  Arguments teacher(const std::string& layers) const {
    return training("train", "4") + words("--model neumf --dim 20 --layers", layers, "-o @teacher");
  }
  Arguments student(const std::string& method, const std::string& epochs = "3") const {
    return training("distill", epochs) +
           words("--teacher @teacher --method", method,
                 "--k 5 --l 5 --list 30 --experts 3 --rd-negatives 20 --cd-items 5 --cd-list 30");
  }
  Dataset dataset_;
};

TEST_F(Neumf, AStudentIsOfItsTeachersKindAndDepth) {
  succeed(teacher("2"));
  const auto shape = [&](const char* name) {
    return SafetensorsFile::read(path("student")).tensor(name).shape;
  };
  succeed(student("rrd") + words("--size 0.5 -o @student"));
  EXPECT_EQ(SafetensorsFile::read(path("student")).metadata_or("model", ""), "neumf");
  EXPECT_EQ(shape("user_gmf"), (std::vector<int64_t>{60, 10}));
  EXPECT_EQ(shape("item_mlp"), (std::vector<int64_t>{120, 10}));
  EXPECT_EQ(shape("hidden.2.weight"), (std::vector<int64_t>{5, 10}));
  EXPECT_EQ(shape("output.weight"), (std::vector<int64_t>{1, 15}));

  succeed(student("rrd") + words("--size 0.5 --layers 1 -o @student"));
  EXPECT_FALSE(SafetensorsFile::read(path("student")).contains("hidden.2.weight"));
  const auto options = metadata_json(path("student"), "options");
  EXPECT_EQ(options["model"], "neumf");
  EXPECT_EQ(options["layers"], 1);
  EXPECT_EQ(options["dim"], 10);

  succeed(student("rrd") + words("--model bpr --dim 4 -o @student"));
  EXPECT_EQ(SafetensorsFile::read(path("student")).metadata_or("model", ""), "bpr");
}

TEST_F(Neumf, SameBitsAtAnyNumberOfThreadsAndEveryMethodDiffers) {
  succeed(teacher("1"));
  std::vector<std::vector<float>> models;
  const auto train = [&](const Arguments& run, const std::string& name) {
    succeed(run + words("-o @one --threads 1"));
    succeed(run + words("-o @two --threads 2"));
    EXPECT_EQ(read_text(path("one")), read_text(path("two"))) << name;
    models.push_back(SafetensorsFile::read(path("one")).values<float>("user_mlp"));
  };
  for (const char* method : {"none", "rrd", "de", "de-rrd", "rd", "cd", "rrd+ir"}) {
    train(student(method), method);
  }
  for (const char* tap : {"mlp", "embedding"}) train(student("de") + Arguments{"--tap", tap}, tap);
  EXPECT_EQ(std::set(models.begin(), models.end()).size(), models.size());
}

TEST_F(Neumf, WeightsCanBeChosenByTheSharesOfSectionFivePointFour) {
  succeed(teacher("1"));
  succeed(student("de-rrd", "4") + words("--auto-lambda -o @model --log @log"));
  const auto record = read_log(path("log"))[2];
  for (const auto& [loss, share] : {std::pair{"de", 0.035}, {"rrd", 10.0}}) {
    const double weight = record["chosen_weight"][loss];
    EXPECT_NEAR(weight * record["loss"][loss].get<double>() / record["loss"]["base"].get<double>(),
                share, 1e-9);
  }
}

TEST_F(Neumf, KilledAndResumedGivesTheSameBits) {
  succeed(teacher("2"));
  expect_same_bits_when_killed(
      student("de-rrd", std::to_string(kLongTraining / 5)) + words("--size 0.5"), 6);
}

// Full ranking, lists and leave-one-out ranks come from three different kernels.
TEST_F(Neumf, EvaluationAndRecommendationsAgreeWithTraining) {
  for (const char* layers : {"1", "3"}) {
    // With preset authors, a figure is of the epoch that is best for it.
    succeed(teacher(layers) + words("--preset paper"));
    const auto figures = evaluated(path("data"), path("teacher"));
    const auto reported = metadata_json(path("teacher"), "metrics");
    EXPECT_EQ(figures["test"], reported["test"]);
    EXPECT_EQ(figures["valid"], reported["valid"]);
    EXPECT_EQ(figures["dim"], 20);

    const auto recommended = [&](const std::string& users) {
      return lines_of(
          succeed(words("recommend --data @data --model @teacher --top 10 --format jsonl", users))
              .out);
    };
    const auto lines = recommended("");
    ASSERT_EQ(lines.size(), 60u);
    double hits = 0;
    for (size_t u = 0; u < lines.size(); ++u) {
      const auto json = nlohmann::json::parse(lines[u]);
      const int64_t test = dataset_.item_ids.numbers()[static_cast<size_t>(dataset_.test.items[u])];
      double last = std::numeric_limits<double>::infinity();
      for (const auto& entry : json["items"]) {
        hits += entry["item"] == test ? 1 : 0;
        EXPECT_LE(entry["score"], last);
        last = entry["score"];
      }
    }
    EXPECT_NEAR(figures["full"]["Recall@10"].get<double>(), hits / 60, 1e-12) << layers;

    // A selection of users is scored as everybody is.
    const auto items_of = [](const std::string& line) {
      std::vector<int64_t> items;
      const auto record = nlohmann::json::parse(line);
      for (const auto& entry : record["items"]) {
        items.push_back(entry["item"].get<int64_t>());
      }
      return items;
    };
    const auto some = recommended("--users " + dataset_.user_ids.text(17));
    EXPECT_EQ(items_of(some.at(0)), items_of(lines.at(17)));
  }
}

TEST_F(Neumf, ATeacherExportedWithIdsTeachesTheSame) {
  succeed(teacher("2"));
  succeed(student("rrd") + words("-o @student"));
  const std::string expected = read_text(path("student"));
  succeed(words("export @teacher --data @data -o @with-ids"));
  std::filesystem::rename(path("with-ids"), path("teacher"));
  const Result result = succeed(student("rrd") + words("-o @student"));
  EXPECT_TRUE(contains(result.err, "60 of 60 users by id"));
  EXPECT_EQ(read_text(path("student")), expected);
}

TEST_F(Neumf, InfoShowsItsTensors) {
  succeed(teacher("2"));
  expect_contains(succeed({"info", path("teacher")}).out,
                  {"model of derrd", "model: neumf", "tensor \"hidden.1.user_weight\" F32 [20, 20]",
                   "tensor \"hidden.2.bias\" F32 [1, 10]", "tensor \"output.weight\" F32 [1, 30]"});
}

TEST_F(Neumf, MistakesAreExplained) {
  const Arguments train = training("train", "1");
  expect_exit(kUsageError, train + words("--layers 2 -o @model"),
              {"--layers is for --model neumf"});
  expect_exit(kFailure, train + words("--model neumf --dim 3 --layers 3 -o @model"),
              {"hidden layer 3 has no unit"});
  succeed(teacher("1"));
  expect_exit(kFailure, student("de") + words("--model bpr --tap joint -o @model"),
              {"--tap joint rebuilds what a NeuMF makes of a user and an item together"});
  expect_exit(kUsageError, student("rrd") + words("--model bpr --layers 2 -o @model"),
              {"--layers is for --model neumf"});
  EXPECT_FALSE(std::filesystem::exists(path("model")));
}

}  // namespace
}  // namespace derrd::test::neumf_test
