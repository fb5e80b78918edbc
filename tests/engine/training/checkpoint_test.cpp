#include "engine/training/checkpoint.h"

#include "tests/files.h"

namespace derrd::test::checkpoint_test {
namespace {

class CheckpointTest : public testing::Test {
 protected:
  CheckpointTest() {
    original_.next_epoch = 7;
    original_.optimizer_steps = 791;
    original_.early_stopping.last_improvement = 5;
    original_.early_stopping.best[1].epoch = 5;
    original_.early_stopping.best[1].hit = 0.1 + 0.2;
    original_.early_stopping.best[1].evaluation.test.mrr[2] = 1.0 / 3;
    original_.losses = {{"de", {1e-2 / 3, {0.1 + 0.7, 1}}}, {"rrd", {1e-3, {}}}};
    original_.values = {1.5f, -0.0f, 1e-40f};
    original_.first_moments = {1, 2, 3};
    original_.second_moments = {4, 5, 6};
    original_.best_values = {7, 8, 9};
    save();
  }
  void save() const { save_checkpoint(path_, original_, "run A", model_); }

  const TestFolder folder_;
  const std::string path_ = folder_ / "run.checkpoint";
  const ModelInArena model_ = {{{"user", 0, 1, 1}, {"item", 1, 1, 2}},
                               {{"format", "derrd-model"}, {"model", "kind"}}};
  Checkpoint original_;
};

TEST_F(CheckpointTest, ComesBackExactly) {
  const Checkpoint c = load_checkpoint(path_, "run A");
  EXPECT_EQ(c.next_epoch, 7);
  EXPECT_EQ(c.optimizer_steps, 791);
  EXPECT_EQ(c.early_stopping.last_improvement, 5);
  EXPECT_EQ(c.early_stopping.best[1].hit, 0.1 + 0.2);
  EXPECT_EQ(c.early_stopping.best[1].evaluation.test.mrr[2], 1.0 / 3);
  EXPECT_EQ(c.early_stopping.best[2].epoch, -1);
  EXPECT_EQ(c.losses, original_.losses);
  EXPECT_EQ(c.values, original_.values);
  EXPECT_EQ(c.first_moments, original_.first_moments);
  EXPECT_EQ(c.second_moments, original_.second_moments);
  EXPECT_EQ(c.best_values, original_.best_values);
}

TEST_F(CheckpointTest, HoldsTheRowsOfAGateIfThereAreAny) {
  EXPECT_FALSE(load_checkpoint(path_, "run A").gate_rows);
  const GateRows rows = {2, {0, -1, 1, -1}, {0.5f, 0.25f}};
  original_.gate_rows = std::make_shared<GateRows>(rows);
  save();
  const Checkpoint c = load_checkpoint(path_, "run A");
  ASSERT_TRUE(c.gate_rows);
  EXPECT_EQ(*c.gate_rows, rows);
  EXPECT_EQ(c.values, original_.values);
}

TEST_F(CheckpointTest, RejectsAnotherRun) { EXPECT_THROW(load_checkpoint(path_, "run B"), Error); }

TEST_F(CheckpointTest, EveryFlippedBitIsRefused) {
  original_.early_stopping.best[0].epoch = 3;
  save();
  const std::string bytes = read_text(path_);
  for (size_t bit = 0; bit < 8 * bytes.size();
       bit += 5) {  // a prime: each bit of a byte has its turn
    write_text(path_, flipped(bytes, bit));
    EXPECT_THROW(load_checkpoint(path_, "run A"), Error) << "bit " << bit;
    EXPECT_THROW(load_best_model(SafetensorsFile::read(path_)), Error) << "bit " << bit;
  }
}

TEST_F(CheckpointTest, RejectsOneWithoutItsHash) {
  std::string bytes = read_text(path_);
  bytes.replace(bytes.find("file_hash"), 9, "some_hash");
  write_text(path_, bytes);
  expect_error([&] { load_checkpoint(path_, "run A"); }, "delete it to start over");
}

TEST_F(CheckpointTest, OverwritesAsAWholeAndLeavesNothingBeside) {
  original_.next_epoch = 8;
  save();
  EXPECT_EQ(load_checkpoint(path_, "run A").next_epoch, 8);
  EXPECT_EQ(folder_.names(), std::vector<std::string>{"run.checkpoint"});
}

TEST_F(CheckpointTest, HoldsTheModelOfTheBestEpoch) {
  EXPECT_THROW(load_best_model(SafetensorsFile::read(path_)), Error);  // of no epoch yet
  original_.early_stopping.best[0].epoch = 3;
  save();
  const SavedModel model = load_best_model(SafetensorsFile::read(path_));
  EXPECT_EQ(model.kind, "kind");
  EXPECT_EQ(model.metadata, model_.metadata);
  ASSERT_EQ(model.tensors.size(), 2u);
  EXPECT_EQ(model.tensor("user").values, (std::vector<float>{7}));
  EXPECT_EQ(model.tensor("item").values, (std::vector<float>{8, 9}));
  EXPECT_EQ(model.tensor("item").cols, 2);
}

TEST_F(CheckpointTest, RejectsModelsOutsideOfTheArena) {
  original_.early_stopping.best[0].epoch = 3;
  for (const ModelInArena::Part& part : {ModelInArena::Part{"a", 2, 1, 2},
                                         {"a", -1, 1, 1},
                                         {"a", 4, 0, 0},
                                         {"a", 0, int64_t{1} << 40, int64_t{1} << 40},
                                         {"a", 0, -1, -3}}) {
    save_checkpoint(path_, original_, "run A", {{part}, {}});
    EXPECT_THROW(load_best_model(SafetensorsFile::read(path_)), Error) << part.offset;
  }
}

}  // namespace
}  // namespace derrd::test::checkpoint_test
