// NeuMF as a whole against its oracle: a training step, the slots of ranking losses, frozen scores.

#include "engine/models/neumf.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/error.h"
#include "engine/evaluation/latency.h"
#include "engine/evaluation/top_lists.h"
#include "engine/models/catalogue.h"
#include "engine/models/model_file.h"
#include "engine/models/neumf_scorer.h"
#include "engine/training/trainer.h"
#include "kernels/epoch/ranking_slots.h"
#include "tests/engine/losses.h"
#include "tests/engine/small_data.h"
#include "tests/engine/steps.h"
#include "tests/files.h"
#include "tests/finite_differences.h"
#include "tests/oracles/neumf.h"
#include "tests/oracles/ranking.h"

namespace derrd::test::neumf_test {
namespace {

struct Size {
  int64_t dim, layers;
};

std::string size_name(const testing::TestParamInfo<Size>& info) {
  return "D" + std::to_string(info.param.dim) + "L" + std::to_string(info.param.layers);
}

class Neumf : public testing::TestWithParam<Size> {
 protected:
  static constexpr int32_t kUsers = 9, kItems = 14;
  static constexpr int64_t kBatch = 16;
  static constexpr uint64_t kSeed = 12345678901ull;

  void SetUp() override {
    const auto& [dim, layers] = GetParam();
    oracle_ = {kUsers, kItems, dim, layers, {}};
    model_ =
        std::make_unique<NeumfModel>(NeumfShape{kUsers, kItems, dim, layers}, kBatch, parameters_);
  }
  /// Allocates the parameters, once everything is declared.
  void allocate() {
    parameters_.allocate(kSeed, stream());
    set_random_values(parameters_, 7);
    oracle_.parameters = flat(parameters_.values());
    ASSERT_EQ(static_cast<int64_t>(oracle_.parameters.size()), oracle_.count());
  }
  /// The model's matrices in the order of their declaration.
  std::vector<double> flat(Vector<const float> arena) const {
    return matrices_in(parameters_, arena, 0, static_cast<int64_t>(model_->tensors().size()));
  }

  /// Expects central differences of this loss in the gradients' arena.
  void expect_gradients_of(const std::function<double(const oracle::Neumf&)>& loss) const {
    constexpr double kStep = 1e-6;  // smaller than the distance to the nearest kink of a relu
    oracle::Neumf moved = oracle_;
    const std::vector<double> expected = finite_differences(
        moved.parameters, [&] { return loss(moved); }, kStep);
    expect_gradients(flat(parameters_.gradients()), expected, 0.1);
  }

  struct Pair {
    int32_t user, item;
    double target;
  };
  /// The current batch's pairs in order.
  static std::vector<Pair> pairs_of(const EpochPlan& plan) {
    const BatchSamples batch(plan);
    std::vector<Pair> pairs;
    for (size_t s = 0; s < batch.users.size(); ++s) {
      pairs.push_back({batch.users[s], batch.positives[s], 1});
      pairs.push_back({batch.users[s], batch.negatives[s], 0});
    }
    return pairs;
  }

