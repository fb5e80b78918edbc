#include "engine/training/optimizer.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "tests/engine/small_data.h"
#include "tests/to_host.h"

namespace derrd::test::optimizer_test {
namespace {

constexpr AdamOptions kOptions = {.learning_rate = 2e-3, .weight_decay = 1e-3};

/// Tables with other matrices before, between and behind them, none of a size without padding.
struct Declared {
  Declared() {
    constexpr Parameters::Initial kNormal = {Parameters::Initial::Kind::kNormal, 0.1f};
    parameters.declare("bias", 1, 3, kNormal);
    users = parameters.declare_table("users", Entity::kUser, 7, 5, kNormal);
    weight = parameters.declare("weight", 4, 5, kNormal);
    parameters.declare("more", 1, 1, kNormal);
    items = parameters.declare_table("items", Entity::kItem, 9, 20, kNormal);
    parameters.declare("last", 2, 2, kNormal);
    parameters.allocate(3, stream());
  }
  void set_gradients(uint64_t seed) const {
    for (int64_t id = 0; id < 6; ++id) {
      const Matrix<float> to = parameters.gradient({id});
      const std::vector<float> gradient =
          random_normal(to.size(), 10 * seed + static_cast<uint64_t>(id));
      copy_to_device(to.data, gradient.data(), to.size() * 4, stream());
    }
  }
  std::vector<std::vector<float>> state() const {
    return {to_host(parameters.values()), to_host(parameters.first_moments()),
            to_host(parameters.second_moments()), to_host(parameters.gradients())};
  }

