// NeuMF as a user runs it: teacher, student, evaluation, recommendations.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "data/formats/safetensors.h"
#include "tests/apps/program.h"

namespace derrd::test::neumf_test {
namespace {

using Arguments = std::vector<std::string>;

Arguments operator+(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class Neumf : public testing::Test {
 protected:
  Neumf() : dataset_(write_small_dataset(folder_)) {}
  std::string path(const std::string& name) const { return folder_ / name; }
  Arguments training(const std::string& command, const std::string& epochs) const {
    return {command, "--data",  path("data"), "--epochs", epochs,       "--batch",
            "64",    "--quiet", "--lr",       "0.01",     "--patience", "100000"};
  }
  Arguments teacher(const std::string& layers) const {
    return training("train", "4") +
           Arguments{"--model", "neumf", "--dim", "20", "--layers", layers, "-o", path("teacher")};
  }
  Arguments student(const std::string& method, const std::string& epochs = "3") const {
    return training("distill", epochs) +
           Arguments{"--teacher", path("teacher"), "--method", method} +
           Arguments{"--k=5", "--l=5", "--list=30", "--experts=3"} +
           Arguments{"--rd-negatives=20", "--cd-items=5", "--cd-list=30"};
  }
  static void expect_success(const Arguments& arguments) {
    const Result result = derrd(arguments);
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  static void expect_failure(const Arguments& arguments, int code, const std::string& words) {
    const Result result = derrd(arguments);
    EXPECT_EQ(result.exit_code, code) << result.err;
    EXPECT_NE(result.err.find(words), std::string::npos) << result.err;
  }

  TemporaryFolder folder_;
  Dataset dataset_;
};

constexpr int kUsageError = 2;
constexpr int kFailure = 1;

TEST_F(Neumf, AStudentIsOfItsTeachersKindAndDepth) {
  expect_success(teacher("2"));
  const auto shape = [&](const char* name) {
    return SafetensorsFile::read(path("student")).tensor(name).shape;
  };
  expect_success(student("rrd") + Arguments{"--size", "0.5", "-o", path("student")});
  EXPECT_EQ(SafetensorsFile::read(path("student")).metadata_or("model", ""), "neumf");
  EXPECT_EQ(shape("user_gmf"), (std::vector<int64_t>{60, 10}));
  EXPECT_EQ(shape("item_mlp"), (std::vector<int64_t>{120, 10}));
  EXPECT_EQ(shape("hidden.2.weight"), (std::vector<int64_t>{5, 10}));
  EXPECT_EQ(shape("output.weight"), (std::vector<int64_t>{1, 15}));

  expect_success(student("rrd") +
                 Arguments{"--size", "0.5", "--layers", "1", "-o", path("student")});
  EXPECT_FALSE(SafetensorsFile::read(path("student")).contains("hidden.2.weight"));
  const auto options =
      nlohmann::json::parse(SafetensorsFile::read(path("student")).metadata_or("options", ""));
  EXPECT_EQ(options["model"], "neumf");
  EXPECT_EQ(options["layers"], 1);
  EXPECT_EQ(options["dim"], 10);

  expect_success(student("rrd") + Arguments{"--model", "bpr", "--dim", "4", "-o", path("student")});
  EXPECT_EQ(SafetensorsFile::read(path("student")).metadata_or("model", ""), "bpr");
}

TEST_F(Neumf, SameBitsAtAnyNumberOfThreadsAndEveryMethodDiffers) {
  expect_success(teacher("1"));
  std::vector<std::vector<float>> models;
  const auto train = [&](const Arguments& run, const std::string& name) {
    expect_success(run + Arguments{"-o", path("one"), "--threads", "1"});
    expect_success(run + Arguments{"-o", path("two"), "--threads", "2"});
    EXPECT_EQ(read_text(path("one")), read_text(path("two"))) << name;
    models.push_back(SafetensorsFile::read(path("one")).values<float>("user_mlp"));
  };
  for (const char* method : {"none", "rrd", "de", "de-rrd", "rd", "cd", "rrd+ir"}) {
    train(student(method), method);
  }
  for (const char* tap : {"mlp", "embedding"}) train(student("de") + Arguments{"--tap", tap}, tap);
  for (size_t a = 0; a < models.size(); ++a) {
    for (size_t b = a + 1; b < models.size(); ++b) EXPECT_NE(models[a], models[b]) << a << " " << b;
  }
}

TEST_F(Neumf, WeightsCanBeChosenByTheSharesOfSectionFivePointFour) {
  expect_success(teacher("1"));
  expect_success(student("de-rrd", "4") +
                 Arguments{"--auto-lambda", "-o", path("model"), "--log", path("log")});
  const auto record = read_log(path("log"))[2];
  for (const auto& [loss, share] : {std::pair{"de", 0.035}, {"rrd", 10.0}}) {
    const double weight = record["chosen_weight"][loss];
    EXPECT_NEAR(weight * record["loss"][loss].get<double>() / record["loss"]["base"].get<double>(),
                share, 1e-9);
  }
}

TEST_F(Neumf, KilledAndResumedGivesTheSameBits) {
  expect_success(teacher("2"));
  const Arguments run = student("de-rrd", "60") + Arguments{"--size", "0.5"};
  const auto start = std::chrono::steady_clock::now();
  expect_success(run + Arguments{"-o", path("whole")});
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - start;
  const Arguments resumed =
      run +
      Arguments{
          "-o", path("model"), "--checkpoint", path("checkpoint"), "--resume", "--checkpoint-every",
          "0"};
  std::mt19937 random(1);
  std::uniform_real_distribution<double> delay(0.0, whole.count() / 2);
  for (int kill = 0; kill < 6; ++kill) {
    Process process(resumed);
    std::this_thread::sleep_for(std::chrono::duration<double>(delay(random)));
    process.send(SIGKILL);
    process.wait();
  }
  expect_success(resumed);
  EXPECT_EQ(read_text(path("model")), read_text(path("whole")));
}

// Full ranking, lists and leave-one-out ranks come from three different kernels.
TEST_F(Neumf, EvaluationAndRecommendationsAgreeWithTraining) {
  for (const char* layers : {"1", "3"}) {
    // With preset authors, a figure is of the epoch that is best for it.
    expect_success(teacher(layers) + Arguments{"--preset", "paper"});
    const Result result =
        derrd({"evaluate", "--data", path("data"), "--model", path("teacher"), "--json"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const auto evaluated = nlohmann::json::parse(result.out)["models"][0];
    const auto reported =
        nlohmann::json::parse(SafetensorsFile::read(path("teacher")).metadata_or("metrics", ""));
    EXPECT_EQ(evaluated["test"], reported["test"]);
    EXPECT_EQ(evaluated["valid"], reported["valid"]);
    EXPECT_EQ(evaluated["dim"], 20);

    const Result lists = derrd({"recommend", "--data", path("data"), "--model", path("teacher"),
                                "--top", "10", "--format", "jsonl"});
    ASSERT_EQ(lists.exit_code, 0) << lists.err;
    const auto lines = lines_of(lists.out);
    ASSERT_EQ(lines.size(), 60u);
    double hits = 0;
    for (size_t u = 0; u < lines.size(); ++u) {
      const auto json = nlohmann::json::parse(lines[u]);
      const int64_t test = dataset_.item_ids.numbers()[static_cast<size_t>(dataset_.test_item[u])];
      double last = std::numeric_limits<double>::infinity();
      for (const auto& entry : json["items"]) {
        hits += entry["item"] == test ? 1 : 0;
        EXPECT_LE(entry["score"], last);
        last = entry["score"];
      }
    }
    EXPECT_NEAR(evaluated["full"]["Recall@10"].get<double>(), hits / 60, 1e-12) << layers;

    // A selection of users is scored as everybody is.
    const Result some =
        derrd({"recommend", "--data", path("data"), "--model", path("teacher"), "--top", "10",
               "--format", "jsonl", "--users", dataset_.user_ids.text(17)});
    const auto items_of = [](const std::string& line) {
      const auto json = nlohmann::json::parse(line);
      std::vector<int64_t> items;
      for (const auto& entry : json["items"]) {
        items.push_back(entry["item"].get<int64_t>());
      }
      return items;
    };
    EXPECT_EQ(items_of(lines_of(some.out).at(0)), items_of(lines.at(17)));
  }
}

TEST_F(Neumf, ATeacherExportedWithIdsTeachesTheSame) {
  expect_success(teacher("2"));
  expect_success(student("rrd") + Arguments{"-o", path("student")});
  const std::string expected = read_text(path("student"));
  expect_success({"export", path("teacher"), "--data", path("data"), "-o", path("with-ids")});
  std::filesystem::rename(path("with-ids"), path("teacher"));
  const Result result = derrd(student("rrd") + Arguments{"-o", path("student")});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find("60 of 60 users by id"), std::string::npos) << result.err;
  EXPECT_EQ(read_text(path("student")), expected);
}

TEST_F(Neumf, InfoShowsItsTensors) {
  expect_success(teacher("2"));
  const Result result = derrd({"info", path("teacher")});
  EXPECT_EQ(result.exit_code, 0);
  for (const char* line :
       {"model of derrd", "model: neumf", "tensor \"hidden.1.user_weight\" F32 [20, 20]",
        "tensor \"hidden.2.bias\" F32 [1, 10]", "tensor \"output.weight\" F32 [1, 30]"}) {
    EXPECT_NE(result.out.find(line), std::string::npos) << line << "\n" << result.out;
  }
}

TEST_F(Neumf, MistakesAreExplained) {
  expect_failure(training("train", "1") + Arguments{"--layers", "2", "-o", path("model")},
                 kUsageError, "--layers is for --model neumf");
  expect_failure(training("train", "1") + Arguments{"--model", "neumf", "--dim", "3", "--layers",
                                                    "3", "-o", path("model")},
                 kFailure, "hidden layer 3 has no unit");
  expect_success(teacher("1"));
  expect_failure(student("de") + Arguments{"--model", "bpr", "--tap", "joint", "-o", path("model")},
                 kFailure,
                 "--tap joint rebuilds what a NeuMF makes of a user and an item together");
  expect_failure(student("rrd") + Arguments{"--model", "bpr", "--layers", "2", "-o", path("model")},
                 kUsageError, "--layers is for --model neumf");
  EXPECT_FALSE(std::filesystem::exists(path("model")));
}

}  // namespace
}  // namespace derrd::test::neumf_test
