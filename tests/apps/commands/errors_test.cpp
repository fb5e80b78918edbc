// Faults in the files that a run is given: a message, exit code 1, nothing half-written.

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "data/formats/safetensors.h"
#include "data/version.h"
#include "tests/apps/program.h"

namespace derrd::test::errors_test {
namespace {

class Errors : public CommandTest {
 protected:
  Errors() : dataset_(write_small_dataset(folder_)), teacher_(60, 120, 6) {
    teacher_.write(path("teacher"));
  }

  Arguments distillation(const std::string& teacher, const std::string& output) const {
    return words("distill --data @data --teacher", path(teacher), "-o", path(output),
                 "--dim 3 --epochs 2 --k 5 --l 5 --experts 2 --quiet");
  }
  /// Expects exit code 1, a message with all of `parts`, and no file that was not there.
  void expect_failure(const Arguments& arguments, const std::vector<std::string>& parts) const {
    EXPECT_TRUE(expect_no_file(kFailure, arguments, parts).err.starts_with("derrd: "));
  }
  void expect_usage_error(const Arguments& arguments, const std::vector<std::string>& parts) const {
    expect_no_file(kUsageError, arguments, parts);
  }
  Result expect_no_file(int code, const Arguments& arguments,
                        const std::vector<std::string>& parts) const {
    const auto before = folder_.names();
    Result result = expect_exit(code, arguments, parts);
    EXPECT_EQ(folder_.names(), before);
    return result;
  }
  /// Writes a model of 60 users and 120 items with these vectors.
  void write_vectors(const std::string& name, std::span<const float> user,
                     std::span<const float> item) const {
    const auto size = [](std::span<const float> s, int64_t n) {
      return static_cast<int64_t>(s.size()) / n;
    };
    write_safetensors(path(name),
                      {{"user_embedding", tensor_view(user, {60, size(user, 60)})},
                       {"item_embedding", tensor_view(item, {120, size(item, 120)})}},
                      {});
  }

