#include "engine/distill/gate_recorder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "engine/models/catalogue.h"
#include "tests/engine/losses.h"
#include "tests/engine/models/random_neumf.h"
#include "tests/engine/small_data.h"
#include "tests/files.h"
#include "tests/to_host.h"

namespace derrd::test::gate_record_test {
namespace {

constexpr int32_t kNobody = -1;

/// A gate on the host, in double.
struct GateOracle {
  int64_t experts = 0;
  std::vector<std::vector<double>> teacher;  // [U][T]; empty: no vector
  std::vector<double> weight, bias;          // [E, T], [E]

  std::vector<double> logits(const std::vector<double>& vector) const {
    std::vector<double> result = bias;
    for (size_t m = 0; m < result.size(); ++m) {
      for (size_t t = 0; t < vector.size(); ++t) {
        result[m] += weight[m * vector.size() + t] * vector[t];
      }
    }
    return result;
  }

  /// Expects the last row to be this gate's. Logits within float32's rounding of the greatest may
  /// be preferred to it.
  void expect_last(const GateRows& rows) const {
    ASSERT_EQ(rows.users, static_cast<int64_t>(teacher.size()));
    ASSERT_EQ(static_cast<int64_t>(rows.user_expert.size()), rows.users * rows.rows());
    double entropy = 0;
    int counted = 0;
    for (size_t u = 0; u < teacher.size(); ++u) {
      const int32_t chosen =
          rows.user_expert[rows.user_expert.size() - static_cast<size_t>(rows.users) + u];
      if (teacher[u].empty()) {
        EXPECT_EQ(chosen, kNobody);
        continue;
      }
      ASSERT_GE(chosen, 0);
      ASSERT_LT(chosen, experts);
      const std::vector<double> z = logits(teacher[u]);
      EXPECT_NEAR(z[static_cast<size_t>(chosen)], *std::ranges::max_element(z), 1e-5) << u;
      double sum = 0;
      for (const double logit : z) sum += std::exp(logit);
      for (const double logit : z)
        entropy -= std::exp(logit) / sum * std::log(std::exp(logit) / sum);
      ++counted;
    }
    EXPECT_NEAR(rows.entropy.back(), entropy / counted, 1e-5);
  }
};

std::vector<double> doubles(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

/// A student that learns from a teacher with de.
struct Distillation {
  Distillation(TeacherData data_of_teacher, const std::string& kind, const std::string& options)
      : data(small_dataset(20, 40, 6, 3), stream()),
        teacher(std::move(data_of_teacher), data),
        model(make_model(kind, 20, 40, {.dim = 4, .batch_size = 16}, parameters)),
        losses(make_losses(
            "de", options,
            {teacher, data, *model, parameters, 16, conventions_of(Preset::kAuthors), stream()})) {
    parameters.allocate(1, stream());
    set_random_values(parameters, 7);
  }

  DeviceDataset data;
  Teacher teacher;
  Parameters parameters;
  std::unique_ptr<Model> model;
  std::vector<std::unique_ptr<DistillationLoss>> losses;
};

/// The gate's row of users whose vectors are these rows of these tables.
GateRows row_of(const UserGate& gate) {
  GateRecorder recorder(gate, nullptr, 2, stream());
  recorder.add_row(stream());
  return *recorder.recorded();
}

GateOracle oracle_of(const UserGate& gate, const std::vector<HostMatrix>& tables,
                     const std::vector<uint8_t>& has_user = {}) {
  GateOracle oracle = {
      gate.weight.rows, {}, doubles(to_host(gate.weight.flat())), doubles(to_host(gate.bias))};
  for (int64_t u = 0; u < tables[0].rows; ++u) {
    std::vector<double>& vector = oracle.teacher.emplace_back();
    if (!has_user.empty() && has_user[static_cast<size_t>(u)] == 0) continue;
    for (const HostMatrix& table : tables) {
      const auto begin = table.values.begin() + u * table.cols;
      vector.insert(vector.end(), begin, begin + table.cols);
    }
  }
  return oracle;
}

TEST(GateRecorder, PrefersTheLargestWeightOnTheTeachersVectors) {
  const SavedModel teacher = small_teacher(20, 40, 6, 5);
  for (const char* options : {"experts=5", "experts=5 gate=attention", "experts=1"}) {
    Distillation run(teacher, "bpr", options);
    const UserGate gate = run.losses[0]->user_gate().value();
    const GateRows rows = row_of(gate);
    oracle_of(gate, {teacher.tensor("user_embedding")}).expect_last(rows);
    EXPECT_EQ(std::ranges::max(rows.user_expert) == 0, std::string(options) == "experts=1");
  }
}

TEST(GateRecorder, UsersWithoutAVectorHaveNoExpert) {
  const SavedModel model = small_teacher(20, 40, 6, 5);
  TeacherVectors vectors = {model.tensor("user_embedding"), model.tensor("item_embedding"), {}, {}};
  vectors.has_user.assign(20, 1);
  vectors.has_item.assign(40, 1);
  for (const size_t u : {0, 7, 19}) {
    vectors.has_user[u] = 0;
    std::fill_n(vectors.user.values.begin() + static_cast<int64_t>(u) * 6, 6, 0.0f);
  }
  Distillation run(vectors, "bpr", "experts=5");
  const UserGate gate = run.losses[0]->user_gate().value();
  const GateRows rows = row_of(gate);
  EXPECT_EQ(std::ranges::count(rows.user_expert, kNobody), 3);
  oracle_of(gate, {vectors.user}, vectors.has_user).expect_last(rows);
}

TEST(GateRecorder, AVectorMayConsistOfSeveralTables) {
  const SavedModel teacher = RandomNeumf(20, 40, 8, 1, 5).saved;
  for (const char* kind : {"bpr", "neumf"}) {
    Distillation run(teacher, kind, "experts=5 tap=embedding");
    const UserGate gate = run.losses[0]->user_gate().value();
    oracle_of(gate, {teacher.tensor("user_gmf"), teacher.tensor("user_mlp")})
        .expect_last(row_of(gate));
  }
}

TEST(GateRecorder, LossesWithoutAGateOfUsersHaveNone) {
  const SavedModel neumf = RandomNeumf(20, 40, 8, 1, 5).saved;
  EXPECT_FALSE(Distillation(neumf, "neumf", "experts=5").losses[0]->user_gate());
  EXPECT_FALSE(Distillation(neumf, "bpr", "experts=5 gate=mean").losses[0]->user_gate());
}

/// A gate of its own, in device memory.
struct OwnGate {
  OwnGate(int64_t users, int64_t num_experts, int64_t dim, const std::vector<float>& w,
          const std::vector<float>& b)
      : experts(num_experts),
        teacher{random_normal(users * dim, 3, 1.0f), users, dim},
        vectors(teacher.values, stream()),
        weight(w, stream()),
        bias(b, stream()) {}
  UserGate view() const {
    return {weight.matrix(experts, teacher.cols),
            bias.view(),
            {vectors.matrix(teacher.rows, teacher.cols)}};
  }
  int64_t experts;
  HostMatrix teacher;
  DeviceArray<float> vectors, weight, bias;
};

// So many experts that four users are a tile, and the last tile has two.
TEST(GateRecorder, UsersComeInTiles) {
  constexpr int64_t kExperts = 1 << 18, kUsers = 10, kDim = 2;
  const OwnGate own(kUsers, kExperts, kDim, random_normal(kExperts * kDim, 1, 1.0f),
                    random_normal(kExperts, 2, 1.0f));
  const GateRows rows = row_of(own.view());
  oracle_of(own.view(), {own.teacher}).expect_last(rows);
  EXPECT_GT(std::ranges::max(rows.user_expert), 1000);
}

TEST(GateRecorder, TheLowestNumberAmongEqualsIsPreferred) {
  // Experts 0 and 2 are behind; 1, 3 and 4 are equal.
  const OwnGate own(6, 5, 2, std::vector<float>(10, 0.0f), {0, 2, -1, 2, 2});
  const GateRows rows = row_of(own.view());
  EXPECT_EQ(rows.user_expert, std::vector<int32_t>(6, 1));
  const OwnGate even(6, 5, 2, std::vector<float>(10, 0.0f), std::vector<float>(5, 3.0f));
  EXPECT_FLOAT_EQ(row_of(even.view()).entropy[0], std::log(5.0f));
}

// exp(-2000) is 0, and neither it nor its logarithm may spoil the sum.
TEST(GateRecorder, ASharpGateHasNoEntropy) {
  const OwnGate own(6, 3, 2, std::vector<float>(6, 0.0f), {-1000, 1000, -1000});
  EXPECT_EQ(row_of(own.view()).entropy[0], 0.0f);
}

TEST(GateRecorder, RowsAreAppendedToThoseSoFar) {
  const OwnGate own(6, 5, 2, random_normal(10, 1, 1.0f), random_normal(5, 2, 1.0f));
  const GateRows one = row_of(own.view());
  GateRecorder recorder(own.view(), std::make_shared<GateRows>(one), 3, stream());
  recorder.add_row(stream());
  const GateRows& both = *recorder.recorded();
  EXPECT_EQ(both.rows(), 2);
  EXPECT_EQ(both.user_expert.size(), 12u);
  EXPECT_TRUE(std::ranges::equal(one.user_expert, std::span(both.user_expert).first(6)));
  EXPECT_TRUE(std::ranges::equal(one.user_expert, std::span(both.user_expert).last(6)));
  const OwnGate other(7, 5, 2, random_normal(10, 1, 1.0f), random_normal(5, 2, 1.0f));
  expect_error([&] { GateRecorder(other.view(), std::make_shared<GateRows>(one), 3, stream()); },
               "6 users instead of 7");
}

TEST(GateRecorder, NumbersThatAreNotFiniteAreErrors) {
  for (const float odd :
       {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
        std::numeric_limits<float>::quiet_NaN()}) {
    for (const size_t place : {0, 2}) {
      std::vector<float> bias(3, 0.0f);
      bias[place] = odd;
      const OwnGate own(6, 3, 2, std::vector<float>(6, 0.0f), bias);
      expect_error([&] { row_of(own.view()); }, "not finite after 0 epochs");
    }
  }
}

class GateRecordFile : public testing::Test {
 protected:
  GateRecordFile() { save_gate_record(path_, rows_, 4, 2, {{"format", "x"}, {"seed", "9"}}); }

  /// Expects the reader to refuse a file of these tensors and metadata.
  void expect_refused(const TensorMap& tensors, const Metadata& metadata,
                      const std::string& part) const {
    const std::string path = folder_ / "odd";
    write_safetensors(path, tensors, metadata);
    const std::string message = error_of([&] { read_gate_record(path); });
    EXPECT_TRUE(contains(message, path));
    EXPECT_TRUE(contains(message, part));
  }

  const TestFolder folder_;
  const std::string path_ = folder_ / "gate";
  const GateRows rows_ = {2, {0, -1, 1, -1, 3, -1}, {1.25f, 1.0f, 0.0f}};
  const Metadata metadata_ = {{"format", "derrd-gate-record"}, {"experts", "4"}, {"best_row", "2"}};
};

TEST_F(GateRecordFile, ComesBackExactly) {
  const GateRecord record = read_gate_record(path_);
  EXPECT_EQ(record.rows, rows_);
  EXPECT_EQ(record.rows.rows(), 3);
  EXPECT_EQ(record.experts, 4);
  EXPECT_EQ(record.best_row, 2);
  EXPECT_EQ(record.metadata.at("seed"), "9");
  const SafetensorsFile file = SafetensorsFile::read(path_);
  EXPECT_TRUE(file.has_hash());
  EXPECT_EQ(file.tensor("user_expert").dtype, DType::kI32);
  EXPECT_EQ(file.tensor("user_expert").shape, (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(file.tensor("gate_entropy").shape, (std::vector<int64_t>{3}));
}

TEST_F(GateRecordFile, NoFlippedBitGivesAnotherRecord) {
  const std::string bytes = read_text(path_);
  int refused = 0;
  for (size_t bit = 0; bit < 8 * bytes.size();
       bit += 5) {  // a prime: each bit of a byte has its turn
    write_text(path_, flipped(bytes, bit));
    try {
      const GateRecord record = read_gate_record(path_);  // the name of the hash was hit
      EXPECT_EQ(record.rows, rows_) << "bit " << bit;
      EXPECT_EQ(record.experts, 4);
      EXPECT_EQ(record.best_row, 2);
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 300);
}

TEST_F(GateRecordFile, OtherFilesAreRefused) {
  expect_error([&] { read_gate_record(folder_ / "nowhere"); }, "nowhere");
  expect_error([&] { read_gate_record(folder_.write("text", "text")); }, "text");
  const TensorMap tensors = gate_tensors(rows_);
  expect_refused(tensors, {}, "--snapshot-gate");
  for (const char* format : {"derrd-model", "derrd-checkpoint"}) {
    expect_refused(tensors, {{"format", format}}, "no gate record");
  }
  expect_refused({{"user_expert", tensors.at("user_expert")}}, metadata_, "gate_entropy");
  expect_refused({{"gate_entropy", tensors.at("gate_entropy")}}, metadata_, "user_expert");
}

TEST_F(GateRecordFile, ImpossibleContentsAreRefused) {
  const auto expect_metadata = [&](const char* key, const char* value) {
    Metadata metadata = metadata_;
    metadata[key] = value;
    expect_refused(gate_tensors(rows_), metadata, key);
  };
  for (const char* experts : {"", "0", "-4", "four", "4.0"}) expect_metadata("experts", experts);
  for (const char* row : {"", "0", "3", "-1"}) expect_metadata("best_row", row);

  const auto expect_rows = [&](const std::function<void(GateRows&)>& change) {
    GateRows rows = rows_;
    change(rows);
    expect_refused(gate_tensors(rows), metadata_, "impossible value");
  };
  expect_rows([](GateRows& rows) { rows.user_expert[4] = 4; });
  expect_rows([](GateRows& rows) { rows.user_expert[1] = -2; });
  expect_rows([](GateRows& rows) { rows.entropy[1] = -0.5f; });
  expect_rows([](GateRows& rows) { rows.entropy[1] = std::nanf(""); });

  TensorMap tensors = gate_tensors(rows_);
  const std::vector<float> two = {1, 1};
  tensors["gate_entropy"] = tensor_view(two);
  expect_refused(tensors, metadata_, "equally many rows");
  tensors = gate_tensors(rows_);
  tensors["user_expert"].shape = {6};
  expect_refused(tensors, metadata_, "equally many rows");
}

}  // namespace
}  // namespace derrd::test::gate_record_test
