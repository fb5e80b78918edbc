#include "engine/evaluation/latency.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#include "engine/device_rows.h"
#include "engine/evaluation/top_lists.h"
#include "tests/files.h"
#include "tests/kernels/support.h"
#include "tests/oracles/ranking.h"

namespace derrd::test::latency_test {
namespace {

/// A model of small whole numbers, whose scores are exact and often equal, and observed items.
struct Case {
  static constexpr int64_t kDim = 3;
  int64_t users, items;
  SavedModel model;
  InteractionRows observed;

  /// @param rows observed items of each user
  Case(int64_t i, const std::vector<std::vector<int32_t>>& rows)
      : users(std::ssize(rows)), items(i) {
    model.kind = "bpr";
    model.tensors.emplace("user_embedding", matrix(users, 1));
    model.tensors.emplace("item_embedding", matrix(items, 2));
    for (const std::vector<int32_t>& row : rows) {
      observed.items.insert(observed.items.end(), row.begin(), row.end());
      observed.offsets.push_back(observed.num_interactions());
    }
  }
  static HostMatrix matrix(int64_t rows, uint64_t seed) {
    HostMatrix result = {{}, rows, kDim};
    for (const int32_t v : random_below(rows * kDim, 7, seed)) {
      result.values.push_back(static_cast<float>(v - 3));
    }
    return result;
  }

  /// A user's whole list, from scores in plain loops.
  std::vector<int32_t> expected_list(int64_t user, int64_t length) const {
    const std::vector<float>& vectors = model.tensor("user_embedding").values;
    const std::vector<double> exact = oracle::inner_products(
        std::span(vectors).subspan(static_cast<size_t>(user * kDim), static_cast<size_t>(kDim)),
        model.tensor("item_embedding").values, kDim);
    std::vector<float> scores(exact.begin(), exact.end());
    for (const int32_t item : observed.row(user)) {
      scores[static_cast<size_t>(item)] = -std::numeric_limits<float>::infinity();
    }
    std::vector<int32_t> list = oracle::top_items(scores, length);
    list.resize(static_cast<size_t>(length), -1);
    return list;
  }

  ListLatency measure(int64_t length, const ListReceiver& receive = {}) const {
    const DeviceRows rows(observed, stream());
    return measure_latency(model, rows.view(), length, stream(), receive);
  }

