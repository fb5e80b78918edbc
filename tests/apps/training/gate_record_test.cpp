// The record of the experts that users have in the course of a distillation.

#include "engine/distill/gate_record.h"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/formats/safetensors.h"
#include "tests/apps/program.h"

namespace derrd::test::gate_record_test {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kUsers = 60, kItems = 120, kTeacherDim = 10, kDim = 4, kExperts = 3;

class GateRecords : public CommandTest {
 protected:
  GateRecords() : dataset_(write_small_dataset(folder_)) { teacher_.write(path("teacher")); }

  Arguments run_of(int epochs, const std::string& method = "de-rrd") const {
    return words(
        "distill --data @data --teacher @teacher --k 5 --l 5 --list 30 --experts 3 --dim 4"
        " --batch 64 --quiet --lr 0.02 --patience 100000 --epochs",
        std::to_string(epochs), "--method", method);
  }
  GateRecord record() const { return read_gate_record(path("gate")); }

  /// Expects the last row to be that of the gate in the checkpoint, in double.
  void expect_last_row_of_checkpoint() const;

  Dataset dataset_;
  const SmallModel teacher_{kUsers, kItems, kTeacherDim};
};

int64_t padded(int64_t size) { return (size + 63) / 64 * 64; }

// The student's two tables come first, then the gate's weight [E, T] and bias [E].
void GateRecords::expect_last_row_of_checkpoint() const {
  const auto values = SafetensorsFile::read(path("checkpoint")).values<float>("values");
  const float* weight = values.data() + padded(kUsers * kDim) + padded(kItems * kDim);
  const float* bias = weight + padded(kExperts * kTeacherDim);
  const GateRows rows = record().rows;
  ASSERT_EQ(rows.users, kUsers);
  double entropy = 0;
  for (size_t u = 0; u < kUsers; ++u) {
    std::vector<double> alpha(bias, bias + kExperts);
    double sum = 0;
    for (size_t m = 0; m < kExperts; ++m) {
      for (size_t t = 0; t < kTeacherDim; ++t) {
        alpha[m] += double{weight[m * kTeacherDim + t]} * teacher_.user[u * kTeacherDim + t];
      }
      sum += alpha[m] = std::exp(alpha[m]);
    }
    for (double& a : alpha) entropy -= (a / sum) * std::log(a / sum);
    EXPECT_EQ(rows.user_expert[rows.user_expert.size() - kUsers + u],
              std::ranges::max_element(alpha) - alpha.begin())
        << u;
  }
  EXPECT_NEAR(rows.entropy.back(), entropy / kUsers, 1e-5);
}

TEST_F(GateRecords, HoldTheChoicesBeforeTrainingAndAfterEveryEpoch) {
  for (const char* gate : {"gumbel", "attention"}) {
    const Arguments outputs = words("--gate", gate, "-o @model --snapshot-gate @gate");
    const Result result = succeed(run_of(6) + outputs);
    EXPECT_TRUE(contains(result.out, "wrote " + path("gate") + ": the expert of each user"));
    const GateRecord whole = record();
    EXPECT_EQ(whole.experts, kExperts);
    EXPECT_EQ(whole.rows.rows(), 7);
    EXPECT_EQ(whole.best_row,
              metadata_json(path("model"), "metrics")["best_epoch"].get<int64_t>() + 1);
    EXPECT_EQ(whole.metadata.at("dataset_hash"), dataset_.hash);
    EXPECT_EQ(metadata_json(path("gate"), "options"), metadata_json(path("model"), "options"));

    // Each epoch in its turn is the last one. With the tiniest steps it is as before the first.
    for (const auto& [epochs, row, lr] :
         {std::tuple{1, 0, "1e-37"}, {1, 1, "0.02"}, {3, 3, "0.02"}, {6, 6, "0.02"}}) {
      Arguments run = run_of(epochs);
      *(std::ranges::find(run, "--lr") + 1) = lr;
      succeed(run + outputs + words("--checkpoint @checkpoint"));
      expect_last_row_of_checkpoint();
      const GateRows rows = record().rows;
      EXPECT_TRUE(std::ranges::equal(
          std::span(rows.user_expert).last(kUsers),
          std::span(whole.rows.user_expert).subspan(static_cast<size_t>(row * kUsers), kUsers)));
      EXPECT_EQ(rows.entropy.back(), whole.rows.entropy[static_cast<size_t>(row)]);
      fs::remove(path("checkpoint"));
    }
    const auto row = [&](size_t number) {
      return std::vector(
          whole.rows.user_expert.begin() + static_cast<int64_t>(number * kUsers),
          whole.rows.user_expert.begin() + static_cast<int64_t>((number + 1) * kUsers));
    };
    EXPECT_NE(row(0), row(6)) << "choose another run: it changes no choice";
  }
}

TEST_F(GateRecords, ChangeNoBitOfTheTraining) {
  for (const char* options : {"--gate gumbel", "--gate attention --row-updates lazy"}) {
    const Arguments run =
        run_of(4) + words(options, "-o @model --checkpoint @checkpoint --checkpoint-every 0");
    succeed(run);
    const std::string model = read_text(path("model"));
    const SafetensorsFile without = SafetensorsFile::read(path("checkpoint"));
    succeed(run + words("--snapshot-gate @gate"));
    EXPECT_EQ(read_text(path("model")), model);
    const SafetensorsFile with = SafetensorsFile::read(path("checkpoint"));
    EXPECT_EQ(with.metadata(), without.metadata());
    for (const auto& [name, tensor] : without.tensors()) {
      EXPECT_TRUE(std::ranges::equal(with.tensor(name).bytes, tensor.bytes)) << name;
    }
    EXPECT_EQ(with.tensors().size(), without.tensors().size() + 2);
  }
}

TEST_F(GateRecords, AreTheSameTwiceAndAtAnyNumberOfThreads) {
  const Arguments run = run_of(3) + words("-o @model --snapshot-gate @gate --threads");
  succeed(run + words("1"));
  const std::string one = read_text(path("gate"));
  for (const char* threads : {"1", "2"}) {
    succeed(run + words(threads));
    EXPECT_EQ(read_text(path("gate")), one);
  }
}

TEST_F(GateRecords, AreOfTheUsersThatTheTeacherKnows) {
  std::string ids;
  for (int64_t u = 0; u < kUsers; ++u) {
    ids += std::to_string(u == 7 ? 100000 : dataset_.user_ids.numbers()[static_cast<size_t>(u)]);
    ids += "\n";
  }
  write_text(path("ids.txt"), ids);
  succeed(run_of(2, "de") + words("--teacher-user-ids @ids.txt -o @model --snapshot-gate @gate"));
  const GateRows rows = record().rows;
  for (size_t at = 0; at < rows.user_expert.size(); ++at) {
    EXPECT_EQ(rows.user_expert[at] == -1, at % kUsers == 7) << at;
  }
}

TEST_F(GateRecords, OfNeumfsAreThoseOfTheirEmbeddings) {
  succeed(words("train --data @data --model neumf --dim 8 --epochs 1 --quiet -o @teacher"));
  const Arguments outputs = words("-o @model --snapshot-gate @gate");
  succeed(run_of(2, "de") + words("--tap embedding") + outputs);
  EXPECT_EQ(record().rows.rows(), 3);
  EXPECT_EQ(record().metadata.at("model"), "neumf");
  succeed(run_of(2, "de") + words("--model bpr") + outputs);
  EXPECT_EQ(record().metadata.at("model"), "bpr");
  fs::remove(path("model"));
  fs::remove(path("gate"));
  for (const char* tap : {"auto", "joint", "mlp"}) {
    expect_exit(kUsageError, run_of(2, "de") + words("--tap", tap) + outputs,
                {"--snapshot-gate", "--tap ", "take --tap embedding"});
  }
  EXPECT_FALSE(fs::exists(path("model")));
  EXPECT_FALSE(fs::exists(path("gate")));
}

TEST_F(GateRecords, ResumedHaveTheSameBytes) {
  succeed(run_of(6) + words("-o @model --snapshot-gate @gate"));
  const std::string whole = read_text(path("gate"));
  const Arguments records = words("-o @model --snapshot-gate @gate --checkpoint @checkpoint");
  for (const int first : {1, 4, 6}) {
    succeed(run_of(first) + records);
    fs::remove(path("gate"));
    succeed(run_of(6) + records + words("--resume"));
    EXPECT_EQ(read_text(path("gate")), whole) << first;
    fs::remove(path("checkpoint"));
  }
}

TEST_F(GateRecords, OfKilledRunsHaveTheSameBytes) {
  const Arguments run = run_of(kLongTraining / 3);
  succeed(run + words("-o @model --snapshot-gate @gate"));
  const std::string whole = read_text(path("gate"));
  fs::remove(path("gate"));
  fs::remove(path("model"));
  expect_same_bits_when_killed(run + words("--snapshot-gate @gate"), 8);
  EXPECT_EQ(read_text(path("gate")), whole);
}

TEST_F(GateRecords, CheckpointsWithoutRowsAreRefused) {
  const Arguments checkpoint = words("-o @model --checkpoint @checkpoint");
  const Arguments gate = words("--snapshot-gate @gate --resume");
  succeed(run_of(2) + checkpoint);
  const std::string before = read_text(path("checkpoint"));
  expect_exit(kFailure, run_of(4) + checkpoint + gate,
              {path("checkpoint"), "2 epochs", "without --snapshot-gate", "leave the option out"});
  EXPECT_EQ(read_text(path("checkpoint")), before);
  EXPECT_FALSE(fs::exists(path("gate")));
  fs::remove(path("checkpoint"));

  // Who leaves the option out drops the rows, and is told.
  succeed(run_of(2) + checkpoint + words("--snapshot-gate @gate"));
  const Result dropped = succeed(run_of(3) + checkpoint + words("--resume"));
  EXPECT_TRUE(contains(dropped.err, "rows of --snapshot-gate so far, which this run drops"));
  EXPECT_FALSE(SafetensorsFile::read(path("checkpoint")).contains("user_expert"));
  expect_exit(kFailure, run_of(4) + checkpoint + gate, {"3 epochs"});
}

TEST_F(GateRecords, SignalsEndThemWithTheRowsSoFar) {
  Process process(run_of(1000000) + words("-o @model --snapshot-gate @gate --log @log"));
  wait_for_lines(process, "log", 5);
  process.send(SIGINT);
  EXPECT_EQ(process.wait().exit_code, 130);
  const auto metrics = metadata_json(path("model"), "metrics");
  EXPECT_EQ(record().rows.rows(), metrics["epochs"].get<int64_t>() + 1);
  EXPECT_EQ(record().best_row, metrics["best_epoch"].get<int64_t>() + 1);
}

TEST_F(GateRecords, NeedAGateOfUsers) {
  const Arguments outputs = words("-o @model --snapshot-gate @gate");
  for (const char* method : {"rrd", "none", "rrd+ir+rd+cd"}) {
    expect_exit(kUsageError, run_of(2, method) + outputs,
                {"--snapshot-gate", std::string("--method ") + method + " has no experts"});
  }
  expect_exit(kUsageError, run_of(2) + words("--gate mean") + outputs,
              {"--snapshot-gate", "--gate mean", "take gumbel or attention"});
  EXPECT_FALSE(fs::exists(path("model")));
  EXPECT_FALSE(fs::exists(path("gate")));
}

TEST_F(GateRecords, DestroyNoOtherFile) {
  const Arguments run = run_of(2) + words("-o @model --log @log --checkpoint @checkpoint");
  for (const char* other : {"data", "teacher", "model", "log", "checkpoint"}) {
    expect_exit(kUsageError, run + words("--snapshot-gate", path(other)),
                {"--snapshot-gate", "both name"});
  }
  expect_exit(kFailure, run + words("--snapshot-gate @nowhere/gate"), {path("nowhere")});
  expect_exit(kUsageError, run + Arguments{"--snapshot-gate", ""}, {"--snapshot-gate"});
  EXPECT_FALSE(fs::exists(path("model")));
}

}  // namespace
}  // namespace derrd::test::gate_record_test