  const DeviceDataset data_{small_dataset(kUsers, kItems, 5, 3), stream()};
  Parameters parameters_;
  oracle::Neumf oracle_;
  std::unique_ptr<NeumfModel> model_;
};

// The gradient that a loss adds to the joint vectors is part of it.
TEST_P(Neumf, MatchesOracleAndFiniteDifferences) {
  allocate();
  EpochPlan plan(data_, {kBatch, 1, kSeed});
  ASSERT_EQ(plan.batches(), 3);  // the last one is not full
  plan.begin_epoch(4, stream());
  LossSums loss(1);
  for (int64_t b = 0; b < plan.batches(); ++b) {
    SCOPED_TRACE("batch " + std::to_string(b));
    zero_gradients(parameters_);
    loss.zero(stream());
    plan.next(stream());
    model_->forward(plan, loss[0], stream());

    const std::vector<Pair> pairs = pairs_of(plan);
    const PairVectors joint = *model_->representations().pairs;
    ASSERT_EQ(joint.vectors.value.rows, 2 * kBatch);
    ASSERT_EQ(joint.vectors.value.cols, oracle_.joint_dim());
    const auto width = static_cast<size_t>(oracle_.joint_dim());
    const std::vector<float> added = random_normal(joint.vectors.grad.size(), 8, 0.3f);
    std::vector<float> grad = to_host(joint.vectors.grad.flat());
    for (size_t i = 0; i < pairs.size() * width; ++i) grad[i] += added[i];
    copy_to_device(joint.vectors.grad.data, grad.data(), joint.vectors.grad.size() * 4, stream());

    const std::vector<int32_t> users = to_host(joint.rows.users), items = to_host(joint.rows.items);
    const std::vector<float> vectors = to_host(joint.vectors.value.flat());
    for (size_t p = 0; p < pairs.size(); ++p) {
      EXPECT_EQ(users[p], pairs[p].user);
      EXPECT_EQ(items[p], pairs[p].item);
      const std::vector<double> expected = oracle_.joint(users[p], items[p]);
      for (size_t k = 0; k < width; ++k) {
        // Sums of up to 66 products of numbers of size 0.25 and their sums.
        EXPECT_NEAR(vectors[p * width + k], expected[k], 2e-5) << "pair " << p << ", " << k;
      }
    }

    model_->backward(plan, stream());
    const auto base = [&](const oracle::Neumf& m) {
      double sum = 0;
      for (const Pair& p : pairs) {
        sum += oracle::binary_cross_entropy(m.score(p.user, p.item), p.target);
      }
      return sum;
    };
    EXPECT_NEAR(sums_of_step(loss)[0], base(oracle_), 1e-5 * base(oracle_));
    expect_gradients_of([&](const oracle::Neumf& m) {
      double sum = base(m);
      for (size_t p = 0; p < pairs.size(); ++p) {
        const std::vector<double> x = m.joint(pairs[p].user, pairs[p].item);
        for (size_t k = 0; k < width; ++k) sum += added[p * width + k] * x[k];
      }
      return sum;
    });
  }
}

/// Samples of every row of a table, some slots empty, with their index.
struct Slots {
  Slots(int32_t anchors, int32_t others, int64_t slots_each, const EpochPlan& plan, Entity anchor)
      : slots(slots_each),
        rows(anchor == Entity::kUser ? plan.distinct_users() : plan.distinct_positives()) {
    std::mt19937_64 generator(21);
    for (int64_t i = 0; i < anchors * slots; ++i) {
      const bool empty = generator() % 5 == 0;
      samples.push_back(empty ? -1 : static_cast<int32_t>(generator() % others));
    }
    std::vector<int32_t> offsets = {0};
    std::vector<uint32_t> occurrences;
    for (int32_t row = 0; row <= others; ++row) {
      for (size_t i = 0; i < samples.size(); ++i) {
        if (samples[i] != (row < others ? row : -1)) continue;
        const auto slot = static_cast<int64_t>(i);
        occurrences.push_back(slot_code(slots).pack(slot / slots, slot % slots));
      }
      if (row < others) offsets.push_back(static_cast<int32_t>(occurrences.size()));
    }
    device_samples = DeviceArray<int32_t>(samples, stream());
    device_offsets = DeviceArray<int32_t>(offsets, stream());
    device_occurrences = DeviceArray<uint32_t>(occurrences, stream());
    position = DeviceArray<int32_t>(anchors);
    position.zero(stream());
    locate_rows(position.view(), rows, stream());
  }
  SlotBatch batch() const { return {{device_samples.data(), position.size(), slots}, rows}; }
  SlotIndex index() const {
    return {device_offsets.view(), device_occurrences.view(), position.view()};
  }
  /// The batch's anchors, in order.
  std::vector<int32_t> anchors() const { return rows_of(rows); }

