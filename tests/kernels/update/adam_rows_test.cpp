#include "kernels/update/adam_rows.h"

#include <algorithm>
#include <stdexcept>

#include "tests/cases/adam_table.h"
#include "tests/kernels/support.h"

namespace derrd::test::adam_rows_test {
namespace {

constexpr AdamOptions kOptions = {.learning_rate = 2e-3, .weight_decay = 1e-3};

/// The updates of up to 8 steps.
struct History : cases::AdamUpdates<Guarded> {
  History() : AdamUpdates(8) {}
};

struct Table : cases::AdamTable<Guarded> {
  Table(int64_t table_rows, int64_t cols, uint64_t seed = 1)
      : AdamTable(table_rows, cols, Guarded<float>(random_normal(table_rows * cols, seed, 0.1f))) {}

  void add_gradient(int64_t row, const std::vector<float>& more) {
    std::vector<float> all = gradient.host();
    for (int64_t d = 0; d < dim; ++d) {
      all[static_cast<size_t>(row * dim + d)] += more[static_cast<size_t>(d)];
    }
    gradient.set(all);
  }
};

void expect_same_bits(const Table& a, const Table& b) {
  EXPECT_TRUE(same_bits(a.value, b.value));
  EXPECT_TRUE(same_bits(a.first_moment, b.first_moment));
  EXPECT_TRUE(same_bits(a.second_moment, b.second_moment));
  EXPECT_TRUE(same_bits(a.gradient, b.gradient));
}

/// A list of rows as a batch has it.
struct RowList {
  explicit RowList(const std::vector<int32_t>& list)
      : rows(list), cursor({BatchCursor{0, 0, static_cast<int32_t>(list.size())}}) {}
  /// @param capacity of the list; at least its size
  RowSegments view(int64_t capacity) const {
    return {rows.view(), {}, {}, cursor.data(), capacity};
  }
  Guarded<int32_t> rows;
  Guarded<BatchCursor> cursor;
};

void catch_up(std::initializer_list<AdamRead> reads, const History& history) {
  adam_catch_up({reads.begin(), reads.size()}, kOptions, history.view(), stream());
}
void update_all(const Table& table, const History& history) {
  adam_update(table.view().parameters(), kOptions, history.view(), stream());
}

// The promise: rows that wait until they are read, and read at random, end in the dense bits.
TEST(AdamRows, EndInTheBitsOfDenseUpdates) {
  constexpr int64_t kRows = 37;
  constexpr int kSteps = 8;
  for (const int64_t dim : {1, 3, 20, 31, 32, 33, 64, 127, 200, 257, 300}) {
    SCOPED_TRACE(dim);
    Table waiting(kRows, dim), dense(kRows, dim);
    const History history;
    std::mt19937 random(static_cast<uint32_t>(dim));
    for (int step = 0; step < kSteps; ++step) {
      std::vector<int32_t> all(kRows);
      for (int32_t r = 0; r < kRows; ++r) all[static_cast<size_t>(r)] = r;
      std::shuffle(all.begin(), all.end(), random);
      // Sometimes nothing is read, sometimes every row but those of the first quarter.
      std::erase_if(all, [&](int32_t r) { return step < 6 && r < kRows / 4; });
      all.resize(static_cast<size_t>(step == 2 ? 0 : 1 + step * 3));
      const RowList read(all);
      catch_up({{waiting.view(), read.view(kRows - 1), {}}}, history);
      for (const int32_t row : all) {
        const std::vector<float> gradient = random_normal(dim, random());
        waiting.add_gradient(row, gradient);
        dense.add_gradient(row, gradient);
      }
      adam_advance(history.view(), kOptions, stream());
      update_all(dense, history);
    }
    EXPECT_FALSE(same_bits(waiting.value, dense.value)) << "no row has waited";
    catch_up({{waiting.view(), {}, {}}}, history);
    expect_same_bits(waiting, dense);
    EXPECT_EQ(waiting.applied.host(), std::vector<uint32_t>(kRows, kSteps));
  }
}

TEST(AdamRows, ARowThatIsReadIsUpToDateAndTheOthersWait) {
  Table waiting(5, 33), dense(5, 33);
  const History history;
  for (int step = 0; step < 3; ++step) {
    adam_advance(history.view(), kOptions, stream());
    update_all(dense, history);
  }
  const std::vector<float> before = waiting.value.host();
  const RowList read({3, 1});
  catch_up({{waiting.view(), read.view(4), {}}}, history);
  const std::vector<float> after = waiting.value.host();
  const std::vector<float> expected = dense.value.host();
  for (size_t i = 0; i < after.size(); ++i) {
    const size_t row = i / 33;
    EXPECT_EQ(after[i], (row == 1 || row == 3 ? expected : before)[i]) << i;
  }
  EXPECT_EQ(waiting.applied.host(), (std::vector<uint32_t>{0, 3, 0, 3, 0}));
}

// Items are positive and negative, and in the slots of several users: once each they are updated.
TEST(AdamRows, RowsInSeveralListsAreUpdatedOnce) {
  constexpr int64_t kUsers = 4, kItems = 300, kDim = 20, kSlots = 5;
  Table users(kUsers, kDim, 1), items(kItems, kDim, 2);
  Table dense_users(kUsers, kDim, 1), dense_items(kItems, kDim, 2);
  const History history;
  for (int step = 0; step < 3; ++step) {
    if (step == 0) {  // a gradient that waits
      const std::vector<float> gradient = random_normal(kDim, 3);
      items.add_gradient(7, gradient);
      dense_items.add_gradient(7, gradient);
    }
    adam_advance(history.view(), kOptions, stream());
    update_all(dense_users, history);
    update_all(dense_items, history);
  }
  const RowList batch({0, 2, 3}), positives({7, 8, 9}), negatives({9, 7});
  std::vector<int32_t> slots(kUsers * kSlots, 7);
  for (size_t i = 0; i < slots.size(); i += 2) slots[i] = static_cast<int32_t>(i % 12);
  slots[0] = -1;                // an empty slot
  slots[1 * kSlots + 1] = 250;  // of a user who is not in the batch
  const Guarded<int32_t> samples(slots);
  const Matrix<const int32_t> of_users = {samples.data(), kUsers, kSlots};
  const int64_t launches = counters().launches;
  catch_up({{users.view(), batch.view(3), {}},
            {items.view(), positives.view(3), {}},
            {items.view(), negatives.view(3), {}},
            {items.view(), batch.view(3), of_users}},
           history);
  EXPECT_EQ(counters().launches, launches + 1);
  const std::vector<uint32_t> applied = items.applied.host();
  EXPECT_EQ(applied[7], 3u);
  EXPECT_EQ(applied[9], 3u);
  EXPECT_EQ(applied[250], 0u);
  EXPECT_EQ(users.applied.host(), (std::vector<uint32_t>{3, 0, 3, 3}));
  catch_up({{users.view(), {}, {}}, {items.view(), {}, {}}}, history);
  expect_same_bits(users, dense_users);
  expect_same_bits(items, dense_items);
}

TEST(AdamRows, AListLongerThanTheTableIsTheWholeTable) {
  Table table(3, 4);
  const History history;
  adam_advance(history.view(), kOptions, stream());
  const RowList batch({0});
  const Guarded<int32_t> samples(std::vector<int32_t>(6, 1));
  catch_up({{table.view(), batch.view(2), {samples.data(), 3, 2}}}, history);
  EXPECT_EQ(table.applied.host(), (std::vector<uint32_t>{1, 1, 1}));
}

// Rows that take turns: after as many steps as there are turns every row has been up to date.
TEST(AdamRows, RowsTakeTurns) {
  constexpr int64_t kRows = 14, kDim = 33, kTurns = 4;
  Table waiting(kRows, kDim), dense(kRows, kDim);
  const History history;
  for (uint32_t step = 1; step <= 7; ++step) {
    adam_advance(history.view(), kOptions, stream());
    update_all(dense, history);
    const RowList read({5});
    catch_up({{waiting.view(), {}, {}, kTurns}, {waiting.view(), read.view(2), {}}}, history);
    const std::vector<uint32_t> applied = waiting.applied.host();
    for (uint32_t row = 0; row < kRows; ++row) {
      const uint32_t since = (step + kTurns - row % kTurns) % kTurns;  // steps since its last turn
      const uint32_t expected = row == 5 ? step : step - std::min(step, since);
      EXPECT_EQ(applied[row], expected) << "row " << row << ", step " << step;
    }
  }
  catch_up({{waiting.view(), {}, {}}}, history);
  expect_same_bits(waiting, dense);
}

TEST(AdamRows, TurnsGrowWithTheRowsAndAreNoneWhereATileIsOneLane) {
  const bool none = adam_turns(1) == 0;
  EXPECT_EQ(adam_turns(1), none ? 0 : 12);
  EXPECT_EQ(adam_turns(30'400), none ? 0 : 15);
  EXPECT_EQ(adam_turns(1'000'000), none ? 0 : 88);
}

// 2^32 updates and more: a row's count is kept modulo that.
TEST(AdamRows, CountsUpdatesBeyond32Bits) {
  Table waiting(2, 5), dense(2, 5);
  History history;
  const int64_t before = (int64_t{1} << 32) - 2;
  history.steps.set({before});
  waiting.applied.set(std::vector<uint32_t>(2, static_cast<uint32_t>(before)));
  for (int step = 0; step < 4; ++step) {
    adam_advance(history.view(), kOptions, stream());
    update_all(dense, history);
  }
  catch_up({{waiting.view(), {}, {}}}, history);
  expect_same_bits(waiting, dense);
  EXPECT_EQ(waiting.applied.host(), (std::vector<uint32_t>{2, 2}));
}

TEST(AdamRows, AcceptsEmptyInputWithoutALaunch) {
  const History history;
  const int64_t launches = counters().launches;
  catch_up({}, history);
  const Table empty(0, 4);
  catch_up({{empty.view(), {}, {}}}, history);
  EXPECT_EQ(counters().launches, launches);
}

// More tables than a launch takes, with and without rows.
TEST(AdamRows, AnyNumberOfTables) {
  const History history;
  adam_advance(history.view(), kOptions, stream());
  std::vector<Table> tables;
  for (int64_t i = 0; i < 27; ++i) tables.emplace_back(i % 2 == 0 ? 0 : i, 3);
  std::vector<AdamRead> reads;
  for (const Table& table : tables) {
    for (int twice = 0; twice < 2; ++twice) reads.push_back({table.view(), {}, {}});
  }
  adam_catch_up(reads, kOptions, history.view(), stream());
  for (const Table& table : tables) {
    EXPECT_EQ(table.applied.host(), std::vector<uint32_t>(static_cast<size_t>(table.rows), 1u));
  }
  const std::vector<AdamRead> none(6, {tables[0].view(), {}, {}});
  adam_catch_up(none, kOptions, history.view(), stream());
}

TEST(AdamRows, RejectsBadShapes) {
  const Table table(3, 4);
  const History history;
  AdamRows rows = table.view();
  rows.first_moment.cols = 3;
  EXPECT_THROW(catch_up({{rows, {}, {}}}, history), std::invalid_argument);
  rows = table.view();
  rows.second_moment.rows = 2;
  EXPECT_THROW(catch_up({{rows, {}, {}}}, history), std::invalid_argument);
  rows = table.view();
  rows.gradient.cols = 5;
  EXPECT_THROW(catch_up({{rows, {}, {}}}, history), std::invalid_argument);
  rows = table.view();
  rows.applied.size = 2;
  EXPECT_THROW(catch_up({{rows, {}, {}}}, history), std::invalid_argument);

  const AdamRead all = {table.view(), {}, {}};
  for (const int64_t size : {0, 3, 6}) {
    const AdamHistory ring = {history.steps.data(), history.corrections.view().slice(0, size)};
    EXPECT_THROW(adam_catch_up({&all, 1}, kOptions, ring, stream()), std::invalid_argument);
    EXPECT_THROW(adam_advance(ring, kOptions, stream()), std::invalid_argument);
  }
}

}  // namespace
}  // namespace derrd::test::adam_rows_test
