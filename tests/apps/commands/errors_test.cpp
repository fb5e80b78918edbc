// What can be wrong with files that a run is given: a message, exit code 1, nothing half-written.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "data/formats/safetensors.h"
#include "tests/apps/program.h"

namespace derrd::test::errors_test {
namespace {

using Arguments = std::vector<std::string>;

Arguments operator+(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class Errors : public testing::Test {
 protected:
  Errors() : dataset_(write_small_dataset(folder_)), teacher_(60, 120, 6) {
    teacher_.write(path("teacher"));
  }
  std::string path(const std::string& name) const { return folder_ / name; }

  Arguments distillation(const std::string& teacher, const std::string& output) const {
    return {"distill",    "--data", path("data"), "--teacher", path(teacher), "-o",
            path(output), "--dim",  "3",          "--epochs",  "2",           "--k",
            "5",          "--l",    "5",          "--experts", "2",           "--quiet"};
  }
  /// Runs, expects exit code 1, a message with all of `texts`, and no file that was not there.
  void expect_failure(const Arguments& arguments, const std::vector<std::string>& texts) const {
    EXPECT_TRUE(expect_exit(1, arguments, texts).starts_with("derrd: "));
  }
  /// Runs, expects exit code 2 and a message with all of `texts`.
  void expect_usage_error(const Arguments& arguments, const std::vector<std::string>& texts) const {
    expect_exit(2, arguments, texts);
  }
  /// Returns the message.
  std::string expect_exit(int code, const Arguments& arguments,
                          const std::vector<std::string>& texts) const {
    const auto before = folder_.files();
    const Result result = derrd(arguments);
    EXPECT_EQ(result.exit_code, code) << result.err;
    for (const std::string& text : texts) {
      EXPECT_NE(result.err.find(text), std::string::npos) << text << "\n" << result.err;
    }
    EXPECT_EQ(folder_.files(), before);
    return result.err;
  }

  TemporaryFolder folder_;
  Dataset dataset_;
  SmallModel teacher_;
};

TEST_F(Errors, TeacherMustFitTheDataSet) {
  SmallModel(61, 120, 6).write(path("users"));
  SmallModel(60, 119, 6).write(path("items"));
  expect_failure(distillation("users", "model"), {path("users"), "user_embedding", "61", "60"});
  expect_failure(distillation("items", "model"), {path("items"), "item_embedding", "119", "120"});
  const SmallModel uneven(60, 120, 6);
  const std::vector<float> items(120 * 5, 1.0f);
  write_safetensors(path("uneven"),
                    {{"user_embedding", tensor_view(std::span(uneven.user), {60, 6})},
                     {"item_embedding", tensor_view(std::span(items), {120, 5})}},
                    {});
  expect_failure(distillation("uneven", "model"), {path("uneven"), "6", "5", "give a model"});
  const std::vector<float> none;
  write_safetensors(path("empty"),
                    {{"user_embedding", tensor_view(std::span(none), {60, 0})},
                     {"item_embedding", tensor_view(std::span(none), {120, 0})}},
                    {});
  expect_failure(distillation("empty", "model"),
                 {path("empty"), "user_embedding", "is empty", "give a model"});
  write_safetensors(path("lacking"),
                    {{"user_embedding", tensor_view(std::span(uneven.user), {60, 6})}}, {});
  expect_failure(distillation("lacking", "model"), {path("lacking"), "item_embedding"});
}

TEST_F(Errors, TeacherMustBeFinite) {
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    SmallModel model = teacher_;
    model.item[6 * 7 + 2] = bad;
    model.write(path("bad"));
    expect_failure(distillation("bad", "model"),
                   {path("bad"), "item_embedding", "row 7, column 2", "train it again"});
  }
}

TEST_F(Errors, TeacherWhoseScoresOverflowIsRefused) {
  SmallModel model = teacher_;
  for (float& value : model.user) value *= 1e38f / 4;
  for (float& value : model.item) value *= 1e38f / 4;
  model.write(path("huge"));
  for (const char* method : {"rrd", "de-rrd", "rd", "cd", "ir"}) {
    expect_failure(distillation("huge", "model") + Arguments{"--method", method},
                   {path("huge"), "not all finite", "train the model again"});
  }
  expect_failure({"evaluate", "--data", path("data"), "--model", path("huge")},
                 {path("huge"), "finite"});
  expect_failure({"recommend", "--data", path("data"), "--model", path("huge"), "-o", path("out")},
                 {path("huge"), "finite"});
}

TEST_F(Errors, TeacherWhoseVectorsCannotBeRebuiltEndsTheTraining) {
  SmallModel model = teacher_;
  for (float& value : model.user) value *= 1e30f;
  model.write(path("huge"));
  expect_failure(
      distillation("huge", "model") + Arguments{"--method", "de", "--checkpoint",
                                                path("checkpoint"), "--checkpoint-every", "0"},
      {"epoch 0: the loss de is not finite", "lower --lr or"});
}

TEST_F(Errors, HalfPrecisionTeachersTeachTheSame) {
  teacher_.write(path("F16"), "F16");
  teacher_.write(path("BF16"), "BF16");
  ASSERT_EQ(derrd(distillation("teacher", "full")).exit_code, 0);
  for (const char* dtype : {"F16", "BF16"}) {
    const Result result = derrd(distillation(dtype, "half"));
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(read_text(path("half")), read_text(path("full"))) << dtype;
  }
}

TEST_F(Errors, TeacherFromAnotherDataSetIsWarnedOf) {
  ASSERT_EQ(derrd({"synthesize", "--users", "60", "--items", "120", "--interactions", "900",
                   "--candidates", "50", "--seed", "5", "-o", path("other")})
                .exit_code,
            0);
  ASSERT_EQ(derrd({"train", "--data", path("other"), "--dim", "6", "--epochs", "1", "-o",
                   path("foreign"), "--quiet"})
                .exit_code,
            0);
  const Result warned = derrd(distillation("foreign", "model"));
  EXPECT_EQ(warned.exit_code, 0) << warned.err;
  EXPECT_NE(warned.err.find("warning: " + path("foreign")), std::string::npos) << warned.err;
  EXPECT_EQ(derrd(distillation("teacher", "model")).err, "");
}

TEST_F(Errors, OutputsAreCheckedBeforeTraining) {
  const std::string missing = path("no/such/folder/file");
  Arguments forever = {"train",   "--data",     path("data"), "--epochs",
                       "1000000", "--patience", "1000000",    "--quiet"};
  expect_failure(forever + Arguments{"-o", missing}, {missing});
  expect_failure(forever + Arguments{"-o", path("")}, {path("")});
  expect_failure(forever + Arguments{"-o", path("model"), "--checkpoint", missing}, {missing});
  expect_failure(forever + Arguments{"-o", path("model"), "--log", missing}, {missing});
  if (::geteuid() != 0) {
    std::filesystem::create_directory(path("closed"));
    std::filesystem::permissions(path("closed"), std::filesystem::perms::owner_read);
    expect_failure(forever + Arguments{"-o", path("closed/model")}, {path("closed/model")});
  }
}

TEST_F(Errors, InputsAreNotOverwritten) {
  const Arguments train = {"train", "--data", path("data"), "--epochs", "1", "--quiet"};
  const std::string data = read_text(path("data"));
  expect_usage_error(train + Arguments{"-o", path("data")}, {"--data", "-o"});
  expect_usage_error(train + Arguments{"-o", path("model"), "--log", path("model")},
                     {"--log", "-o"});
  expect_usage_error(train + Arguments{"-o", path("model"), "--checkpoint", path("./data")},
                     {"--data", "--checkpoint"});
  expect_usage_error(distillation("teacher", "teacher"), {"--teacher", "-o"});
  expect_usage_error(
      {"recommend", "--data", path("data"), "--model", path("teacher"), "-o", path("data")},
      {"--data", "-o"});
  write_text(path("config"), "[train]\nepochs = 1\n");
  for (const char* output : {"-o", "--log", "--checkpoint"}) {
    const std::string model = output == std::string("-o") ? "" : path("model");
    Arguments arguments = train + Arguments{"--config", path("config"), output, path("config")};
    if (!model.empty()) arguments = arguments + Arguments{"-o", model};
    expect_usage_error(arguments, {"--config", "--"});
  }
  EXPECT_EQ(read_text(path("data")), data);
  // A model, say the teacher, is no checkpoint.
  expect_failure(train + Arguments{"-o", path("model"), "--checkpoint", path("teacher")},
                 {path("teacher"), "not a checkpoint"});
}

TEST_F(Errors, OutputsHaveNames) {
  const Arguments train = {"train", "--data", path("data"), "--epochs", "1", "--quiet", "-o"};
  expect_usage_error(train + Arguments{""}, {"--output", "name of a file"});
  expect_usage_error(train + Arguments{path("model"), "--log", ""}, {"--log", "name of a file"});
  expect_usage_error({"export", path("teacher"), "-o", ""}, {"--output", "name of a file"});
  expect_usage_error({"export", path("teacher"), "--format", "npy", "-o", path("folder/")},
                     {"is a folder"});
}

TEST_F(Errors, NumbersBeyondTheirTypesAreRefused) {
  const Arguments train = {"train", "--data",  path("data"), "--epochs",
                           "1",     "--quiet", "-o",         path("model")};
  for (const char* batch : {"0", "4294967297", "99999999999999999999", "1.5"}) {
    expect_usage_error(train + Arguments{"--batch", batch}, {"--batch", batch, "whole number"});
  }
  expect_failure(train + Arguments{"--negatives", "2147483647"}, {"--negatives", "samples"});
  expect_usage_error(train + Arguments{"--seed", "18446744073709551616"}, {"--seed"});
  EXPECT_EQ(derrd(train + Arguments{"--seed", "18446744073709551615"}).exit_code, 0);
}

TEST_F(Errors, ABatchBeyondTheEpochIsTheEpoch) {
  const Arguments train = {"train", "--data", path("data"), "--epochs", "1", "--quiet"};
  const auto vectors = [&](const std::string& batch) {
    const Result result = derrd(train + Arguments{"--batch", batch, "-o", path("model")});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return SafetensorsFile::read(path("model")).values<float>("user_embedding");
  };
  const auto samples = std::to_string(dataset_.train.num_interactions());
  EXPECT_EQ(vectors(samples), vectors("2147483647"));  // which would not fit into the memory
}

class Checkpoints : public Errors {
 protected:
  Checkpoints() {
    EXPECT_EQ(derrd(run(2)).exit_code, 0);
    std::filesystem::remove(path("model"));
  }
  Arguments run(int epochs) const {
    Arguments arguments = distillation("teacher", "model");
    for (size_t i = 0; i < arguments.size(); ++i) {
      if (arguments[i] == "--epochs") arguments[i + 1] = std::to_string(epochs);
    }
    return arguments + Arguments{"--checkpoint", path("checkpoint")};
  }
};

TEST_F(Checkpoints, DamageIsNoticed) {
  const std::string whole = read_text(path("checkpoint"));
  const auto resume_with = [&](const std::string& bytes) {
    write_text(path("checkpoint"), bytes);
    expect_failure(run(4) + Arguments{"--resume"}, {path("checkpoint")});
  };
  for (const size_t at : {whole.size() - 1, whole.size() / 2, whole.size() * 3 / 4}) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 4);
    resume_with(bytes);
  }
  // The state in the metadata counts as much as the numbers.
  for (const char* text : {"next_epoch", "optimizer_steps", "last_improvement"}) {
    std::string bytes = whole;
    const size_t digit = bytes.find_first_of("0123456789", bytes.find(text));
    bytes[digit] = bytes[digit] == '7' ? '8' : '7';
    resume_with(bytes);
  }
  resume_with(whole.substr(0, whole.size() - 1));
  resume_with(whole.substr(0, whole.size() / 2));
  resume_with("");
}

TEST_F(Checkpoints, OfAnotherRunAreRefused) {
  const Arguments resume = run(4) + Arguments{"--resume"};
  expect_failure(resume + Arguments{"--seed", "1"}, {path("checkpoint"), "another run"});
  expect_failure(resume + Arguments{"--lr", "0.5"}, {path("checkpoint"), "another run"});
  expect_failure(resume + Arguments{"--tau-start", "0.5"}, {path("checkpoint"), "another run"});
  teacher_.item[0] += 1;
  teacher_.write(path("other-teacher"));
  Arguments other = resume;
  other[4] = path("other-teacher");
  expect_failure(other, {path("checkpoint"), "another run"});
  expect_failure(run(1) + Arguments{"--resume"}, {path("checkpoint"), "--epochs"});
}

TEST_F(Checkpoints, MustBeCheckpoints) {
  std::filesystem::copy_file(path("teacher"), path("checkpoint"),
                             std::filesystem::copy_options::overwrite_existing);
  expect_failure(run(4) + Arguments{"--resume"},
                 {path("checkpoint"), "not a checkpoint", "--checkpoint"});
}

}  // namespace
}  // namespace derrd::test::errors_test