  Parameters parameters;
  ParameterId users, items, weight;
};

TEST(Optimizer, LazyRowsEndInTheBitsOfEveryStep) {
  Declared every, waiting;
  Optimizer at_once(every.parameters, kOptions, RowUpdates::kEveryStep, 1, stream());
  Optimizer lazy(waiting.parameters, kOptions, RowUpdates::kLazy, 3, stream());
  for (uint64_t epoch = 0; epoch < 2; ++epoch) {
    every.set_gradients(epoch);
    waiting.set_gradients(epoch);
    for (int step = 0; step < 3; ++step) {
      at_once.step({}, {}, stream());
      lazy.step({}, {}, stream());
    }
    EXPECT_NE(waiting.state(), every.state());
    lazy.catch_up_all(stream());
    EXPECT_EQ(waiting.state(), every.state());
  }
  EXPECT_EQ(lazy.steps(stream()), 6);
  EXPECT_EQ(at_once.steps(stream()), 6);
}

TEST(Optimizer, GoesOnFromACheckpoint) {
  Declared whole, resumed;
  Optimizer first(whole.parameters, kOptions, RowUpdates::kLazy, 4, stream());
  for (int step = 0; step < 2; ++step) first.step({}, {}, stream());
  first.catch_up_all(stream());
  const auto state = whole.state();
  const std::vector<Vector<float>> arenas = {
      resumed.parameters.values(), resumed.parameters.first_moments(),
      resumed.parameters.second_moments(), resumed.parameters.gradients()};
  for (size_t i = 0; i < arenas.size(); ++i) {
    copy_to_device(arenas[i].data, state[i].data(), arenas[i].size * 4, stream());
  }
  Optimizer second(resumed.parameters, kOptions, RowUpdates::kLazy, 4, stream());
  second.set_steps(2, stream());
  for (Optimizer* optimizer : {&first, &second}) {
    optimizer->step({}, {}, stream());
    optimizer->catch_up_all(stream());
    EXPECT_EQ(optimizer->steps(stream()), 3);
  }
  EXPECT_EQ(resumed.state(), whole.state());
}

TEST(Optimizer, RejectsMoreStepsThanItsWindow) {
  Declared d;
  Optimizer optimizer(d.parameters, kOptions, RowUpdates::kLazy, 3, stream());
  for (int epoch = 0; epoch < 2; ++epoch) {
    for (int step = 0; step < 3; ++step) optimizer.step({}, {}, stream());
    optimizer.catch_up_all(stream());
  }
  for (int step = 0; step < 3; ++step) optimizer.step({}, {}, stream());
  optimizer.set_steps(6, stream());
  for (int step = 0; step < 3; ++step) optimizer.step({}, {}, stream());
  EXPECT_THROW(optimizer.step({}, {}, stream()), std::logic_error);
}

TEST(Optimizer, RowsThatAreReadAreUpToDateInAllTablesOfTheirKind) {
  constexpr Parameters::Initial kNormal = {Parameters::Initial::Kind::kNormal, 0.1f};
  const auto make = [&](Parameters& parameters) {
    parameters.declare_table("user_a", Entity::kUser, 5, 3, kNormal);
    parameters.declare_table("item", Entity::kItem, 6, 4, kNormal);
    parameters.declare_table("user_b", Entity::kUser, 5, 2, kNormal);
    parameters.allocate(3, stream());
  };
  Parameters every, lazy, untouched;
  for (Parameters* parameters : {&every, &lazy, &untouched}) make(*parameters);
  Optimizer at_once(every, kOptions, RowUpdates::kEveryStep, 1, stream());
  Optimizer optimizer(lazy, kOptions, RowUpdates::kLazy, 2, stream());
  for (int step = 0; step < 2; ++step) {
    at_once.step({}, {}, stream());
    optimizer.step({}, {}, stream());
  }
  const DeviceArray<int32_t> rows(std::vector<int32_t>{4, 1}, stream());
  const DeviceArray<BatchCursor> cursor(std::vector<BatchCursor>{{0, 0, 2}}, stream());
  const std::vector<RowsRead> reads = {{Entity::kUser, {rows.view(), {}, {}, cursor.data(), 2}}};
  optimizer.catch_up(reads, stream());
  const int64_t turns = adam_turns(5 + 6 + 5);
  for (const int64_t table : {0, 1, 2}) {
    const auto actual = rows_of(lazy.value({table}));
    for (size_t row = 0; row < actual.size(); ++row) {
      const bool read = table != 1 && (row == 1 || row == 4);
      const bool turn = turns > 0 && row % static_cast<size_t>(turns) == 2;
      EXPECT_EQ(actual[row], rows_of((read || turn ? every : untouched).value({table}))[row])
          << table << ", " << row;
    }
  }
}

// The promise of --row-updates auto: rows are lazy where the tables exceed the cache.
TEST(Optimizer, ChoosesByTheCache) {
  const DeviceInfo device = device_info();
  if (device.executor == "check") return;  // as the CPU's, and slow with so large a table
  constexpr int64_t kUnknown = int64_t{32} << 20;
  const int64_t fits = (device.cache_bytes == 0 ? kUnknown : device.cache_bytes) / 16;
  for (const int64_t rows : {fits, fits + 1}) {
    Parameters parameters;
    parameters.declare_table("table", Entity::kUser, rows, 1, {});
    parameters.allocate(1, stream());
    Optimizer optimizer(parameters, kOptions, RowUpdates::kAuto, 2, stream());
    const float one = 1.0f;
    copy_to_device(parameters.gradients().data, &one, sizeof one, stream());
    optimizer.step({}, {}, stream());
    const float gradient = to_host(parameters.gradients().slice(0, 1))[0];
    EXPECT_EQ(gradient, rows > fits ? 1.0f : 0.0f);  // it waits, or it was taken
  }
}

TEST(ParametersTables, RangesOutsideOfTables) {
  const Declared d;
  // Matrices start at multiples of 64.
  const std::vector<std::pair<int64_t, int64_t>> expected = {{0, 64}, {128, 128}, {448, 64}};
  std::vector<std::pair<int64_t, int64_t>> actual;
  for (const Parameters::Range& range : d.parameters.outside_tables()) {
    actual.emplace_back(range.begin, range.size);
  }
  EXPECT_EQ(actual, expected);
  ASSERT_EQ(d.parameters.tables().size(), 2u);
  EXPECT_EQ(d.parameters.count(), 3 + 35 + 20 + 1 + 180 + 4);
}

}  // namespace
}  // namespace derrd::test::optimizer_test
