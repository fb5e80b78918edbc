#include "engine/training/optimizer.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <vector>

#include "tests/engine/small_data.h"
#include "tests/random_values.h"

namespace derrd::test::optimizer_test {
namespace {

using test::stream;

constexpr AdamOptions kOptions = {.learning_rate = 2e-3, .weight_decay = 1e-3};

/// Tables with other matrices before, between and behind them, none of a size without padding.
struct Declared {
  Declared() {
    constexpr Parameters::Initial kNormal = {Parameters::Initial::Kind::kNormal, 0.1f};
    parameters.declare("bias", 1, 3, kNormal);
    users = parameters.declare_table("users", 7, 5, kNormal);
    weight = parameters.declare("weight", 4, 5, kNormal);
    parameters.declare("more", 1, 1, kNormal);
    items = parameters.declare_table("items", 9, 20, kNormal);
    parameters.declare("last", 2, 2, kNormal);
    parameters.allocate(3, stream());
  }
  void set_gradients(uint64_t seed) const {
    for (int64_t id = 0; id < 6; ++id) {
      const Matrix<float> to = parameters.gradient({id});
      const std::vector<float> gradient =
          test::random_normal(to.size(), 10 * seed + static_cast<uint64_t>(id));
      copy_to_device(to.data, gradient.data(), to.size() * static_cast<int64_t>(sizeof(float)),
                     stream());
    }
  }
  std::vector<float> host(Vector<float> arena) const {
    std::vector<float> all(static_cast<size_t>(arena.size));
    copy_to_host(all.data(), arena.data, arena.size * static_cast<int64_t>(sizeof(float)),
                 stream());
    return all;
  }
  std::vector<std::vector<float>> state() const {
    return {host(parameters.values()), host(parameters.first_moments()),
            host(parameters.second_moments()), host(parameters.gradients())};
  }

