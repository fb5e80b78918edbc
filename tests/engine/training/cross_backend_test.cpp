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

constexpr int kEpochs = 4;
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
  const DeviceDataset data(dataset(1000), stream());
  TrainOptions train;
  train.adam.learning_rate = 0.01;
  train.adam.weight_decay = 1e-5;
  train.plan = {256, 1, kSeed};
  train.epochs = kEpochs;
  Parameters parameters;
  const auto model = make_model(expected.kind, data.users(), data.items(),
                                {.dim = 8, .batch_size = 256}, parameters);
  Teacher teacher(small_teacher(data.users(), data.items(), 16, 5), data);
  // The choice of experts stays soft: a hard one turns a rounding error into another expert.
  const auto losses = make_losses(
      expected.method, "experts=4 tau-end=0.1 tau-horizon=6 k=10 l=10 list=50 lambda-rrd=1e-3",
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
    expected("bpr", "none", kSmooth, 0.468, 0.472, {{12246.4}, {8686.96}, {4777.00}, {3003.31}}),
    expected("bpr", "de", kWithReluInExperts, 0.439, 0.455,
             {{12250.2, 104631}, {8955.41, 89891.4}, {5194.98, 84835.0}, {3247.16, 82655.8}}),
    expected("bpr", "rrd", kSmooth, 0.477, 0.504,
             {{12288.3, 365396}, {8890.23, 374563}, {4762.70, 410403}, {2969.14, 447743}}),
    expected("bpr", "de-rrd", kWithReluInExperts, 0.451, 0.469,
             {{12301.1, 104575, 365390},
              {9261.29, 89569.1, 375058},
              {5436.74, 84860.3, 410759},
              {3436.23, 82566.7, 447690}}),
    expected("neumf", "none", kWithRelu, 0.563, 0.581,
             {{24657.8}, {17825.1}, {9903.34}, {6774.85}}),
    expected("neumf", "de", kWithRelu, 0.525, 0.519,
             {{24766.3, 100590}, {19165.8, 80002.3}, {10356.7, 79748.3}, {7302.78, 79930.2}}),
    expected("neumf", "rrd", kWithRelu, 0.568, 0.598,
             {{24600.8, 366049}, {17126.4, 439628}, {9717.20, 607630}, {6752.54, 746584}}),
    expected("neumf", "de-rrd", kWithRelu, 0.529, 0.554,
             {{24760.8, 101508, 365792},
              {19107.2, 82058.2, 413207},
              {10734.8, 81818.9, 577847},
              {7373.85, 82008.1, 723192}}),
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
