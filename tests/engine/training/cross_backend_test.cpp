// Agreement of all backends. The constants were computed by the CPU executor: random
// integers and what follows from them are the same everywhere; losses and metrics of a whole run
// may differ by rounding alone.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "data/split.h"
#include "data/synthesize.h"
#include "engine/distill/ranking_samples.h"
#include "engine/models/catalogue.h"
#include "engine/training/trainer.h"
#include "tests/engine/losses.h"
#include "tests/engine/small_data.h"
#include "tests/to_host.h"

namespace derrd::test::cross_backend_test {
namespace {

constexpr uint64_t kSeed = 77;

Dataset dataset(int64_t users) {
  SynthesisOptions options;
  options.users = users;
  options.items = 600;
  options.interactions = 20 * users;
  options.latent_dimension = 4;
  Dataset d = split_leave_one_out(synthesize(options), options.seed);
  draw_candidates(d, 499, options.seed);
  return d;
}

/// FNV-1a over the numbers.
uint64_t fingerprint(Vector<const int32_t> values) {
  uint64_t hash = 14695981039346656037ull;
  for (const int32_t v : to_host(values)) {
    hash = (hash ^ static_cast<uint32_t>(v)) * 1099511628211ull;
  }
  return hash;
}

TEST(CrossBackend, DrawsTheSameNegativesInTheSameOrder) {
  const DeviceDataset data(dataset(400), stream());
  EpochPlan plan(data, {256, 2, kSeed});
  plan.begin_epoch(3, stream());
  EXPECT_EQ(fingerprint(plan.users()), 4522036646545398159ull);
  EXPECT_EQ(fingerprint(plan.positives()), 17325357129991346229ull);
  EXPECT_EQ(fingerprint(plan.negatives()), 4850186619949518871ull);
}

TEST(CrossBackend, DrawsTheSameRankingSamples) {
  const DeviceDataset data(dataset(400), stream());
  // Lists that do not depend on scores: item u + 7 r of the catalogue, none of them observed.
  const int64_t length = 50;
  const Dataset host = dataset(400);
  std::vector<int32_t> lists;
  for (int64_t u = 0; u < data.users(); ++u) {
    int64_t taken = 0;
    for (int64_t i = u; taken < length; i += 7) {
      const auto item = static_cast<int32_t>(i % data.items());
      if (host.train.contains(u, item)) continue;
      lists.push_back(item);
      ++taken;
    }
  }
  const DeviceArray<int32_t> device_lists(lists, stream());
  RankingSamples samples({.interesting = 10, .uninteresting = 15},
                         device_lists.matrix(data.users(), length), data.train(), data.items(),
                         stream());
  EpochPlan plan(data, {256, 1, kSeed});
  plan.begin_epoch(3, stream());
  samples.begin_epoch(plan, stream());
  EXPECT_EQ(fingerprint(samples.slots().samples().flat()), 7760149609601889309ull);
}

constexpr int kEpochs = 6;
/// Bounds of differences: of losses relative to the expected ones, of hit rates as they are.
struct Bounds {
  double first_epoch_losses, second_epoch_losses, later_losses, hit_rate;
};
// Sums of floats in another order, 6e-8 of a term apart, do not grow in a smooth model: 1e-6 was
// seen of BPR and RRD in the first epoch and 1e-5 in the last, and no user's hit.
constexpr Bounds kSmooth = {1e-4, 1e-4, 1e-4, 0.0025};
// A ReLU switches where rounding decides. Adam divides by the size of a gradient: it moves a
// parameter whose gradient cancels to almost nothing as far as any other, in either direction. The
// result is noise around one course, with heavy tails: a learning rate larger by one unit in the
// last place makes differences from 1e-6 to 4e-4 in the first epoch. Other orders of sums (BLAS
// kernels with SSE3, AVX and AVX-512 instead of AVX2; 32 lanes instead of one) made up to 2e-3 in
// the first epoch, 8e-3 in the second, 8e-3 later and 0.010 in hit rates. The bounds are three
// times as large.
constexpr Bounds kWithRelu = {5e-3, 2.5e-2, 2.5e-2, 0.03};
// BPR's scores have no ReLU: those in DE's experts shift few users' ranks.
constexpr Bounds kWithReluInExperts = {5e-3, 2.5e-2, 2.5e-2, 0.01};

/// A training's outcome: the metrics in the end, and each epoch's losses, the base loss first.
struct Expected {
  const char* kind;
  const char* method;
  Bounds bounds;
  double valid_hit_10, test_hit_10;
  std::vector<std::vector<double>> losses;  // [epochs, losses]
};
Expected expected(const char* kind, const char* method, Bounds bounds, double valid_hit_10,
                  double test_hit_10, std::vector<std::vector<double>> losses) {
  return {kind, method, bounds, valid_hit_10, test_hit_10, std::move(losses)};
}
class CrossBackendRun : public testing::TestWithParam<Expected> {};

/// The largest difference of losses in epochs [first, last), relative to the expected ones.
double largest_difference(const std::vector<EpochRecord>& epochs, const Expected& expected,
                          size_t first, size_t last) {
  double largest = 0;
  for (size_t e = first; e < last; ++e) {
    for (size_t i = 0; i < expected.losses[e].size(); ++i) {
      const double loss = expected.losses[e][i];
      largest = std::max(largest, std::abs(epochs[e].losses[i].second - loss) / loss);
    }
  }
  return largest;
}

/// Expects a bound to hold, and records the difference for reports.
void expect_at_most(const char* name, double difference, double bound) {
  testing::Test::RecordProperty(name, (std::ostringstream() << difference).str());
  EXPECT_LE(difference, bound) << name;
}

TEST_P(CrossBackendRun, HasTheSameLossesAndMetrics) {
  const Expected& expected = GetParam();
  const DeviceDataset data(dataset(4000), stream());
  TrainOptions train;
  train.adam.learning_rate = 0.01;
  train.adam.weight_decay = 1e-5;
  train.plan = {256, 1, kSeed};
  train.epochs = kEpochs;
  Parameters parameters;
  const auto model = make_model(expected.kind, data.users(), data.items(),
                                {.dim = 8, .batch_size = 256}, parameters, stream());
  Teacher teacher(small_teacher(data.users(), data.items(), 16, 5), data);
  // The choice of experts stays soft: a hard one turns a rounding error into another expert.
  const auto losses = make_losses(
      expected.method, "experts=4 tau-end=0.1 tau-horizon=6 k=10 l=10 list=50",
      {teacher, data, *model, parameters, 256, conventions_of(Preset::kAuthors), stream()});
  parameters.allocate(kSeed, stream());
  Trainer trainer(data, parameters, *model, losses, train, stream());
  std::vector<EpochRecord> epochs;
  trainer.run([&](const EpochRecord& record) { epochs.push_back(record); }, [] { return false; });

  ASSERT_EQ(epochs.size(), expected.losses.size());
  std::string actual = "losses by epoch:";
  for (size_t e = 0; e < epochs.size(); ++e) {
    ASSERT_EQ(epochs[e].losses.size(), expected.losses[e].size());
    for (const auto& [name, loss] : epochs[e].losses) actual += " " + std::to_string(loss);
    actual += ";";
  }
  SCOPED_TRACE(actual);
  const Bounds& bounds = expected.bounds;
  expect_at_most("first_epoch_losses", largest_difference(epochs, expected, 0, 1),
                 bounds.first_epoch_losses);
  expect_at_most("second_epoch_losses", largest_difference(epochs, expected, 1, 2),
                 bounds.second_epoch_losses);
  expect_at_most("later_losses", largest_difference(epochs, expected, 2, kEpochs),
                 bounds.later_losses);

  const Evaluation& last = epochs.back().evaluation;
  EXPECT_GT(last.test.hit[1], 0.1);  // far above chance, 10 of 500: something was learned
  expect_at_most("hit_rate",
                 std::max(std::abs(last.valid.hit[1] - expected.valid_hit_10),
                          std::abs(last.test.hit[1] - expected.test_hit_10)),
                 bounds.hit_rate);
}

const std::vector<Expected> kExpected = {
    expected("bpr", "none", kSmooth, 0.7033, 0.6945,
             {{40021.0}, {14692.4}, {8284.4}, {6297.7}, {5217.1}, {4700.2}}),
    expected("bpr", "de", kWithReluInExperts, 0.6867, 0.6850,
             {{40127.7, 407900},
              {14604.2, 355365},
              {8611.2, 343891},
              {6753.9, 337211},
              {5667.0, 331653},
              {5131.9, 327213}}),
    expected("bpr", "rrd", kSmooth, 0.7255, 0.7100,
             {{38988.0, 1820385},
              {14430.0, 2269880},
              {8833.2, 2607493},
              {7001.9, 2835392},
              {6040.8, 2992928},
              {5620.9, 3099856}}),
    expected("bpr", "de-rrd", kWithReluInExperts, 0.6970, 0.6857,
             {{39716.7, 405934, 1815020},
              {14844.6, 353484, 2269374},
              {8965.2, 342395, 2643828},
              {7159.5, 337410, 2908262},
              {6129.5, 334292, 3094862},
              {5648.9, 331675, 3230573}}),
    expected("neumf", "none", kWithRelu, 0.7380, 0.7228,
             {{77993.9}, {33993.0}, {26221.0}, {23589.2}, {22074.5}, {21327.5}}),
    expected("neumf", "de", kWithRelu, 0.7080, 0.6903,
             {{86308.5, 349836},
              {40040.9, 293521},
              {28955.7, 291465},
              {25433.1, 287145},
              {23467.5, 282391},
              {22277.8, 277318}}),
    expected("neumf", "rrd", kWithRelu, 0.7400, 0.7248,
             {{78453.6, 2073861},
              {35021.8, 3503256},
              {26736.1, 4246966},
              {24092.8, 4606197},
              {22553.3, 4760121},
              {21865.0, 4872338}}),
    expected("neumf", "de-rrd", kWithRelu, 0.7170, 0.7085,
             {{87054.1, 348461, 1949689},
              {42413.1, 302101, 3247350},
              {29412.5, 294864, 4146980},
              {25804.7, 286209, 4592464},
              {23846.5, 279218, 4797815},
              {22868.0, 273964, 4932786}}),
};

INSTANTIATE_TEST_SUITE_P(Methods, CrossBackendRun, testing::ValuesIn(kExpected),
                         [](const auto& parameter) {
                           std::string name =
                               std::string(parameter.param.kind) + "_" + parameter.param.method;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace derrd::test::cross_backend_test