  Parameters parameters;
  ParameterId users, items, weight;
};

TEST(Optimizer, RowsThatWaitEndInTheBitsOfEveryStep) {
  Declared every, waiting;
  Optimizer at_once(every.parameters, kOptions, RowUpdates::kEveryStep, 1, stream());
  Optimizer when_read(waiting.parameters, kOptions, RowUpdates::kWhenRead, 3, stream());
  for (uint64_t epoch = 0; epoch < 2; ++epoch) {
    every.set_gradients(epoch);
    waiting.set_gradients(epoch);
    for (int step = 0; step < 3; ++step) {
      at_once.step(stream());
      when_read.step(stream());
    }
    EXPECT_NE(waiting.state(), every.state());
    when_read.catch_up(stream());
    EXPECT_EQ(waiting.state(), every.state());
  }
  EXPECT_EQ(when_read.steps(stream()), 6);
  EXPECT_EQ(at_once.steps(stream()), 6);
}

TEST(Optimizer, GoesOnFromACheckpoint) {
  Declared whole, resumed;
  Optimizer first(whole.parameters, kOptions, RowUpdates::kWhenRead, 4, stream());
  for (int step = 0; step < 2; ++step) first.step(stream());
  first.catch_up(stream());
  const auto state = whole.state();
  const std::vector<Vector<float>> arenas = {
      resumed.parameters.values(), resumed.parameters.first_moments(),
      resumed.parameters.second_moments(), resumed.parameters.gradients()};
  for (size_t i = 0; i < arenas.size(); ++i) {
    copy_to_device(arenas[i].data, state[i].data(),
                   arenas[i].size * static_cast<int64_t>(sizeof(float)), stream());
  }
  Optimizer second(resumed.parameters, kOptions, RowUpdates::kWhenRead, 4, stream());
  second.set_steps(2, stream());
  for (Optimizer* optimizer : {&first, &second}) {
    optimizer->step(stream());
    optimizer->catch_up(stream());
    EXPECT_EQ(optimizer->steps(stream()), 3);
  }
  EXPECT_EQ(resumed.state(), whole.state());
}

TEST(Optimizer, RefusesMoreStepsThanItsWindow) {
  Declared d;
  Optimizer optimizer(d.parameters, kOptions, RowUpdates::kWhenRead, 3, stream());
  for (int epoch = 0; epoch < 2; ++epoch) {
    for (int step = 0; step < 3; ++step) optimizer.step(stream());
    optimizer.catch_up(stream());
  }
  for (int step = 0; step < 3; ++step) optimizer.step(stream());
  optimizer.set_steps(6, stream());
  for (int step = 0; step < 3; ++step) optimizer.step(stream());
  EXPECT_THROW(optimizer.step(stream()), std::logic_error);
}

TEST(Optimizer, WithoutItNoRowWaits) {
  Declared d;
  auto optimizer =
      std::make_unique<Optimizer>(d.parameters, kOptions, RowUpdates::kWhenRead, 4, stream());
  optimizer->step(stream());
  const auto before = d.state();
  optimizer.reset();
  d.parameters.catch_up_all(stream());
  EXPECT_EQ(d.state(), before);
}

TEST(Optimizer, ItsSuccessorKeepsItsOwnHistory) {
  Declared expected, d;
  Optimizer only(expected.parameters, kOptions, RowUpdates::kWhenRead, 4, stream());
  auto optimizer =
      std::make_unique<Optimizer>(d.parameters, kOptions, RowUpdates::kWhenRead, 4, stream());
  // The first one goes after the second has come.
  optimizer =
      std::make_unique<Optimizer>(d.parameters, kOptions, RowUpdates::kWhenRead, 4, stream());
  for (Optimizer* one : {&only, optimizer.get()}) {
    one->step(stream());
    one->catch_up(stream());
  }
  EXPECT_EQ(d.state(), expected.state());
}

// What --row-updates auto promises: rows wait where the tables exceed the cache.
TEST(Optimizer, ChoosesByTheCache) {
  const DeviceInfo device = device_info();
  if (device.executor == "check") return;  // as the CPU's, and slow with so large a table
  constexpr int64_t kUnknown = int64_t{32} << 20;
  const int64_t fits = (device.cache_bytes == 0 ? kUnknown : device.cache_bytes) / 16;
  for (const int64_t rows : {fits, fits + 1}) {
    Parameters parameters;
    parameters.declare_table("table", rows, 1, {});
    parameters.allocate(1, stream());
    Optimizer optimizer(parameters, kOptions, RowUpdates::kAuto, 2, stream());
    const float one = 1.0f;
    copy_to_device(parameters.gradients().data, &one, sizeof one, stream());
    optimizer.step(stream());
    float gradient = 0;
    copy_to_host(&gradient, parameters.gradients().data, sizeof gradient, stream());
    EXPECT_EQ(gradient, rows > fits ? 1.0f : 0.0f);  // it waits, or it was taken
  }
}

TEST(ParametersTables, WhatLiesOutsideOfThem) {
  const Declared d;
  // Matrices start at multiples of 64.
  const std::vector<Parameters::Range> expected = {{0, 64}, {128, 128}, {448, 64}};
  const std::vector<Parameters::Range> actual = d.parameters.outside_tables();
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    EXPECT_EQ(actual[i].begin, expected[i].begin);
    EXPECT_EQ(actual[i].size, expected[i].size);
  }
  EXPECT_EQ(d.parameters.table_elements(), 7 * 5 + 9 * 20);
  EXPECT_EQ(d.parameters.count(), 3 + 35 + 20 + 1 + 180 + 4);
}

TEST(ParametersTables, OnlyTablesAreCaughtUp) {
  Declared d;
  const Optimizer optimizer(d.parameters, kOptions, RowUpdates::kWhenRead, 4, stream());
  EXPECT_THROW(d.parameters.catch_up({{d.weight, {}}}, stream()), std::logic_error);
}

}  // namespace
}  // namespace derrd::test::optimizer_test
