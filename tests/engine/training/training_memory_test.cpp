#include "engine/training/training_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/distill/gate_recorder.h"
#include "engine/models/catalogue.h"
#include "engine/teacher/teacher.h"
#include "engine/training/trainer.h"
#include "tests/engine/losses.h"
#include "tests/engine/models/random_neumf.h"
#include "tests/engine/small_data.h"

namespace derrd::test::training_memory_test {
namespace {

struct Method {
  const char* name;
  const char* model;
  const char* method;
  const char* options = "";
  int64_t layers = 1;
  enum class Teacher { kOfItsKind, kBpr, kVectors, kLists } teacher = Teacher::kOfItsKind;
};

/// Some users and items have no vector.
TeacherVectors vectors_of(const SavedModel& model) {
  TeacherVectors vectors = {model.tensor("user_embedding"), model.tensor("item_embedding"), {}, {}};
  vectors.has_user.assign(static_cast<size_t>(vectors.user.rows), 1);
  vectors.has_item.assign(static_cast<size_t>(vectors.item.rows), 1);
  vectors.has_user[0] = vectors.has_item[0] = 0;
  std::fill_n(vectors.user.values.begin(), vectors.user.cols, 0.0f);
  std::fill_n(vectors.item.values.begin(), vectors.item.cols, 0.0f);
  return vectors;
}

/// Each user's first items that it did not train with.
RankingLists lists_for(const Dataset& dataset, int64_t length) {
  RankingLists lists;
  for (int64_t u = 0; u < dataset.num_users(); ++u) {
    const auto candidates = dataset.candidates_of(u);
    lists.items.insert(lists.items.end(), candidates.begin(), candidates.begin() + length);
    lists.offsets.push_back(static_cast<int64_t>(lists.items.size()));
  }
  return lists;
}

TeacherData teacher_of(const Method& method, const Dataset& dataset, int64_t dim) {
  const int64_t users = dataset.num_users(), items = dataset.num_items();
  using Teacher = Method::Teacher;
  if (method.teacher == Teacher::kLists) return lists_for(dataset, 20);
  if (method.teacher == Teacher::kOfItsKind && std::string_view(method.model) == "neumf") {
    return RandomNeumf(users, items, dim, method.layers, 5).saved;
  }
  SavedModel model = small_teacher(users, items, dim, 5);
  if (method.teacher == Teacher::kVectors) return vectors_of(model);
  return model;
}

struct Sizes {
  int32_t users, items;
  int degree;
  int64_t dim, batch, negatives;
};

class TrainingMemory : public testing::TestWithParam<Method> {
 protected:
  /// Trains for an epoch, and returns the most device memory in it.
  static int64_t measured(const Dataset& dataset, const TrainingSizes& sizes,
                          TeacherData teacher_data) {
    const int64_t before = (stream(), counters().device_bytes) - stream_bytes();
    restart_peak_device_bytes();
    const DeviceDataset data(dataset, stream());
    std::optional<WatchedMetric> watched;
    if (sizes.ranks_all_items) {
      watched.emplace(StopMetric::named("NDCG@10"), dataset, stream());
    }
    Parameters parameters;
    const auto model =
        make_model(sizes.model.kind, data.users(), data.items(),
                   {sizes.model.dim, sizes.model.layers, sizes.plan.batch_size}, parameters);
    Teacher teacher(std::move(teacher_data), data);
    DistillContext context = {teacher,           data,    *model, parameters, sizes.plan.batch_size,
                              sizes.conventions, stream()};
    std::vector<std::unique_ptr<DistillationLoss>> losses;
    for (const LossFactory* loss : sizes.losses) losses.push_back(loss->make(context));
    parameters.allocate(1, stream());
    TrainOptions train;
    train.row_updates = sizes.row_updates;
    train.plan = sizes.plan;
    train.epochs = 1;
    if (watched) train.watched = &*watched;
    Trainer trainer(data, parameters, *model, losses, train, stream());
    std::optional<GateRecorder> recorder;
    for (const auto& loss : losses) {
      const std::optional<UserGate> gate = loss->user_gate();
      if (!gate) continue;
      recorder.emplace(*gate, nullptr, sizes.gate_rows, stream());
      recorder->add_row(stream());
    }
    trainer.run([](const EpochRecord&) {}, [] { return false; });
    return counters().peak_device_bytes - before;
  }