  Dataset dataset_;
  SmallModel teacher_;
};

TEST_F(Errors, TeacherMustFitTheDataSet) {
  SmallModel(61, 120, 6).write(path("users"));
  SmallModel(60, 119, 6).write(path("items"));
  expect_failure(distillation("users", "model"), {path("users"), "user_embedding", "61", "60"});
  expect_failure(distillation("items", "model"), {path("items"), "item_embedding", "119", "120"});
  write_vectors("uneven", teacher_.user, std::vector<float>(120 * 5, 1.0f));
  expect_exit(kUsageError, distillation("uneven", "model"), {"6 numbers and the items' 5"});
  expect_failure(words("evaluate --data @data --model @uneven"),
                 {path("uneven"), "6", "5", "give a model"});
  write_vectors("empty", {}, {});
  expect_failure(distillation("empty", "model"),
                 {path("empty"), "user_embedding", "is empty", "give a model"});
  write_safetensors(
      path("lacking"),
      {{"user_embedding", tensor_view(std::span<const float>(teacher_.user), {60, 6})}}, {});
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

TEST_F(Errors, RejectsTeachersWhoseScoresOverflow) {
  SmallModel model = teacher_;
  for (float& value : model.user) value *= 1e38f / 4;
  for (float& value : model.item) value *= 1e38f / 4;
  model.write(path("huge"));
  for (const char* method : {"rrd", "de-rrd", "rd", "cd", "ir"}) {
    expect_failure(distillation("huge", "model") + Arguments{"--method", method},
                   {path("huge"), "not all finite", "train the model again"});
  }
  const std::vector<std::string> parts = {"derrd: " + path("huge") + ": ", "finite"};
  expect_no_file(kFailure, words("evaluate --data @data --model @huge"), parts);
  expect_no_file(kFailure, words("recommend --data @data --model @huge -o @out"), parts);
}

TEST_F(Errors, TeacherWhoseVectorsCannotBeRebuiltEndsTheTraining) {
  SmallModel model = teacher_;
  for (float& value : model.user) value *= 1e30f;
  model.write(path("huge"));
  expect_failure(distillation("huge", "model") +
                     words("--method de --checkpoint @checkpoint --checkpoint-every 0"),
                 {"epoch 0: the loss de is not finite", "lower --lr or"});
}

TEST_F(Errors, AStudentAndATeacherOfOneDimensionAreDistilled) {
  SmallModel(60, 120, 1).write(path("narrow"));
  succeed(
      words("distill --data @data --teacher @narrow --dim 1 --method de --epochs 1 --quiet -o "
            "@model"));
}

TEST_F(Errors, HalfPrecisionTeachersTeachTheSame) {
  teacher_.write(path("F16"), "F16");
  teacher_.write(path("BF16"), "BF16");
  succeed(distillation("teacher", "full"));
  for (const char* dtype : {"F16", "BF16"}) {
    succeed(distillation(dtype, "half"));
    EXPECT_EQ(read_text(path("half")), read_text(path("full"))) << dtype;
  }
}

TEST_F(Errors, TeacherFromAnotherDataSetIsWarnedOf) {
  succeed(
      words("synthesize --users 60 --items 120 --interactions 900 --candidates 50 "
            "--seed 5 -o @other"));
  succeed(words("train --data @other --dim 6 --epochs 1 -o @foreign --quiet"));
  const Result warned = succeed(distillation("foreign", "model"));
  EXPECT_TRUE(contains(warned.err, "warning: " + path("foreign")));
  EXPECT_EQ(derrd(distillation("teacher", "model")).err, "");
}

TEST_F(Errors, OutputsAreCheckedBeforeTraining) {
  const std::string missing = path("no/such/folder/file");
  const Arguments forever = words("train --data @data --epochs 1000000 --patience 1000000 --quiet");
  expect_failure(forever + Arguments{"-o", missing}, {missing});
  expect_failure(forever + words("-o @"), {path("")});
  expect_failure(forever + words("-o @model --checkpoint", missing), {missing});
  expect_failure(forever + words("-o @model --log", missing), {missing});
  if (::geteuid() != 0) {
    std::filesystem::create_directory(path("closed"));
    std::filesystem::permissions(path("closed"), std::filesystem::perms::owner_read);
    expect_failure(forever + words("-o @closed/model"), {path("closed/model")});
  }
}

TEST_F(Errors, InputsAreNotOverwritten) {
  const Arguments train = words("train --data @data --epochs 1 --quiet");
  const std::string data = read_text(path("data"));
  expect_usage_error(train + words("-o @data"), {"--data", "-o"});
  expect_usage_error(train + words("-o @model --log @model"), {"--log", "-o"});
  expect_usage_error(train + words("-o @model --checkpoint @./data"), {"--data", "--checkpoint"});
  expect_usage_error(distillation("teacher", "teacher"), {"--teacher", "-o"});
  expect_usage_error(words("recommend --data @data --model @teacher -o @data"), {"--data", "-o"});
  write_text(path("config"), "[train]\nepochs = 1\n");
  for (const char* outputs :
       {"-o @config", "-o @model --log @config", "-o @model --checkpoint @config"}) {
    expect_usage_error(train + words("--config @config", outputs), {"--config", "--"});
  }
  EXPECT_EQ(read_text(path("data")), data);
  // A model, say the teacher, is no checkpoint.
  expect_failure(train + words("-o @model --checkpoint @teacher"),
                 {path("teacher"), "not a checkpoint"});
}

TEST_F(Errors, OutputsHaveNames) {
  const Arguments train = words("train --data @data --epochs 1 --quiet -o");
  expect_usage_error(train + Arguments{""}, {"--output", "name of a file"});
  expect_usage_error(train + Arguments{path("model"), "--log", ""}, {"--log", "name of a file"});
  expect_usage_error({"export", path("teacher"), "-o", ""}, {"--output", "name of a file"});
  expect_usage_error(words("export @teacher --format npy -o @folder/"), {"is a folder"});
}

TEST_F(Errors, RejectsNumbersBeyondTheirTypes) {
  const Arguments train = words("train --data @data --epochs 1 --quiet -o @model");
  for (const char* batch : {"0", "4294967297", "99999999999999999999", "1.5"}) {
    expect_usage_error(train + Arguments{"--batch", batch}, {"--batch", batch, "whole number"});
  }
  expect_failure(train + words("--negatives 2147483647"), {"--negatives", "samples"});
  expect_usage_error(train + words("--seed 18446744073709551616"), {"--seed"});
  succeed(train + words("--seed 18446744073709551615"));
}

TEST_F(Errors, ABatchBeyondTheEpochIsTheEpoch) {
  const Arguments train = words("train --data @data --epochs 1 --quiet");
  const auto vectors = [&](const std::string& batch) {
    succeed(train + words("--batch", batch, "-o @model"));
    return user_vectors(path("model"));
  };
  const auto samples = std::to_string(dataset_.train.num_interactions());
  EXPECT_EQ(vectors(samples), vectors("2147483647"));  // which would not fit into the memory
}

class Checkpoints : public Errors {
 protected:
  Checkpoints() {
    succeed(run(2));
    std::filesystem::remove(path("model"));
  }
  Arguments run(int epochs) const {
    Arguments arguments = distillation("teacher", "model");
    *(std::ranges::find(arguments, "--epochs") + 1) = std::to_string(epochs);
    return arguments + words("--checkpoint @checkpoint");
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

TEST_F(Checkpoints, RejectOtherRuns) {
  const Arguments resume = run(4) + Arguments{"--resume"};
  for (const char* change : {"--seed 1", "--lr 0.5", "--tau-start 0.5"}) {
    expect_failure(resume + words(change), {path("checkpoint"), "another run"});
  }
  expect_failure(run(1) + Arguments{"--resume"}, {path("checkpoint"), "--epochs"});
  teacher_.item[0] += 1;
  teacher_.write(path("teacher"));
  expect_failure(resume, {path("checkpoint"), "another run"});
}

// A program with other arithmetic would end with bits that neither of the two gives alone.
TEST_F(Checkpoints, OfProgramsWithOtherBitsAreRefused) {
  const std::string checkpoint = path("checkpoint");
  const auto changed = [&](const std::string& from, const std::string& to) {
    const SafetensorsFile file = SafetensorsFile::read(checkpoint);
    Metadata metadata = file.metadata();
    std::string& made_by = metadata.find("made_by")->second;
    const size_t at = made_by.find(from);
    ASSERT_NE(at, std::string::npos) << made_by;
    made_by.replace(at, from.size(), to);
    write_safetensors(checkpoint, file.tensors(), metadata);
  };
  const Arguments resume = run(4) + Arguments{"--resume"};
  const std::string own = SafetensorsFile::read(checkpoint).metadata_or("made_by", "");
  for (const auto& [from, to] :
       {std::pair{std::string("derrd ") + kVersion, std::string("derrd 9.9.9")},
        {own.substr(own.find(", ")), ", another processor"}}) {
    changed(from, to);
    const std::string there = SafetensorsFile::read(checkpoint).metadata_or("made_by", "");
    expect_failure(resume, {checkpoint, "--resume-anyway", "there: " + there, "here:  " + own});
    changed(to, from);
  }
  succeed(resume);

  changed("derrd ", "another ");
  const std::string other = SafetensorsFile::read(checkpoint).metadata_or("made_by", "");
  succeed(run(5) + words("--resume --resume-anyway"));
  const std::string both = other + "; then " + own;
  EXPECT_EQ(SafetensorsFile::read(path("model")).metadata_or("made_by", ""), both);
  succeed(run(6) + Arguments{"--resume"});  // from here on it is this program's
  EXPECT_EQ(SafetensorsFile::read(path("model")).metadata_or("made_by", ""), both);
}

#if defined(DERRD_BACKEND_CPU) && defined(__x86_64__)
TEST_F(Checkpoints, OfAnotherKindOfProcessorAreRefused) {
  const char* own = std::getenv("OPENBLAS_CORETYPE");
  const std::string before = own == nullptr ? "" : own;
  ::setenv("OPENBLAS_CORETYPE", "Prescott", 1);
  const Arguments resume = run(4) + Arguments{"--resume"};
  const Result result = derrd(resume);
  own == nullptr ? ::unsetenv("OPENBLAS_CORETYPE")
                 : ::setenv("OPENBLAS_CORETYPE", before.c_str(), 1);
  EXPECT_EQ(result.exit_code, kFailure);
  EXPECT_TRUE(contains(result.err, "for Prescott, ")) << result.err;
  succeed(resume);
}
#endif

TEST_F(Checkpoints, MustBeCheckpoints) {
  std::filesystem::copy_file(path("teacher"), path("checkpoint"),
                             std::filesystem::copy_options::overwrite_existing);
  expect_failure(run(4) + Arguments{"--resume"},
                 {path("checkpoint"), "not a checkpoint", "--checkpoint"});
}

}  // namespace
}  // namespace derrd::test::errors_test
