#include "engine/epoch_plan.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "tests/cases/batch_rows.h"
#include "tests/engine/small_data.h"
#include "tests/stream.h"
#include "tests/to_host.h"

namespace derrd::test::epoch_plan_test {
namespace {

void expect_rows(const char* name, const RowSegments& actual, const cases::BatchRows& expected,
                 size_t batch) {
  SCOPED_TRACE(name);
  BatchCursor cursor;
  copy_to_host(&cursor, actual.batch, sizeof cursor, stream());
  EXPECT_EQ(cursor.number, expected.batches[batch].number);
  EXPECT_EQ(cursor.begin, expected.batches[batch].begin);
  EXPECT_EQ(cursor.count, expected.batches[batch].count);
  if (batch > 0) return;
  const auto equal = [](Vector<const int32_t> list, const std::vector<int32_t>& whole) {
    return to_host(list.slice(0, std::ssize(whole))) == whole;
  };
  EXPECT_TRUE(equal(actual.rows, expected.rows));
  EXPECT_TRUE(equal(actual.offsets, expected.offsets));
  EXPECT_TRUE(equal(actual.occurrences, expected.occurrences));
}

// With 3,500 negatives there are more than 2^20 samples: the lists are built one after the other.
TEST(EpochPlan, SamplesEveryPairAndListsTheRowsOfEveryBatch) {
  constexpr int32_t kUsers = 30, kItems = 50;
  const Dataset dataset = small_dataset(kUsers, kItems, 10, 1);
  const DeviceDataset data(dataset, stream());
  for (const auto& [negatives, batch_size] :
       std::vector<std::pair<int, int64_t>>{{1, 64}, {2, 600}, {3500, int64_t{1} << 18}}) {
    // The checking executor is slow with so many, lane by lane.
    if (negatives > 2 && device_info().executor == "check") continue;
    SCOPED_TRACE(negatives);
    EpochPlan plan(data, {batch_size, negatives, 7});
    plan.begin_epoch(3, stream());
    const auto users = to_host(plan.users()), positives = to_host(plan.positives()),
               sampled = to_host(plan.negatives());

    std::vector<int> times(kUsers * kItems), as_negative(kUsers * kItems);
    for (size_t s = 0; s < users.size(); ++s) {
      ++times[static_cast<size_t>(users[s] * kItems + positives[s])];
      ++as_negative[static_cast<size_t>(users[s] * kItems + sampled[s])];
    }
    std::vector<int> expected(kUsers * kItems);
    for (int32_t u = 0; u < kUsers; ++u) {
      for (const int32_t item : dataset.train.row(u)) {
        const auto pair = static_cast<size_t>(u * kItems + item);
        expected[pair] = negatives;
        EXPECT_EQ(as_negative[pair], 0) << "user " << u << ", item " << item;
      }
    }
    EXPECT_EQ(times, expected);

    const cases::BatchRows user_rows(users, batch_size), positive_rows(positives, batch_size),
        negative_rows(sampled, batch_size);
    for (size_t batch = 0; batch < static_cast<size_t>(plan.batches()); ++batch) {
      plan.next(stream());
      expect_rows("users", plan.distinct_users(), user_rows, batch);
      expect_rows("positives", plan.distinct_positives(), positive_rows, batch);
      expect_rows("negatives", plan.distinct_negatives(), negative_rows, batch);
    }
  }
}

}  // namespace
}  // namespace derrd::test::epoch_plan_test