  int64_t slots;
  RowSegments rows;
  std::vector<int32_t> samples;
  DeviceArray<int32_t> device_samples, device_offsets, position;
  DeviceArray<uint32_t> device_occurrences;
};

TEST_P(Neumf, MatchesFiniteDifferencesOfSlotScores) {
  constexpr int64_t kSlots = 5;
  model_->reserve_slots(kBatch, 2);
  model_->reserve_slots(3, kSlots);
  model_->reserve_slots(kBatch, kSlots);
  allocate();
  EpochPlan plan(data_, {kBatch, 1, kSeed});
  plan.begin_epoch(4, stream());
  for (int64_t b = 0; b < plan.batches(); ++b) {
    plan.next(stream());
    for (const Entity anchor : {Entity::kUser, Entity::kItem}) {
      const bool users = anchor == Entity::kUser;
      SCOPED_TRACE("batch " + std::to_string(b) + (users ? ", users" : ", items"));
      const Slots slots(users ? kUsers : kItems, users ? kItems : kUsers, kSlots, plan, anchor);
      const int64_t size = slots.rows.capacity * kSlots;
      const std::vector<float> weight = random_normal(size, 9, 1.0f);
      const DeviceArray<float> score(std::vector<float>(weight.size(), 7.0f), stream());
      const DeviceArray<float> grad_score(weight, stream());
      zero_gradients(parameters_);
      model_->score_slots(score.matrix(slots.rows.capacity, kSlots), slots.batch(), anchor,
                          stream());
      model_->add_slot_gradients(grad_score.matrix(slots.rows.capacity, kSlots), slots.batch(),
                                 slots.index(), anchor, stream());

      const std::vector<int32_t> anchors = slots.anchors();
      const auto sample = [&](size_t n, size_t s) {
        return slots.samples[static_cast<size_t>(anchors[n]) * kSlots + s];
      };
      const auto score_of = [&](const oracle::Neumf& m, size_t n, size_t s) {
        return users ? m.score(anchors[n], sample(n, s)) : m.score(sample(n, s), anchors[n]);
      };
      const std::vector<float> actual = score.to_host(stream());
      for (size_t i = 0; i < actual.size(); ++i) {
        const size_t n = i / kSlots, s = i % kSlots;
        const double expected = n >= anchors.size() ? 7
                                : sample(n, s) < 0  ? 0
                                                    : score_of(oracle_, n, s);
        EXPECT_NEAR(actual[i], expected, 5e-5) << "anchor " << n << ", slot " << s;
      }
      expect_gradients_of([&](const oracle::Neumf& m) {
        double sum = 0;
        for (size_t n = 0; n < anchors.size(); ++n) {
          for (size_t s = 0; s < kSlots; ++s) {
            if (sample(n, s) >= 0) sum += weight[n * kSlots + s] * score_of(m, n, s);
          }
        }
        return sum;
      });
    }
  }
}

TEST_P(Neumf, MatchesOracleOnFrozenScores) {
  allocate();
  Scorer& scorer = model_->scorer(stream());
  // A score sums up to 67 products, each of sums with as many terms.
  constexpr double kTolerance = 5e-5;
  const auto expect_scores = [](Scorer& all, int64_t first, int64_t count, const auto& expected) {
    const DeviceArray<float> scores(count * all.items());
    const Matrix<float> matrix = scores.matrix(count, all.items());
    all.score_users(matrix, first, stream());
    const auto actual = rows_of(matrix);
    for (size_t row = 0; row < actual.size(); ++row) {
      for (size_t i = 0; i < actual[row].size(); ++i) {
        EXPECT_NEAR(actual[row][i],
                    expected(first + static_cast<int64_t>(row), static_cast<int64_t>(i)),
                    kTolerance);
      }
    }
  };
  constexpr int64_t kFirst = 2, kCount = 5;
  ASSERT_EQ(scorer.users(), kUsers);
  ASSERT_EQ(scorer.items(), kItems);
  expect_scores(scorer, kFirst, kCount, [&](int64_t u, int64_t i) { return oracle_.score(u, i); });
  const std::unique_ptr<Scorer> transposed = scorer.transposed(stream());
  ASSERT_EQ(transposed->users(), kItems);
  ASSERT_EQ(transposed->items(), kUsers);
  expect_scores(*transposed, 0, kItems, [&](int64_t i, int64_t u) { return oracle_.score(u, i); });

  const std::vector<int32_t> lists = {3, -1, 13, 0, 0, 7, 7, 1, -1, -1, 12, 4, 2, 5, 6};
  const DeviceArray<int32_t> items(lists, stream());
  const DeviceArray<float> listed(kCount * 3);
  scorer.score_items(listed.matrix(kCount, 3), items.matrix(kCount, 3), kFirst, stream());
  const std::vector<float> list_scores = listed.to_host(stream());
  for (size_t n = 0; n < lists.size(); ++n) {
    const double expected =
        lists[n] < 0 ? 0 : oracle_.score(kFirst + static_cast<int64_t>(n) / 3, lists[n]);
    EXPECT_NEAR(list_scores[n], expected, kTolerance) << "position " << n;
  }
  EXPECT_EQ(list_scores[3], list_scores[4]);  // one item twice
}

TEST_P(Neumf, MatchesOracleOnJointVectors) {
  allocate();
  model_->scorer(stream());
  auto& scorer = dynamic_cast<NeumfScorer&>(model_->scorer(stream()));
  const DeviceArray<int32_t> users(std::vector<int32_t>{0, 8, 3, 3, 1}, stream());
  const DeviceArray<int32_t> items(std::vector<int32_t>{13, 0, 5, 5, 2}, stream());
  const DeviceArray<int32_t> active(std::vector<int32_t>{4}, stream());
  scorer.reserve_pairs(5);
  const auto width = static_cast<size_t>(scorer.joint_dim());
  ASSERT_EQ(scorer.joint_dim(), oracle_.joint_dim());
  const DeviceArray<float> joint(5 * scorer.joint_dim());
  scorer.joint_vectors(joint.matrix(5, scorer.joint_dim()),
                       {users.view(), items.view(), active.data()}, stream());
  const std::vector<float> actual = joint.to_host(stream());
  const std::vector<int32_t> u = users.to_host(stream()), i = items.to_host(stream());
  for (size_t p = 0; p < 5; ++p) {
    const std::vector<double> expected =
        p < 4 ? oracle_.joint(u[p], i[p]) : std::vector<double>(width);
    for (size_t k = 0; k < width; ++k) EXPECT_NEAR(actual[p * width + k], expected[k], 2e-5);
  }
}

// Ranks are those of the very scores that score_items gives, and full rankings agree with them.
TEST_P(Neumf, RanksFollowTheScores) {
  allocate();
  Scorer& scorer = model_->scorer(stream());
  const DeviceArray<int32_t> valid(kUsers), test(kUsers), full(kUsers);
  scorer.leave_one_out({valid.view(), test.view()}, data_.held_out(), stream());
  // Every user has one item of each kind.
  TopLists(kItems, 0).best_and_ranks({nullptr, kUsers, 0}, {}, {full.view(), data_.held_out().test},
                                     scorer, data_.train(), 0, stream());
  const std::vector<int32_t> valid_rank = valid.to_host(stream()),
                             test_rank = test.to_host(stream());
  const std::vector<int32_t> full_rank = full.to_host(stream());
  const std::vector<int32_t> valid_item = to_host(data_.held_out().valid.items),
                             test_item = to_host(data_.held_out().test.items);
  const std::vector<int32_t> candidates = to_host(data_.held_out().candidates.flat());
  const auto count = static_cast<size_t>(data_.held_out().candidates.cols);
  for (size_t u = 0; u < kUsers; ++u) {
    std::vector<double> scores;
    for (int64_t i = 0; i < kItems; ++i) {
      scores.push_back(oracle_.score(static_cast<int64_t>(u), i));
    }
    const auto list = std::span(candidates).subspan(u * count, count);
    EXPECT_EQ(valid_rank[u], oracle::leave_one_out_rank(scores, valid_item[u], list));
    EXPECT_EQ(test_rank[u], oracle::leave_one_out_rank(scores, test_item[u], list));
    // The only item beside the candidates is the validation item.
    const auto held_out = static_cast<size_t>(valid_item[u]);
    const bool above = scores[held_out] >= scores[static_cast<size_t>(test_item[u])];
    EXPECT_EQ(full_rank[u], test_rank[u] + (above ? 1 : 0));
  }
}

TEST_P(Neumf, ListsOfOneUserFollowTheScores) {
  allocate();
  const TestFolder folder;
  save_model(folder / "model", *model_, {"{}", 1, "{}", "", ""}, stream());
  const SavedModel saved = load_model_file(folder / "model", kUsers, kItems);
  const std::vector<int64_t> offsets = to_host(data_.train().offsets);
  const std::vector<int32_t> observed = to_host(data_.train().items);
  int64_t lists = 0;
  measure_latency(saved, data_.train(), kItems, stream(),
                  [&](int64_t user, std::span<const int32_t> list) {
                    ++lists;
                    std::vector<int32_t> expected;
                    for (int32_t i = 0; i < kItems; ++i) {
                      const auto begin = observed.begin() + offsets[static_cast<size_t>(user)];
                      const auto end = observed.begin() + offsets[static_cast<size_t>(user) + 1];
                      if (std::find(begin, end, i) == end) expected.push_back(i);
                    }
                    std::ranges::sort(expected, std::greater(),
                                      [&](int32_t i) { return oracle_.score(user, i); });
                    expected.resize(kItems, -1);
                    EXPECT_EQ(std::vector<int32_t>(list.begin(), list.end()), expected);
                  });
  EXPECT_EQ(lists, kUsers);
}

TEST_P(Neumf, AFileKeepsTheScores) {
  allocate();
  const TestFolder folder;
  const std::string path = folder / "model";
  save_model(path, *model_, {"{}", 1, "{}", "", ""}, stream());
  SavedModel saved = load_model_file(path, kUsers, kItems);
  EXPECT_EQ(saved.kind, "neumf");
  EXPECT_EQ(saved.parameters(), oracle_.count());
  EXPECT_EQ(model_dim(saved), GetParam().dim);
  EXPECT_EQ(model_layers(saved), GetParam().layers);
  EXPECT_THROW(load_model_file(path, kUsers + 1, kItems), Error);
  EXPECT_THROW(load_model_file(path, kUsers, kItems - 1), Error);

  const auto scores_of = [](Scorer& scorer, int64_t user) {
    const DeviceArray<float> scores(kItems);
    scorer.score_users(scores.matrix(1, kItems), user, stream());
    return scores.to_host(stream());
  };
  Scorer& trained = model_->scorer(stream());
  EXPECT_EQ(scores_of(*make_scorer(saved, stream()), 4), scores_of(trained, 4));
  const std::vector<int32_t> some = {4, 2};
  select_users(saved, some);
  const std::unique_ptr<Scorer> selection = make_scorer(saved, stream());
  EXPECT_EQ(selection->users(), 2);
  // A product of another shape may round otherwise.
  const std::vector<float> expected = scores_of(trained, 2);
  const std::vector<float> actual = scores_of(*selection, 1);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 5e-5);
}

TEST_P(Neumf, NeitherAllocatesNorWaits) {
  Teacher teacher(small_teacher(kUsers, kItems, 4, 5), data_);
  const auto losses = make_losses(
      "rrd", "k=3 l=2 list=5",
      {teacher, data_, *model_, parameters_, kBatch, conventions_of(Preset::kAuthors), stream()});
  allocate();
  TrainOptions options;
  options.plan = {kBatch, 1, kSeed};
  Trainer trainer(data_, parameters_, *model_, losses, options, stream());
  trainer.begin_epoch(0);
  expect_no_allocation_or_wait([&] { trainer.step(); });
}

INSTANTIATE_TEST_SUITE_P(Sizes, Neumf,
                         testing::Values(Size{1, 1}, Size{3, 1}, Size{33, 1}, Size{7, 2},
                                         Size{10, 3}, Size{13, 4}),
                         size_name);

TEST(NeumfSize, ALayerWithoutUnitsIsAnError) {
  Parameters parameters;
  EXPECT_NO_THROW(NeumfModel({3, 4, 8, 4}, 2, parameters));
  EXPECT_THROW(NeumfModel({3, 4, 7, 4}, 2, parameters), Error);
}

}  // namespace
}  // namespace derrd::test::neumf_test
