#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <ostream>
#include <stdexcept>

#include "bench/ladders/adam_rows/distinct_rows.h"
#include "bench/ladders/adam_rows/levels.h"
#include "tests/cases/adam_table.h"
#include "tests/kernels/support.h"
#include "tests/oracles/adam.h"

namespace derrd::ladder {
/// Prints a level in the tests' names.
void PrintTo(const AdamRowsLevel& level, std::ostream* out) { *out << level.name; }
}  // namespace derrd::ladder

namespace derrd::test::adam_rows_test {
namespace {

constexpr AdamOptions kOptions = {.learning_rate = 2e-3, .weight_decay = 1e-3};

struct Shape {
  int64_t rows, dim, batch, steps;
};
std::ostream& operator<<(std::ostream& out, const Shape& s) {
  return out << "R " << s.rows << ", D " << s.dim << ", B " << s.batch << ", " << s.steps
             << " steps";
}

std::vector<float> zeros(int64_t n) { return std::vector<float>(static_cast<size_t>(n)); }

/// Values that no step brings near zero: there a gradient's rounding is as large as the gradient,
/// and Adam divides it by its own size.
std::vector<float> start_values(int64_t n) {
  std::vector<float> values = random_normal(n, 1, 0.1f);
  for (float& x : values) x += std::copysign(0.05f, x);
  return values;
}

/// A table at its start, and the steps that read it.
struct EpochFixture : cases::AdamTable<Guarded> {
  explicit EpochFixture(Shape s)
      : AdamTable(s.rows, s.dim, Guarded<float>(start_values(s.rows * s.dim))),
        shape(s),
        start(value.host()),
        reads(ladder::distinct_rows(s.steps, s.batch, s.rows, 2)),
        read(reads),
        batches(ladder::batches_of(s.steps, s.batch)),
        updates(static_cast<int64_t>(
            std::bit_ceil(static_cast<size_t>(std::max<int64_t>(1, s.steps))))) {}

  ladder::AdamEpoch epoch() const {
    return {view(), {read.data(), shape.steps, shape.batch}, batches.const_view(), updates.view()};
  }
  /// A step's reads in the list of all of them.
  std::vector<int32_t> rows_of(int64_t step) const {
    const auto begin = reads.begin() + step * shape.batch;
    return {begin, begin + shape.batch};
  }

  Shape shape;
  std::vector<float> start;
  std::vector<int32_t> reads;
  Guarded<int32_t> read;
  Guarded<BatchCursor> batches;
  cases::AdamUpdates<Guarded> updates;
};

/// The oracle's dense updates, with the gradients of train_on_rows.
oracle::AdamState expected_of(const EpochFixture& f) {
  const auto size = static_cast<size_t>(f.shape.rows * f.shape.dim);
  const auto dim = static_cast<size_t>(f.shape.dim);
  oracle::AdamState state{to_double(f.start), std::vector<double>(size), std::vector<double>(size)};
  for (int64_t step = 0; step < f.shape.steps; ++step) {
    std::vector<double> gradient(size);
    for (const int32_t row : f.rows_of(step)) {
      const size_t begin = static_cast<size_t>(row) * dim;
      for (size_t i = begin; i < begin + dim; ++i) gradient[i] = state.parameters[i];
    }
    oracle::adam_update(state, gradient, step + 1, kOptions.learning_rate, kOptions.beta1,
                        kOptions.beta2, kOptions.epsilon, kOptions.weight_decay);
  }
  return state;
}

class AdamRowsLadder : public testing::TestWithParam<ladder::AdamRowsLevel> {
 protected:
  static void run(const EpochFixture& f) { GetParam().run(f.epoch(), kOptions, stream()); }