  void expect_lists(int64_t length) const {
    SCOPED_TRACE("lists of " + std::to_string(length));
    int64_t next = 0;
    const ListLatency latency = measure(length, [&](int64_t user, std::span<const int32_t> list) {
      ASSERT_EQ(user, next++);
      ASSERT_EQ(std::vector<int32_t>(list.begin(), list.end()), expected_list(user, length))
          << "user " << user;
    });
    EXPECT_EQ(next, users);
    EXPECT_GT(latency.median_seconds, 0);
    EXPECT_GE(latency.p99_seconds, latency.median_seconds);
    EXPECT_GE(latency.seconds, latency.p99_seconds);
  }
};

/// Users who have seen nothing, every third item, and everything.
std::vector<std::vector<int32_t>> some_rows(int64_t users, int64_t items) {
  std::vector<std::vector<int32_t>> rows(static_cast<size_t>(users));
  for (size_t u = 0; u < rows.size(); ++u) {
    if (u % 3 == 0) continue;
    for (int64_t i = 0; i < items; i += u % 3 == 1 ? 3 : 1) {
      rows[u].push_back(static_cast<int32_t>(i));
    }
  }
  return rows;
}

TEST(MeasureLatency, MatchesOracle) {
  for (const int64_t items : {1, 2, 90, 3000}) {
    const Case c(items, some_rows(25, items));
    c.expect_lists(items);
    c.expect_lists(std::min<int64_t>(10, items));
  }
}

TEST(MeasureLatency, AcceptsOneUserAndOneItem) {
  Case(1, {{}}).expect_lists(1);
  Case(1, {{0}}).expect_lists(1);
  Case(40, {{1, 3}}).expect_lists(40);
}

TEST(MeasureLatency, LeavesOutTheReceiversTime) {
  const Case c(2, {{}, {}});
  const ListLatency latency = c.measure(2, [](int64_t, std::span<const int32_t>) {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  });
  EXPECT_LT(latency.seconds, 0.3);
}

TEST(MeasureLatency, TellsTheMemoryOfModelAndWorkspace) {
  const Case c(3000, some_rows(40, 3000));
  c.measure(10);  // cuBLAS keeps the workspace that it takes for the first product
  const int64_t before = counters().device_bytes;
  const DeviceArray<float> of_others(1 << 20);
  const auto model = static_cast<int64_t>((40 + 3000) * Case::kDim * sizeof(float));
  const int64_t list = 3000 * static_cast<int64_t>(sizeof(int32_t));
  for (const int64_t length : {int64_t{3000}, int64_t{10}}) {
    const TopLists one_user(3000, length, "user", 1);
    EXPECT_EQ(c.measure(length).peak_device_bytes, model + one_user.bytes() + list * length / 3000);
  }
  EXPECT_LT(TopLists(3000, 10, "user", 1).bytes() * 10, TopLists(3000, 10).bytes());
  EXPECT_EQ(counters().device_bytes, before + of_others.bytes());
}

TEST(MeasureLatency, EndsIfTheReceiverThrows) {
  const Case c(20, some_rows(30, 20));
  c.measure(20);  // cuBLAS keeps the workspace that it takes for the first product
  int64_t received = 0;
  const int64_t before = counters().device_bytes;
  EXPECT_THROW(c.measure(20,
                         [&](int64_t user, std::span<const int32_t>) {
                           ++received;
                           if (user == 3) throw Error("enough");
                         }),
               Error);
  EXPECT_EQ(received, 4);
  EXPECT_EQ(counters().device_bytes, before);
}

TEST(MeasureLatency, NamesTheFirstUserWhoseScoresAreNotFinite) {
  Case c(20, some_rows(30, 20));
  c.model.tensors.find("user_embedding")->second.values[21 * Case::kDim] =
      std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(contains(error_of([&] { c.measure(20); }), "user 21 "));
}

TEST(MeasureLatency, RejectsBadShapes) {
  Case c(20, some_rows(3, 20));
  c.observed.offsets.push_back(c.observed.num_interactions());
  EXPECT_THROW(c.measure(20), std::invalid_argument);
  EXPECT_THROW(Case(20, {}).measure(20), std::invalid_argument);
}

/// The smallest value such that at least `percent` % of the values are not above it, by counting.
double counted_percentile(const std::vector<double>& values, int percent) {
  double smallest = std::numeric_limits<double>::infinity();
  for (const double value : values) {
    const auto not_above =
        std::ranges::count_if(values, [&](double other) { return other <= value; });
    if (not_above * 100 >= percent * std::ssize(values)) smallest = std::min(smallest, value);
  }
  return smallest;
}

TEST(NearestRank, MatchesOracle) {
  for (const int64_t n : {1, 2, 3, 4, 50, 99, 100, 101, 200, 1001}) {
    std::vector<double> values;
    for (const int32_t v : random_below(n, static_cast<int32_t>(2 * n), 5)) values.push_back(v);
    for (const int percent : {1, 2, 50, 98, 99, 100}) {
      ASSERT_EQ(nearest_rank(values, percent), counted_percentile(values, percent))
          << percent << " % of " << n;
    }
  }
  std::vector<double> hundred(100);
  std::iota(hundred.rbegin(), hundred.rend(), 1.0);
  EXPECT_EQ(nearest_rank(hundred, 50), 50);
  EXPECT_EQ(nearest_rank(hundred, 99), 99);
  EXPECT_EQ(nearest_rank({7}, 1), 7);
}

TEST(NearestRank, RejectsNoValueAndNoPercentile) {
  EXPECT_THROW(nearest_rank({}, 50), std::invalid_argument);
  EXPECT_THROW(nearest_rank({1}, 0), std::invalid_argument);
  EXPECT_THROW(nearest_rank({1}, 101), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::latency_test
