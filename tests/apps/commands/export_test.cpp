// Files of derrd export: vectors, ids, lists, the model of a checkpoint.

#include <string>
#include <vector>

#include "data/formats/npy.h"
#include "data/formats/safetensors.h"
#include "tests/apps/program.h"

namespace derrd::test::export_test {
namespace {

/// A data set with a trained model and the checkpoint of its run.
class Export : public CommandTest {
 protected:
  Export() : dataset_(write_small_dataset(folder_)) {
    SmallModel(60, 120, 6).write(path("teacher"));
    train(words("--epochs 30 -o @model --checkpoint @checkpoint"));
  }
  void train(const Arguments& arguments) const {
    succeed(words("distill --data @data --teacher @teacher --method de-rrd --dim 4 --k 5 --l 5 "
                  "--list 30 --experts 3 --lr 0.03 --quiet") +
            arguments);
  }
  void exported(const Arguments& arguments) const { succeed(Arguments{"export"} + arguments); }
  void expect_refusal(const Arguments& arguments, const std::string& part,
                      int code = kFailure) const {
    expect_exit(code, Arguments{"export"} + arguments, {part});
  }

  const Dataset dataset_;
};

TEST_F(Export, CheckpointGivesTheModelFileOfItsRun) {
  const SafetensorsFile checkpoint = SafetensorsFile::read(path("checkpoint"));
  ASSERT_NE(checkpoint.values<float>("values"), checkpoint.values<float>("best_values"))
      << "choose another run: its last epoch is the best";
  exported(words("@checkpoint -o @exported"));
  EXPECT_EQ(read_text(path("exported")), read_text(path("model")));
  EXPECT_LT(read_text(path("exported")).size() * 5, read_text(path("checkpoint")).size());

  // A run with chosen weights, and one that goes on.
  train(words("--auto-lambda --epochs 3 -o @model --checkpoint @other"));
  exported(words("@other -o @exported"));
  EXPECT_EQ(read_text(path("exported")), read_text(path("model")));
  train(words("--auto-lambda --epochs 5 -o @model --checkpoint @other --resume"));
  exported(words("@other -o @exported --data @data"));
  const SafetensorsFile model = SafetensorsFile::read(path("model"));
  const SafetensorsFile with_ids = SafetensorsFile::read(path("exported"));
  EXPECT_EQ(with_ids.metadata(), model.metadata());
  EXPECT_EQ(with_ids.values<float>("user_embedding"), model.values<float>("user_embedding"));
  EXPECT_EQ(with_ids.values<int64_t>("user_ids"), dataset_.user_ids.numbers());
  EXPECT_EQ(with_ids.values<int64_t>("item_ids"), dataset_.item_ids.numbers());
}

TEST_F(Export, ModelsAreCopied) {
  exported(words("@model -o @exported"));
  EXPECT_EQ(read_text(path("exported")), read_text(path("model")));
  SmallModel(60, 120, 6).write(path("half"), "F16");
  exported(words("@half -o @exported"));
  EXPECT_EQ(read_text(path("exported")), read_text(path("teacher")));
}

TEST_F(Export, TensorsGetTheirNames) {
  const Arguments names = words("--user-name P --item-name item_embedding");
  exported(words("@model -o @exported") + names);
  const SafetensorsFile model = SafetensorsFile::read(path("model"));
  const SafetensorsFile renamed = SafetensorsFile::read(path("exported"));
  EXPECT_EQ(renamed.tensors().size(), 2u);
  EXPECT_EQ(renamed.values<float>("P"), model.values<float>("user_embedding"));
  EXPECT_EQ(renamed.tensor("P").shape, model.tensor("user_embedding").shape);
  EXPECT_EQ(renamed.values<float>("item_embedding"), model.values<float>("item_embedding"));
  EXPECT_EQ(renamed.metadata_or("format", ""), "derrd-vectors");
  EXPECT_EQ(renamed.metadata_or("options", ""), model.metadata_or("options", "none"));
  exported(words("@model -o @exported --user-name item_embedding --item-name user_embedding"));
  const SafetensorsFile swapped = SafetensorsFile::read(path("exported"));
  EXPECT_EQ(swapped.values<float>("item_embedding"), model.values<float>("user_embedding"));
  EXPECT_EQ(swapped.values<float>("user_embedding"), model.values<float>("item_embedding"));
  for (const char* name : {"item_embedding", "__metadata__", "user_ids", "item_id_bytes"}) {
    expect_refusal(words("@model -o @exported --user-name", name), "name", kUsageError);
  }
}

TEST_F(Export, ArraysAndIdsComeBackAsATeacher) {
  exported(words("@model --format npy -o @out --data @data"));
  const SafetensorsFile model = SafetensorsFile::read(path("model"));
  EXPECT_EQ(read_npy(path("out.user.npy")).values, model.values<float>("user_embedding"));
  EXPECT_EQ(read_npy(path("out.item.npy")).shape, (std::vector<int64_t>{120, 4}));
  const auto ids = lines_of(read_text(path("out.item_ids.txt")));
  ASSERT_EQ(ids.size(), 120u);
  for (int64_t i = 0; i < 120; ++i) EXPECT_EQ(ids[i], dataset_.item_ids.text(i));

  const Arguments run =
      words("distill --data @data --dim 2 --k 5 --l 5 --epochs 2 -o @again --quiet --experts 2");
  succeed(run + words("--teacher @model"));
  const std::string expected = read_text(path("again"));
  succeed(run + words("--teacher-user @out.user.npy --teacher-item @out.item.npy "
                      "--teacher-user-ids @out.user_ids.txt --teacher-item-ids @out.item_ids.txt"));
  EXPECT_EQ(read_text(path("again")), expected);

  exported(words("@teacher --format npy -o @bare"));
  EXPECT_TRUE(std::filesystem::exists(path("bare.item.npy")));
  EXPECT_FALSE(std::filesystem::exists(path("bare.item_ids.txt")));
  expect_exit(kFailure, words("export @teacher --format npy -o @out"),
              {path("out.user_ids.txt") + ": holds the ids of other rows; remove it"});
  EXPECT_EQ(read_npy(path("out.user.npy")).values, model.values<float>("user_embedding"));
}

TEST_F(Export, ListsAreThoseOfRecommend) {
  for (const char* format : {"tsv", "jsonl"}) {
    succeed(
        words("recommend --data @data --model @model --top 7 --format", format, "-o @expected"));
    for (const char* source : {"model", "checkpoint"}) {
      exported(words(path(source), "--data @data --top 7 --format", format, "-o @lists"));
      EXPECT_EQ(read_text(path("lists")), read_text(path("expected"))) << format << source;
    }
  }
}

TEST_F(Export, PythonOpensIt) {
  if (!python_has("numpy, safetensors.numpy")) GTEST_SKIP() << "pip install numpy safetensors";
  exported(words("@checkpoint --format npy -o @out --data @data"));
  exported(words("@model -o @named --user-name P --item-name Q"));
  run_python(folder_, R"(
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
}

TEST_F(Export, RejectsWhatDoesNotFit) {
  expect_refusal(words("@data -o @out"), "user_embedding");
  expect_refusal(words("@missing -o @out"), "no such file");
  expect_refusal(words("@model -o @model"), "MODEL and -o", kUsageError);
  write_dataset(path("other"), {.users = 50, .items = 120, .interactions = 700, .candidates = 9});
  expect_refusal(words("@checkpoint --data @other -o @out"), "another data set");
  expect_refusal(words("@model --data @other -o @out"), "50 users");
  std::string damaged = read_text(path("checkpoint"));
  damaged[damaged.size() - 5] ^= 1;
  write_text(path("damaged"), damaged);
  expect_refusal(words("@damaged -o @out"), "damaged");
  EXPECT_FALSE(std::filesystem::exists(path("out")));
}

}  // namespace
}  // namespace derrd::test::export_test