  /// The level, beside the dense update of kernels/update/adam.h and the oracle.
  static void expect_dense_result(Shape shape) {
    SCOPED_TRACE(testing::Message() << shape);
    const EpochFixture f(shape);
    const EpochFixture dense(shape);
    run(f);
    ladder::fused(dense.epoch(), kOptions, stream());
    EXPECT_TRUE(same_bits(f.value, dense.value));
    EXPECT_TRUE(same_bits(f.first_moment, dense.first_moment));
    EXPECT_TRUE(same_bits(f.second_moment, dense.second_moment));
    EXPECT_EQ(f.gradient.host(), zeros(shape.rows * shape.dim));
    EXPECT_EQ(f.updates.steps.host()[0], shape.steps);
    // Rounding of a step: as in adam_test.cpp. A gradient rounds as the parameter that it is.
    const auto steps = static_cast<double>(shape.steps);
    const oracle::AdamState expected = expected_of(f);
    EXPECT_TRUE(close(f.value.host(), expected.parameters, 1e-8, steps * 1e-7));
    EXPECT_TRUE(close(f.first_moment.host(), expected.first_moment, 3e-7, steps * 2e-7));
    EXPECT_TRUE(close(f.second_moment.host(), expected.second_moment, 1e-9, steps * 2e-7));
  }
};

INSTANTIATE_TEST_SUITE_P(Levels, AdamRowsLadder, testing::ValuesIn(ladder::kAdamRowsLevels),
                         [](const auto& level) { return std::string(level.param.name); });

TEST_P(AdamRowsLadder, EndsInTheBitsOfDenseUpdatesOnEdgeShapes) {
  constexpr int64_t kRows = 7;
  for (const int64_t dim : {1, 20, 31, 32, 33, 200}) {
    for (const int64_t batch : {int64_t{0}, int64_t{1}, int64_t{3}, kRows}) {
      expect_dense_result({kRows, dim, batch, 5});
    }
  }
  for (const int64_t rows : {1, 2}) expect_dense_result({rows, 33, 1, 4});
}

TEST_P(AdamRowsLadder, RowsThatWaitForManySteps) { expect_dense_result({150, 20, 2, 16}); }

TEST_P(AdamRowsLadder, AcceptsEmptyInput) {
  for (const Shape shape : {Shape{3, 4, 2, 0}, Shape{0, 4, 0, 2}, Shape{3, 0, 2, 2}}) {
    expect_dense_result(shape);
  }
}

// A call leaves the state that the next one needs.
TEST_P(AdamRowsLadder, GoesOnWhereItEnded) {
  const EpochFixture twice({9, 33, 2, 3});
  run(twice);
  run(twice);
  const EpochFixture dense({9, 33, 2, 3});
  for (int call = 0; call < 2; ++call) ladder::fused(dense.epoch(), kOptions, stream());
  EXPECT_TRUE(same_bits(twice.value, dense.value));
  EXPECT_TRUE(same_bits(twice.second_moment, dense.second_moment));
}

TEST_P(AdamRowsLadder, KeepsNanInItsElement) {
  EpochFixture f({5, 33, 3, 4});
  f.start[40] = std::numeric_limits<float>::quiet_NaN();
  f.value.set(f.start);
  run(f);
  const std::vector<float> value = f.value.host();
  for (size_t i = 0; i < value.size(); ++i) EXPECT_EQ(std::isnan(value[i]), i == 40) << i;
}

TEST_P(AdamRowsLadder, SameBitsAtAnyNumberOfThreads) {
  const auto value = [](int threads) {
    set_threads(threads);
    const EpochFixture f({300, 32, 40, 3});
    run(f);
    set_threads(0);
    return f.value.host();
  };
  EXPECT_EQ(value(1), value(2));
}

TEST_P(AdamRowsLadder, RejectsBadShapes) {
  const EpochFixture f({4, 6, 2, 4});
  const auto reject = [&](const auto& change) {
    ladder::AdamEpoch epoch = f.epoch();
    change(epoch);
    EXPECT_THROW(GetParam().run(epoch, kOptions, stream()), std::invalid_argument);
  };
  reject([](ladder::AdamEpoch& e) { e.table.first_moment.cols = 5; });
  reject([](ladder::AdamEpoch& e) { e.table.second_moment.rows = 3; });
  reject([](ladder::AdamEpoch& e) { e.table.gradient.cols = 7; });
  reject([](ladder::AdamEpoch& e) { e.table.applied.size = 3; });
  reject([](ladder::AdamEpoch& e) { e.batches.size = 3; });
  reject([](ladder::AdamEpoch& e) { e.history.corrections.size = 3; });
  reject([](ladder::AdamEpoch& e) { e.history.corrections.size = 2; });
  reject([](ladder::AdamEpoch& e) { e.read.cols = 5; });
}

}  // namespace
}  // namespace derrd::test::adam_rows_test
