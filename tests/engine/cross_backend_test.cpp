// What every backend must agree on. The constants were computed by the CPU executor: random
// integers and what follows from them are the same everywhere; metrics of a whole run may differ by
// rounding alone.

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "data/split.h"
#include "data/synthesize.h"
#include "engine/distill/rrd.h"
#include "engine/models/bpr.h"
#include "engine/trainer.h"
#include "tests/engine/distillers.h"
#include "tests/engine/small_data.h"

namespace derrd {
namespace {

using test::stream;

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
  std::vector<int32_t> host(static_cast<size_t>(values.size));
  copy_to_host(host.data(), values.data, values.size * 4, stream());
  uint64_t hash = 14695981039346656037ull;
  for (const int32_t v : host) hash = (hash ^ static_cast<uint32_t>(v)) * 1099511628211ull;
  return hash;
}

TEST(CrossBackend, DrawsTheSameNegativesInTheSameOrder) {
  const DeviceDataset data(dataset(400), stream());
  Batches batches(data, {256, 2, kSeed}, stream());
  batches.begin_epoch(3, stream());
  EXPECT_EQ(fingerprint(batches.users()), 4522036646545398159ull);
  EXPECT_EQ(fingerprint(batches.positives()), 17325357129991346229ull);
  EXPECT_EQ(fingerprint(batches.negatives()), 4850186619949518871ull);
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
  RrdOptions options;
  options.interesting = 10;
  options.uninteresting = 15;
  Parameters parameters;
  BprModel student(data.users(), data.items(), 1, 256, parameters);
  const DeviceArray<int32_t> device_lists(lists, stream());
  RrdDistiller rrd(options, data, device_lists.matrix(data.users(), length), nullptr, student, 256,
                   stream());
  Batches batches(data, {256, 1, kSeed}, stream());
  batches.begin_epoch(3, stream());
  rrd.begin_epoch(batches, stream());
  EXPECT_EQ(fingerprint(rrd.samples().flat()), 7760149609601889309ull);
}

struct Expected {
  const char* method;
  double valid_hit_10, test_hit_10;
};
class CrossBackendRun : public ::testing::TestWithParam<Expected> {};

TEST_P(CrossBackendRun, EndsInTheSameMetrics) {
  // So many that a few whose ranks rounding shifts move no metric by 0.01.
  const DeviceDataset data(dataset(4000), stream());
  TrainOptions train;
  train.adam.learning_rate = 0.01;
  train.adam.weight_decay = 1e-5;
  train.batches = {256, 1, kSeed};
  train.epochs = 6;
  // The choice of experts stays soft: a hard one turns a rounding error into another expert.
  const test::LossOptions options = {{"experts", 4.0}, {"tau-end", 0.1}, {"tau-horizon", 6.0},
                                     {"k", 10.0},      {"l", 10.0},      {"list", 50.0}};
  Parameters parameters;
  BprModel model(data.users(), data.items(), 8, 256, parameters);
  Teacher teacher(test::small_teacher(data.users(), data.items(), 16, 5), data);
  const auto distillers = test::make_distillers(
      GetParam().method, options, {teacher, data, model, parameters, 256, train.preset, stream()});
  parameters.allocate(kSeed, stream());
  Trainer trainer(data, parameters, model, distillers, train, stream());
  Evaluation last;
  trainer.run([&](const EpochRecord& record) { last = record.evaluation; }, [] { return false; });
  EXPECT_GT(last.test.hit[1], 0.1);  // far above chance, 10 of 500: something was learned
  EXPECT_NEAR(last.valid.hit[1], GetParam().valid_hit_10, 0.01);
  EXPECT_NEAR(last.test.hit[1], GetParam().test_hit_10, 0.01);
}

INSTANTIATE_TEST_SUITE_P(Methods, CrossBackendRun,
                         ::testing::Values(Expected{"none", 0.7033, 0.6945},
                                           Expected{"de", 0.6850, 0.6860},
                                           Expected{"rrd", 0.7255, 0.7100},
                                           Expected{"de-rrd", 0.6935, 0.6865}),
                         [](const auto& parameter) {
                           std::string name = parameter.param.method;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace derrd
