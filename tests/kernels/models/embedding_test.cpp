#include "kernels/models/embedding.h"

#include <stdexcept>

#include "tests/cases/batch_rows.h"
#include "tests/kernels/support.h"
#include "tests/oracles/embedding.h"

namespace derrd::test::embedding_test {
namespace {

const std::vector<int64_t> kColumns = {1, 20, 31, 32, 33, 100};

/// Two batches of samples whose rows repeat; the second is shorter.
struct Epoch {
  Epoch(int64_t samples, int32_t table_rows, uint64_t seed)
      : batch_size(samples == 0 ? 1 : (samples + 2) * 2 / 3),
        row_of_sample(random_below(samples, table_rows, seed)),
        segments(row_of_sample, batch_size),
        cursors(cases::sample_cursors(samples, batch_size)),
        device_cursors(cursors) {}

  int64_t batches() const { return static_cast<int64_t>(cursors.size()); }
  std::vector<int32_t> distinct_rows(int64_t batch) const {
    const BatchCursor& cursor = segments.batches[static_cast<size_t>(batch)];
    const auto begin = segments.rows.begin() + cursor.begin;
    return {begin, begin + cursor.count};
  }

  int64_t batch_size;
  std::vector<int32_t> row_of_sample;
  cases::BatchRows segments;
  std::vector<BatchCursor> cursors;
  Guarded<BatchCursor> device_cursors;
};

template <class T>
std::vector<T> part(const std::vector<T>& all, const BatchCursor& batch) {
  return {all.begin() + batch.begin, all.begin() + batch.begin + batch.count};
}

TEST(GatherRows, CopiesTheBatchesRowsAndZeroesTheRest) {
  constexpr int32_t kTableRows = 40;
  for (const int64_t samples : kEdgeSizes) {
    const Epoch epoch(samples, kTableRows, 1);
    for (const int64_t cols : kColumns) {
      const std::vector<float> table = random_normal(kTableRows * cols, 2);
      const Guarded<float> device_table(table);
      for (int64_t batch = 0; batch < epoch.batches(); ++batch) {
        const RowSegments rows = epoch.segments.view(batch);
        const Guarded<float> out(rows.capacity * cols);
        gather_rows(out.matrix(rows.capacity, cols), 0, device_table.matrix(kTableRows, cols), rows,
                    stream());
        std::vector<double> expected =
            oracle::gather_rows(to_double(table), cols, epoch.distinct_rows(batch));
        expected.resize(static_cast<size_t>(out.size()), 0.0);
        EXPECT_EQ(to_double(out.host()), expected) << samples << " samples, " << cols << " columns";
      }
    }
  }
}

TEST(GatherRows, WritesAndReadsTheTablesColumnsOnly) {
  constexpr int64_t kTableRows = 12, kCols = 3, kWidth = 8, kFirst = 4;
  const Epoch epoch(9, kTableRows, 11);
  const RowSegments rows = epoch.segments.view(0);
  const std::vector<float> table = random_normal(kTableRows * kCols, 12);
  const std::vector<float> wide = random_normal(rows.capacity * kWidth, 13);
  const Guarded<float> device_table(table), out(wide), grad(table);
  const Matrix<float> out_matrix = out.matrix(rows.capacity, kWidth);
  gather_rows(out_matrix, kFirst, device_table.matrix(kTableRows, kCols), rows, stream());
  const std::vector<float> gathered = out.host();
  add_rows(grad.matrix(kTableRows, kCols), out_matrix, kFirst, rows, stream());

  std::vector<float> expected = wide, doubled = table;
  const std::vector<int32_t> distinct = epoch.distinct_rows(0);
  for (size_t i = 0; i < static_cast<size_t>(rows.capacity); ++i) {
    for (size_t c = 0; c < kCols; ++c) {
      float& element = expected[i * kWidth + kFirst + c];
      element = 0;
      if (i >= distinct.size()) continue;
      const size_t source = static_cast<size_t>(distinct[i]) * kCols + c;
      element = table[source];
      doubled[source] *= 2;
    }
  }
  EXPECT_EQ(gathered, expected);
  EXPECT_EQ(grad.host(), doubled);
}

TEST(AddRows, MatchesOracle) {
  constexpr int32_t kTableRows = 40;
  for (const int64_t samples : kEdgeSizes) {
    const Epoch epoch(samples, kTableRows, 3);
    for (const int64_t cols : kColumns) {
      const std::vector<float> start = random_normal(kTableRows * cols, 4);
      for (int64_t batch = 0; batch < epoch.batches(); ++batch) {
        const RowSegments rows = epoch.segments.view(batch);
        const std::vector<float> grad_rows = random_normal(rows.capacity * cols, 5);
        const Guarded<float> device_grad_rows(grad_rows);
        const Guarded<float> grad(start);
        add_rows(grad.matrix(kTableRows, cols), device_grad_rows.matrix(rows.capacity, cols), 0,
                 rows, stream());
        std::vector<double> expected = to_double(start);
        oracle::scatter_add_rows(expected, cols, epoch.distinct_rows(batch), to_double(grad_rows));
        // One addition rounds: 2^-24 of the result.
        EXPECT_TRUE(close(grad.host(), expected, 0, 6e-8)) << samples << ", " << cols;
      }
    }
  }
}

// Two batches with common rows add to one table, another to a second one.
TEST(AddRows, SeveralCallsAddToARowInTheirOrder) {
  constexpr int64_t kTableRows = 40, kCols = 33;
  const Epoch first(50, kTableRows, 3), second(60, kTableRows, 4);
  const std::vector<float> start = random_normal(kTableRows * kCols, 5, 1e3f);
  const Guarded<float> together(start), one_by_one(start), other(start), other_alone(start);
  const Guarded<float> grad_rows(random_normal(60 * kCols, 6));
  const auto addition = [&](const Guarded<float>& grad, const Epoch& epoch) {
    const RowSegments rows = epoch.segments.view(0);
    return RowAddition{grad.matrix(kTableRows, kCols), grad_rows.matrix(rows.capacity, kCols), 0,
                       rows};
  };
  CallList<RowAddition> calls;
  calls.add(addition(together, first));
  calls.add(addition(other, second));
  calls.add(addition(together, second));
  add_rows(calls, stream());
  add_rows(addition(one_by_one, first), stream());
  add_rows(addition(one_by_one, second), stream());
  add_rows(addition(other_alone, second), stream());
  EXPECT_EQ(together.host(), one_by_one.host());
  EXPECT_EQ(other.host(), other_alone.host());
}

// gather is linear, so <g, gather(x)> = <add(g), x> says that add is its derivative.
TEST(AddRows, IsTheAdjointOfGatherRows) {
  constexpr int64_t kTableRows = 50, kCols = 20;
  const Epoch epoch(90, kTableRows, 6);
  const RowSegments rows = epoch.segments.view(0);
  const std::vector<float> x = random_normal(kTableRows * kCols, 7);
  const std::vector<float> g = random_normal(rows.capacity * kCols, 8);
  const Guarded<float> table(x), grad_rows(g), out(rows.capacity * kCols);
  const Guarded<float> grad(std::vector<float>(x.size()));
  gather_rows(out.matrix(rows.capacity, kCols), 0, table.matrix(kTableRows, kCols), rows, stream());
  add_rows(grad.matrix(kTableRows, kCols), grad_rows.matrix(rows.capacity, kCols), 0, rows,
           stream());
  const auto inner = [](const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
    return sum;
  };
  // Neither call rounds (the gradient started as zero); the double sums differ in their order.
  EXPECT_NEAR(inner(g, out.host()), inner(grad.host(), x), 1e-10);
}

/// @param terms about the number of times that a row recurs: so many roundings of 2^-24 of partial
/// sums below that number
void expect_sums_of_oracle(const std::vector<int64_t>& sample_counts, int32_t table_rows,
                           double terms) {
  constexpr int32_t kSourceRows = 15;
  constexpr float kScale = -0.5f;
  const double tolerance = terms * terms * 6e-8;
  for (const int64_t samples : sample_counts) {
    const Epoch epoch(samples, table_rows, 9);
    const std::vector<int32_t> source_rows = random_below(samples, kSourceRows, 10);
    const Guarded<int32_t> device_source_rows(source_rows);
    for (const int64_t cols : kColumns) {
      const std::vector<float> start = random_normal(table_rows * cols, 11);
      const std::vector<float> source = random_normal(kSourceRows * cols, 12);
      const std::vector<float> coefficient = random_normal(epoch.batch_size, 13);
      const Guarded<float> device_source(source), device_coefficient(coefficient);
      for (int64_t batch = 0; batch < epoch.batches(); ++batch) {
        const BatchCursor& cursor = epoch.cursors[static_cast<size_t>(batch)];
        const Guarded<float> grad(start);
        accumulate_rows(grad.matrix(table_rows, cols),
                        {device_source.matrix(kSourceRows, cols), device_source_rows.view(),
                         device_coefficient.view(), epoch.device_cursors.data() + batch, kScale},
                        epoch.segments.view(batch), stream());
        std::vector<double> values =
            oracle::gather_rows(to_double(source), cols, part(source_rows, cursor));
        for (size_t i = 0; i < values.size(); ++i) {
          values[i] *= kScale * coefficient[i / static_cast<size_t>(cols)];
        }
        std::vector<double> expected = to_double(start);
        oracle::scatter_add_rows(expected, cols, part(epoch.row_of_sample, cursor), values);
        EXPECT_TRUE(close(grad.host(), expected, tolerance, 0))
            << samples << " samples, " << cols << " columns, batch " << batch;
      }
    }
  }
}

TEST(AccumulateRows, MatchesOracle) { expect_sums_of_oracle(kEdgeSizes, 20, 20); }

// Batches of so many samples that the tiles of a block share rows: rows that have enough terms, and
// rows of which only some have.
TEST(AccumulateRows, MatchesOracleForPopularRows) {
  expect_sums_of_oracle({13'000}, 40, 260);
  expect_sums_of_oracle({13'000}, 66, 180);
}

TEST(AccumulateRows, SameBitsAtAnyNumberOfThreads) {
  constexpr int64_t kSamples = 600, kTableRows = 300, kCols = 128;  // several chunks of work
  const Epoch epoch(kSamples, kTableRows, 14);
  const Guarded<int32_t> source_rows(random_below(kSamples, kTableRows, 15));
  const Guarded<float> source(random_normal(kTableRows * kCols, 16));
  const Guarded<float> coefficient(random_normal(epoch.batch_size, 17));
  expect_same_bits_at_any_number_of_threads([&] {
    const Guarded<float> grad(std::vector<float>(kTableRows * kCols));
    accumulate_rows(grad.matrix(kTableRows, kCols),
                    {source.matrix(kTableRows, kCols), source_rows.view(), coefficient.view(),
                     epoch.device_cursors.data()},
                    epoch.segments.view(0), stream());
    return grad.host();
  });
}

TEST(Embedding, RejectsBadShapes) {
  const Epoch epoch(9, 4, 18);
  RowSegments rows = epoch.segments.view(0);
  const Guarded<float> memory(1000);
  const Guarded<int32_t> samples(9);
  const auto matrix = [&](int64_t r, int64_t c) { return memory.matrix(r, c); };
  const int64_t capacity = rows.capacity;
  EXPECT_THROW(gather_rows(matrix(capacity + 1, 5), 0, matrix(4, 5), rows, stream()),
               std::invalid_argument);
  EXPECT_THROW(gather_rows(matrix(capacity, 6), 2, matrix(4, 5), rows, stream()),
               std::invalid_argument);
  EXPECT_THROW(add_rows(matrix(4, 5), matrix(capacity - 1, 5), 0, rows, stream()),
               std::invalid_argument);
  EXPECT_THROW(add_rows(matrix(4, 5), matrix(capacity, 4), 0, rows, stream()),
               std::invalid_argument);
  const auto accumulate = [&](Matrix<float> grad, Matrix<float> source, Vector<int32_t> by_sample) {
    accumulate_rows(grad, {source, by_sample, memory.view(), epoch.device_cursors.data()}, rows,
                    stream());
  };
  EXPECT_THROW(accumulate(matrix(4, 5), matrix(7, 6), samples.view()), std::invalid_argument);
  EXPECT_THROW(accumulate(matrix(4, 5), matrix(7, 5), samples.view().slice(0, 8)),
               std::invalid_argument);
  rows.capacity = int64_t{1} << 31;  // more than 32 bits number; nothing is read
  EXPECT_THROW(accumulate(matrix(4, 5), matrix(7, 5), samples.view()), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::embedding_test
