#include "engine/teacher/teacher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "engine/models/bpr.h"
#include "engine/teacher/teacher_files.h"
#include "engine/teacher/teacher_lists.h"
#include "tests/engine/losses.h"
#include "tests/engine/models/random_neumf.h"
#include "tests/engine/small_data.h"
#include "tests/engine/steps.h"
#include "tests/files.h"

namespace derrd::test::teacher_test {
namespace {

constexpr int64_t kUsers = 17, kItems = 40, kDim = 6;
constexpr float kNone = -std::numeric_limits<float>::infinity();

/// The vectors of a model, of which every `every`-th user and item is missing; 0: none.
TeacherVectors vectors_of(const SavedModel& model, int64_t every) {
  TeacherVectors v = {model.tensor("user_embedding"), model.tensor("item_embedding"), {}, {}};
  const auto drop = [every](HostMatrix& matrix, std::vector<uint8_t>& has) {
    for (int64_t r = 0; r < matrix.rows; ++r) {
      has.push_back(every == 0 || r % every != 0);
      if (has.back() == 0) {
        std::fill_n(matrix.values.begin() + r * matrix.cols, matrix.cols, 0.0f);
      }
    }
  };
  drop(v.user, v.has_user);
  drop(v.item, v.has_item);
  return v;
}

struct Ranking {
  std::vector<int32_t> items;
  std::vector<float> scores;
};
Ranking to_host(const TeacherLists& lists) {
  return {test::to_host(lists.items), test::to_host(lists.scores)};
}

class TeacherTest : public testing::Test {
 protected:
  Teacher teacher(TeacherData teacher_data) const { return {std::move(teacher_data), data_}; }

  double score(int64_t u, int64_t i) const { return test::score(model_, u, i); }
  /// A row's list from scores in double: a user's items, or an item's users, which are neither
  /// missing nor in training.
  std::vector<int32_t> expected(bool of_items, int64_t row, int64_t every, int64_t length) const {
    std::vector<std::pair<double, int32_t>> ranked;
    for (int32_t other = 0; other < (of_items ? kUsers : kItems); ++other) {
      const int64_t u = of_items ? other : row, i = of_items ? row : other;
      const bool missing = every != 0 && (u % every == 0 || i % every == 0);
      if (missing || dataset_.train.contains(u, static_cast<int32_t>(i))) continue;
      ranked.emplace_back(-score(u, i), other);
    }
    std::sort(ranked.begin(), ranked.end());
    std::vector<int32_t> list(static_cast<size_t>(length), -1);
    for (size_t k = 0; k < std::min(list.size(), ranked.size()); ++k) list[k] = ranked[k].second;
    return list;
  }
  void expect_lists(const TeacherLists& lists, bool of_items, int64_t every) const {
    const Ranking host = to_host(lists);
    const int64_t length = lists.items.cols;
    ASSERT_EQ(lists.items.rows, of_items ? kItems : kUsers);
    ASSERT_EQ(host.scores.size(), host.items.size());
    for (int64_t row = 0; row < lists.items.rows; ++row) {
      const auto begin = host.items.begin() + row * length;
      EXPECT_EQ(std::vector<int32_t>(begin, begin + length), expected(of_items, row, every, length))
          << "row " << row;
      for (int64_t k = 0; k < length; ++k) {
        const int32_t other = begin[k];
        const float value = host.scores[row * length + k];
        if (other < 0) {
          EXPECT_EQ(value, kNone);
        } else {
          EXPECT_NEAR(value, of_items ? score(other, row) : score(row, other), 1e-5);
        }
      }
    }
  }