  static void expect_told(const Sizes& s, RowUpdates row_updates, bool ranks_all_items) {
    const Method& method = GetParam();
    const Dataset dataset = small_dataset(s.users, s.items, s.degree, 3);
    TeacherData teacher = teacher_of(method, dataset, 2 * s.dim);
    const auto factories = factories_with(method.options);
    TrainingSizes sizes;
    sizes.data = sizes_of(dataset);
    sizes.losses = factories_of(method.method, factories);
    if (!sizes.losses.empty()) sizes.teacher = sizes_of(teacher, s.users, s.items);
    sizes.model = {method.model, s.users, s.items, s.dim, method.layers};
    sizes.plan = {.batch_size = s.batch, .negatives = s.negatives, .seed = 1};
    sizes.row_updates = row_updates;
    sizes.ranks_all_items = ranks_all_items;
    sizes.gate_rows = 2;

    const auto told = static_cast<double>(training_memory(sizes).peak().device);
    const auto taken = static_cast<double>(measured(dataset, sizes, std::move(teacher)));
    // The contract is 10 %; what a device takes is known to the byte but for small arrays.
    EXPECT_NEAR(told / taken, 1, 0.02) << told << " told, " << taken << " taken";
  }
};

TEST_P(TrainingMemory, IsTold) {
  expect_told({60, 90, 6, 8, 64, 1}, RowUpdates::kLazy, false);
  if (checks_reads()) return;  // by steps that take long; it allocates as the CPU does
  expect_told({200, 300, 12, 16, 256, 2}, RowUpdates::kEveryStep, true);
  expect_told({500, 400, 15, 32, 1024, 1}, RowUpdates::kLazy, false);
}

constexpr auto kVectors = Method::Teacher::kVectors;
constexpr auto kLists = Method::Teacher::kLists;
INSTANTIATE_TEST_SUITE_P(
    Methods, TrainingMemory,
    testing::Values(
        Method{"BprAlone", "bpr", "none"}, Method{"BprRrd", "bpr", "rrd"},
        Method{"BprRrdFull", "bpr", "rrd", "ranking=full k=10"},
        Method{"BprIr", "bpr", "ir", "list=30"},
        Method{"BprIrOfBatch", "bpr", "ir", "ir-items=batch"}, Method{"BprDe", "bpr", "de"},
        Method{"BprRd", "bpr", "rd"}, Method{"BprCd", "bpr", "cd"},
        Method{"BprDeRrd", "bpr", "de-rrd", "experts=5"}, Method{"BprIrRrd", "bpr", "ir-rrd"},
        Method{"BprAllOfThem", "bpr", "de+rrd+ir+rd+cd"},
        Method{"BprOfVectors", "bpr", "de+rrd+ir", "", 1, kVectors},
        Method{"BprOfLists", "bpr", "rrd+ir", "list=20", 1, kLists},
        Method{"NeumfAlone", "neumf", "none"}, Method{"NeumfLayersAlone", "neumf", "none", "", 3},
        Method{"NeumfRrd", "neumf", "rrd"}, Method{"NeumfIr", "neumf", "ir"},
        Method{"NeumfDe", "neumf", "de"},
        Method{"NeumfDeEmbedding", "neumf", "de", "tap=embedding"},
        Method{"NeumfDeMlp", "neumf", "de", "tap=mlp", 2}, Method{"NeumfRd", "neumf", "rd"},
        Method{"NeumfCd", "neumf", "cd"}, Method{"NeumfDeRrd", "neumf", "de-rrd"},
        Method{"NeumfLayersIrRrd", "neumf", "ir-rrd", "", 2},
        Method{"NeumfOfBpr", "neumf", "de-rrd", "", 1, Method::Teacher::kBpr}),
    [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace derrd::test::training_memory_test
