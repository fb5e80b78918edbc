// What derrd export writes: vectors, ids, lists, the model of a checkpoint.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "data/formats/npy.h"
#include "data/formats/safetensors.h"
#include "tests/apps/program.h"

namespace derrd::test::export_test {
namespace {

using Arguments = std::vector<std::string>;

Arguments operator+(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// A data set with a trained model and the checkpoint of its run.
class Export : public testing::Test {
 protected:
  Export() : dataset_(write_small_dataset(folder_)) {
    SmallModel(60, 120, 6).write(path("teacher"));
    train({"--epochs", "30", "-o", path("model"), "--checkpoint", path("checkpoint")});
  }
  void train(const Arguments& arguments) const {
    const Result result =
        derrd(Arguments{"distill",   "--data", path("data"), "--teacher", path("teacher"),
                        "--method",  "de-rrd", "--dim",      "4",         "--k",
                        "5",         "--l",    "5",          "--list",    "30",
                        "--experts", "3",      "--lr",       "0.03",      "--quiet"} +
              arguments);
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  std::string path(const std::string& name) const { return folder_ / name; }
  void exported(const Arguments& arguments) const {
    const Result result = derrd(Arguments{"export"} + arguments);
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  void expect_refusal(const Arguments& arguments, const std::string& part,
                      int exit_code = 1) const {
    const Result result = derrd(Arguments{"export"} + arguments);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
  }

  TemporaryFolder folder_;
  const Dataset dataset_;
};

TEST_F(Export, CheckpointGivesTheModelFileOfItsRun) {
  const SafetensorsFile checkpoint = SafetensorsFile::read(path("checkpoint"));
  ASSERT_NE(checkpoint.values<float>("values"), checkpoint.values<float>("best_values"))
      << "choose another run: its last epoch is the best";
  exported({path("checkpoint"), "-o", path("exported")});
  EXPECT_EQ(read_text(path("exported")), read_text(path("model")));
  EXPECT_LT(read_text(path("exported")).size() * 5, read_text(path("checkpoint")).size());

  // Also with weights that were chosen, and of a run that goes on.
  train({"--auto-lambda", "--epochs", "3", "-o", path("model"), "--checkpoint", path("other")});
  exported({path("other"), "-o", path("exported")});
  EXPECT_EQ(read_text(path("exported")), read_text(path("model")));
  train({"--auto-lambda", "--epochs", "5", "-o", path("model"), "--checkpoint", path("other"),
         "--resume"});
  exported({path("other"), "-o", path("exported"), "--data", path("data")});
  const SafetensorsFile model = SafetensorsFile::read(path("model"));
  const SafetensorsFile with_ids = SafetensorsFile::read(path("exported"));
  EXPECT_EQ(with_ids.metadata(), model.metadata());
  EXPECT_EQ(with_ids.values<float>("user_embedding"), model.values<float>("user_embedding"));
  EXPECT_EQ(with_ids.values<int64_t>("user_ids"), dataset_.user_ids.numbers());
  EXPECT_EQ(with_ids.values<int64_t>("item_ids"), dataset_.item_ids.numbers());
}

TEST_F(Export, ModelsAreCopied) {
  exported({path("model"), "-o", path("exported")});
  EXPECT_EQ(read_text(path("exported")), read_text(path("model")));
  SmallModel(60, 120, 6).write(path("half"), "F16");
  exported({path("half"), "-o", path("exported")});
  EXPECT_EQ(read_text(path("exported")), read_text(path("teacher")));
}

TEST_F(Export, TensorsGetTheirNames) {
  const Arguments names = {"--user-name", "P", "--item-name", "item_embedding"};
  exported(Arguments{path("model"), "-o", path("exported")} + names);
  const SafetensorsFile model = SafetensorsFile::read(path("model"));
  const SafetensorsFile renamed = SafetensorsFile::read(path("exported"));
  EXPECT_EQ(renamed.tensors().size(), 2u);
  EXPECT_EQ(renamed.values<float>("P"), model.values<float>("user_embedding"));
  EXPECT_EQ(renamed.tensor("P").shape, model.tensor("user_embedding").shape);
  EXPECT_EQ(renamed.values<float>("item_embedding"), model.values<float>("item_embedding"));
  EXPECT_EQ(renamed.metadata_or("format", ""), "derrd-vectors");
  EXPECT_EQ(renamed.metadata_or("options", ""), model.metadata_or("options", "none"));
  exported({path("model"), "-o", path("exported"), "--user-name", "item_embedding", "--item-name",
            "user_embedding"});
  const SafetensorsFile swapped = SafetensorsFile::read(path("exported"));
  EXPECT_EQ(swapped.values<float>("item_embedding"), model.values<float>("user_embedding"));
  EXPECT_EQ(swapped.values<float>("user_embedding"), model.values<float>("item_embedding"));
  for (const char* name : {"item_embedding", "__metadata__", "user_ids", "item_id_bytes"}) {
    expect_refusal({path("model"), "-o", path("exported"), "--user-name", name}, "name", 2);
  }
}

TEST_F(Export, ArraysAndIdsComeBackAsATeacher) {
  exported({path("model"), "--format", "npy", "-o", path("out"), "--data", path("data")});
  const SafetensorsFile model = SafetensorsFile::read(path("model"));
  EXPECT_EQ(read_npy(path("out.user.npy")).values, model.values<float>("user_embedding"));
  EXPECT_EQ(read_npy(path("out.item.npy")).shape, (std::vector<int64_t>{120, 4}));
  const auto ids = lines_of(read_text(path("out.item_ids.txt")));
  ASSERT_EQ(ids.size(), 120u);
  for (int64_t i = 0; i < 120; ++i) EXPECT_EQ(ids[i], dataset_.item_ids.text(i));

  const Arguments run = {"distill",     "--data",  path("data"), "--dim",    "2", "--k",
                         "5",           "--l",     "5",          "--epochs", "2", "-o",
                         path("again"), "--quiet", "--experts",  "2"};
  ASSERT_EQ(derrd(run + Arguments{"--teacher", path("model")}).exit_code, 0);
  const std::string expected = read_text(path("again"));
  const Result result =
      derrd(run + Arguments{"--teacher-user", path("out.user.npy"), "--teacher-item",
                            path("out.item.npy"), "--teacher-user-ids", path("out.user_ids.txt"),
                            "--teacher-item-ids", path("out.item_ids.txt")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(read_text(path("again")), expected);

  exported({path("teacher"), "--format", "npy", "-o", path("bare")});
  EXPECT_TRUE(std::filesystem::exists(path("bare.item.npy")));
  EXPECT_FALSE(std::filesystem::exists(path("bare.item_ids.txt")));
}

TEST_F(Export, ListsAreThoseOfRecommend) {
  for (const char* format : {"tsv", "jsonl"}) {
    ASSERT_EQ(derrd({"recommend", "--data", path("data"), "--model", path("model"), "--top", "7",
                     "--format", format, "-o", path("expected")})
                  .exit_code,
              0);
    for (const char* source : {"model", "checkpoint"}) {
      exported({path(source), "--data", path("data"), "--top", "7", "--format", format, "-o",
                path("lists")});
      EXPECT_EQ(read_text(path("lists")), read_text(path("expected"))) << format << source;
    }
  }
}

TEST_F(Export, PythonOpensIt) {
  if (std::system("python3 -c 'import numpy, safetensors.numpy' 2>/dev/null") != 0) {
    GTEST_SKIP() << "python3 has no numpy or safetensors (pip install numpy safetensors)";
  }
  exported({path("checkpoint"), "--format", "npy", "-o", path("out"), "--data", path("data")});
  exported({path("model"), "-o", path("named"), "--user-name", "P", "--item-name", "Q"});
  write_text(path("check.py"), R"(
import sys, numpy as np
from safetensors.numpy import load_file
folder = sys.argv[1] + '/'
model, named = load_file(folder + 'model'), load_file(folder + 'named')
assert sorted(named) == ['P', 'Q']
for kind, name in ('user', 'P'), ('item', 'Q'):
    array = np.load(f'{folder}out.{kind}.npy')
    assert array.dtype == np.float32
    assert (array == model[kind + '_embedding']).all() and (array == named[name]).all()
ids = [int(line) for line in open(folder + 'out.user_ids.txt')]
assert ids == load_file(folder + 'data')['user_ids'].tolist()
)");
  EXPECT_EQ(std::system(fmt::format("python3 '{}' '{}'", path("check.py"), folder_ / "").c_str()),
            0);
}

TEST_F(Export, RefusesWhatDoesNotFit) {
  const Arguments out = {"-o", path("out")};
  expect_refusal(Arguments{path("data")} + out, "user_embedding");
  expect_refusal(Arguments{path("missing")} + out, "no such file");
  expect_refusal(Arguments{path("model"), "-o", path("model")}, "MODEL and -o", 2);
  write_dataset(path("other"), {.users = 50, .items = 120, .interactions = 700, .candidates = 9});
  expect_refusal(Arguments{path("checkpoint"), "--data", path("other")} + out, "another data set");
  expect_refusal(Arguments{path("model"), "--data", path("other")} + out, "50 users");
  std::string damaged = read_text(path("checkpoint"));
  damaged[damaged.size() - 5] ^= 1;
  write_text(path("damaged"), damaged);
  expect_refusal(Arguments{path("damaged")} + out, "damaged");
  EXPECT_FALSE(std::filesystem::exists(path("out")));
}

}  // namespace
}  // namespace derrd::test::export_test