  const Dataset dataset_ = small_dataset(kUsers, kItems, 5, 3);
  const DeviceDataset data_{dataset_, stream()};
  const SavedModel model_ = small_teacher(kUsers, kItems, kDim, 5);
};

TEST_F(TeacherTest, ListsOfAModel) {
  Teacher t = teacher(model_);
  for (const int64_t length : {1, 9, 35, 36, 100})
    expect_lists(t.lists(length, stream()), false, 0);
  for (const int64_t length : {1, 5, 17, 50}) expect_lists(t.item_lists(length, stream()), true, 0);
}

TEST_F(TeacherTest, UsersAndItemsWithoutAVectorAreInNoList) {
  for (const int64_t every : {2, 7}) {
    Teacher t = teacher(vectors_of(model_, every));
    for (const int64_t length : {1, 9, 20, 40})
      expect_lists(t.lists(length, stream()), false, every);
    for (const int64_t length : {1, 8, 17})
      expect_lists(t.item_lists(length, stream()), true, every);
  }
  Teacher nobody = teacher(vectors_of(model_, 1));
  expect_lists(nobody.lists(3, stream()), false, 1);
}

TEST_F(TeacherTest, VectorsOfAllRankLikeTheModel) {
  Teacher a = teacher(model_);
  Teacher b = teacher(vectors_of(model_, 0));
  EXPECT_EQ(to_host(a.lists(12, stream())).items, to_host(b.lists(12, stream())).items);
  EXPECT_EQ(to_host(a.lists(12, stream())).scores, to_host(b.lists(12, stream())).scores);
}

/// The model's own lists, as a file of lists would give them.
RankingLists lists_of(Teacher& teacher, int64_t length, bool scored) {
  const Ranking host = to_host(teacher.lists(length, stream()));
  RankingLists lists;
  for (int64_t u = 0; u < kUsers; ++u) {
    for (int64_t k = 0; k < length; ++k) {
      if (host.items[u * length + k] < 0) break;
      lists.items.push_back(host.items[u * length + k]);
      if (scored) lists.scores.push_back(host.scores[u * length + k]);
    }
    lists.offsets.push_back(static_cast<int64_t>(lists.items.size()));
  }
  return lists;
}

TEST_F(TeacherTest, ListsAloneAreCutAndPadded) {
  Teacher live = teacher(model_);
  for (const bool scored : {true, false}) {
    Teacher t = teacher(lists_of(live, 12, scored));
    for (const int64_t length : {4, 12}) {
      const Ranking expected = to_host(live.lists(length, stream()));
      const Ranking actual = to_host(t.lists(length, stream()));
      EXPECT_EQ(actual.items, expected.items);
      EXPECT_EQ(actual.scores, scored ? expected.scores : std::vector<float>());
    }
    const Ranking longer = to_host(t.lists(20, stream()));
    for (int64_t u = 0; u < kUsers; ++u) {
      EXPECT_GE(longer.items[u * 20 + 11], 0);
      EXPECT_EQ(longer.items[u * 20 + 12], -1);
      if (scored) {
        EXPECT_EQ(longer.scores[u * 20 + 19], kNone);
      }
    }
  }
}

TEST_F(TeacherTest, ListsAloneGiveItemsTheirUsersByScoreOrByRank) {
  RankingLists lists;
  lists.offsets = {0, 2, 5, 6};
  lists.items = {3, 1, 1, 0, 3, 3};
  lists.scores = {5, 4, 4, 3, 2, 9};
  lists.offsets.resize(kUsers + 1, 6);
  const auto items = [&](const RankingLists& l) {
    Teacher t = teacher(l);
    const std::vector<int32_t> all = to_host(t.item_lists(3, stream())).items;
    return std::vector<int32_t>(all.begin(), all.begin() + 4 * 3);
  };
  EXPECT_EQ(items(lists), (std::vector<int32_t>{1, -1, -1, 0, 1, -1, -1, -1, -1, 2, 0, 1}));
  lists.scores.clear();
  EXPECT_EQ(items(lists), (std::vector<int32_t>{1, -1, -1, 1, 0, -1, -1, -1, -1, 0, 2, 1}));
}

/// Counts a call's allocations, waits and launches.
template <class Call>
Counters cost_of(const Call& call) {
  const Counters before = counters();
  call();
  const Counters after = counters();
  return {after.allocations - before.allocations, after.synchronizations - before.synchronizations,
          after.launches - before.launches};
}

// Copies wait: what neither allocates nor waits uploads nothing.
TEST_F(TeacherTest, AModelIsOnTheDeviceOnce) {
  const RandomNeumf neumf(kUsers, kItems, 4, 1, 9);
  for (const SavedModel& saved : {model_, neumf.saved}) {
    Teacher t = teacher(saved);
    const Counters upload = cost_of([&] { t.scorer(stream()); });
    EXPECT_GT(upload.allocations, 0);
    const Counters after = cost_of([&] {
      t.scorer(stream());
      t.vectors(stream());
      t.joint_vectors(stream());
    });
    EXPECT_EQ(after.allocations, 0);
    EXPECT_EQ(after.synchronizations, 0);
    const TeacherVectorsView vectors = t.vectors(stream());
    EXPECT_EQ(vectors.user[0].data, t.scorer(stream()).user_tables()[0].data);

    // Lists are made from that copy too: to make them first costs the upload more.
    const Counters lists = cost_of([&] { t.lists(9, stream()); });
    Teacher fresh = teacher(saved);
    const Counters both = cost_of([&] { fresh.lists(9, stream()); });
    EXPECT_EQ(both.allocations, upload.allocations + lists.allocations);
    EXPECT_EQ(cost_of([&] { fresh.vectors(stream()); }).allocations, 0);
  }
}

TEST_F(TeacherTest, VectorsAreOnTheDeviceOnce) {
  Teacher t = teacher(vectors_of(model_, 3));
  EXPECT_GT(cost_of([&] { t.lists(9, stream()); }).allocations, 0);
  const Counters after = cost_of([&] { t.vectors(stream()); });
  EXPECT_EQ(after.allocations, 0);
  EXPECT_EQ(after.synchronizations, 0);
}

TEST_F(TeacherTest, TablesSideBySideAreTheModelsVectors) {
  const RandomNeumf neumf(kUsers, kItems, 4, 1, 9);
  Teacher t = teacher(neumf.saved);
  const TeacherVectorsView vectors = t.vectors(stream());
  const auto expect_tables = [&](const EmbeddingTables& tables, const char* gmf, const char* mlp) {
    ASSERT_EQ(tables.size(), 2u);
    for (const auto& [table, name] : {std::pair(tables[0], gmf), {tables[1], mlp}}) {
      const HostMatrix& expected = neumf.saved.tensor(name);
      ASSERT_EQ(table.rows, expected.rows);
      ASSERT_EQ(table.cols, expected.cols);
      EXPECT_EQ(test::to_host(table), expected.values) << name;
    }
  };
  expect_tables(vectors.user, "user_gmf", "user_mlp");
  expect_tables(vectors.item, "item_gmf", "item_mlp");
}

TEST_F(TeacherTest, SaysWhatItLacks) {
  Teacher live = teacher(model_);
  TeacherVectors wide = vectors_of(model_, 0);
  wide.item = {std::vector<float>(kItems * 2), kItems, 2};
  using Part = TeacherPart;
  const std::vector<std::pair<TeacherData, std::vector<Part>>> cases = {
      {model_, {}},
      {vectors_of(model_, 5), {Part::kScorer}},
      {wide, {Part::kLists, Part::kScores, Part::kScorer}},
      {lists_of(live, 3, true), {Part::kVectors, Part::kScorer}},
      {lists_of(live, 3, false), {Part::kVectors, Part::kScores, Part::kScorer}}};
  for (size_t c = 0; c < cases.size(); ++c) {
    for (const Part part : {Part::kVectors, Part::kLists, Part::kScores, Part::kScorer}) {
      const auto& lacking = cases[c].second;
      EXPECT_EQ(!missing_part(cases[c].first, part),
                std::find(lacking.begin(), lacking.end(), part) == lacking.end())
          << c << " " << static_cast<int>(part);
    }
  }
  EXPECT_EQ(teacher_dim(model_), kDim);
  EXPECT_EQ(teacher_dim(vectors_of(model_, 3)), kDim);
  EXPECT_EQ(teacher_dim(wide), std::nullopt);
  EXPECT_EQ(teacher_dim(lists_of(live, 3, true)), std::nullopt);
}

TEST_F(TeacherTest, HashIsThatOfEverythingLearnedFrom) {
  Teacher live = teacher(model_);
  EXPECT_EQ(hash_teacher(model_), hash_model(model_));
  TeacherVectors vectors = vectors_of(model_, 3);
  const std::string before = hash_teacher(vectors);
  vectors.has_item[0] ^= 1;
  EXPECT_NE(hash_teacher(vectors), before);
  RankingLists lists = lists_of(live, 4, true);
  const std::string of_lists = hash_teacher(lists);
  std::swap(lists.items[0], lists.items[1]);
  EXPECT_NE(hash_teacher(lists), of_lists);
}

/// Loads a file with a model of these users and items.
LoadedTeacher load(SavedModel model, const std::vector<int64_t>& users,
                   const std::vector<int64_t>& items, const Dataset& dataset,
                   double coverage = 0.9) {
  const TestFolder folder;
  const IdTable user_ids(users), item_ids(items);
  TensorMap ids;
  add_ids(ids, "user", user_ids);
  add_ids(ids, "item", item_ids);
  model.metadata = model_metadata(model.kind, {});
  save_model(folder / "teacher", model, ids);
  ModelFiles files = teacher_files();
  files.file = folder / "teacher";
  files.coverage = coverage;
  return load_teacher_files(files, dataset);
}

TEST(TeacherCoverage, IsMetByJustThatPart) {
  const Dataset dataset = small_dataset(100, 40, 6, 1);
  std::vector<int64_t> users(55), items(40);
  std::iota(users.begin(), users.end(), 0);
  std::iota(items.begin(), items.end(), 0);
  const SavedModel model = small_teacher(55, 40, 4, 2);
  EXPECT_NO_THROW(load(model, users, items, dataset, 0.55));  // in double, .55 of 100 exceeds 55
  EXPECT_THROW(load(model, users, items, dataset, 0.56), Error);
}

TEST_F(TeacherTest, ANeumfWithIdsIsBroughtIntoTheDataSetsOrder) {
  // Rows run backwards, behind a user and an item that the data set does not have.
  const RandomNeumf model(kUsers + 1, kItems + 1, 4, 2, 9);
  std::vector<int64_t> users(kUsers + 1), items(kItems + 1);
  std::iota(users.rbegin(), users.rend(), 0);
  std::iota(items.rbegin(), items.rend(), 0);
  const LoadedTeacher loaded = load(model.saved, users, items, dataset_);
  EXPECT_TRUE(contains(loaded.report, "17 of 17 users by id, 1 rows of others"));
  Teacher of_ids = teacher(loaded.data);
  const TeacherLists lists = of_ids.lists(kItems, stream());
  const Ranking ranking = to_host(lists);
  for (int64_t u = 0; u < kUsers; ++u) {
    for (int64_t k = 0; k < kItems; ++k) {
      const auto at = static_cast<size_t>(u * kItems + k);
      const int64_t item = ranking.items[at];
      if (item < 0) continue;
      EXPECT_NEAR(ranking.scores[at], model.oracle.score(kUsers - u, kItems - item), 1e-5);
    }
  }

  items[3] = 999;
  EXPECT_TRUE(
      contains(error_of([&] { load(model.saved, users, items, dataset_); }), "instance, \"37\""));
}

/// Gradients and loss of DE alone in the first batch.
struct DeStep {
  std::vector<float> user, item, experts;
  double loss = 0;
};

class PartialDe : public TeacherTest, public testing::WithParamInterface<const char*> {
 protected:
  /// @param change changes the student's tables before the step
  DeStep step(TeacherData teacher_data,
              const std::function<void(Matrix<float> user, Matrix<float> item)>& change = {}) {
    Teacher t = teacher(std::move(teacher_data));
    Parameters parameters;
    BprModel model(kUsers, kItems, 4, 64, parameters);
    const auto losses =
        make_losses("de", std::string("experts=3 gate=") + GetParam(),
                    {t, data_, model, parameters, 64, conventions_of(Preset::kAuthors), stream()});
    parameters.allocate(1, stream());
    if (change) change(parameters.value({0}), parameters.value({1}));
    EpochPlan plan(data_, {64, 1, 9});
    plan.begin_epoch(2, stream());
    losses[0]->begin_epoch(plan, stream());
    plan.next(stream());
    LossSums loss(1);
    loss.zero(stream());
    zero_gradients(parameters);
    losses[0]->add_gradients(plan, model, loss[0], stream());
    const std::vector<float> all = test::to_host(parameters.gradients());
    const auto experts = parameters.gradient({2}).data - parameters.gradients().data;
    return {test::to_host(parameters.gradient({0})),
            test::to_host(parameters.gradient({1})),
            {all.begin() + experts, all.end()},
            sums_of_step(loss)[0]};
  }
};

TEST_P(PartialDe, LeavesOutUnknownUsersAndItems) {
  constexpr int64_t kEvery = 3;
  const DeStep full = step(model_);
  const DeStep partial = step(vectors_of(model_, kEvery));
  EXPECT_GT(partial.loss, 0);
  EXPECT_LT(partial.loss, full.loss);
  int64_t learned = 0, left_out = 0;
  const auto compare = [&](const std::vector<float>& a, const std::vector<float>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      const bool missing = static_cast<int64_t>(i) / 4 % kEvery == 0;
      EXPECT_EQ(a[i], missing ? 0.0f : b[i]) << i;
      (missing ? left_out : learned) += b[i] != 0;
    }
  };
  compare(partial.user, full.user);
  compare(partial.item, full.item);
  EXPECT_GT(learned, 20);
  EXPECT_GT(left_out, 10);
  EXPECT_NE(partial.experts, full.experts);
}

TEST_P(PartialDe, IgnoresStudentVectorsOfUnknownUsersAndItems) {
  const TeacherVectors vectors = vectors_of(model_, 3);
  const DeStep one = step(vectors);
  const DeStep other = step(vectors, [](Matrix<float> user, Matrix<float> item) {
    for (const Matrix<float>& table : {user, item}) {
      const std::vector<float> large(static_cast<size_t>(table.cols), 100.0f);
      for (int64_t r = 0; r < table.rows; r += 3) {
        copy_to_device(table.row(r), large.data(), table.cols * 4, stream());
      }
    }
  });
  EXPECT_EQ(one.loss, other.loss);
  EXPECT_EQ(one.user, other.user);
  EXPECT_EQ(one.item, other.item);
  EXPECT_EQ(one.experts, other.experts);
}

INSTANTIATE_TEST_SUITE_P(Gates, PartialDe, testing::Values("gumbel", "attention", "mean"),
                         [](const auto& gate) { return std::string(gate.param); });

}  // namespace
}  // namespace derrd::test::teacher_test
