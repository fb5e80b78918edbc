#include "kernels/epoch/segments.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <stdexcept>

#include "tests/cases/batch_rows.h"
#include "tests/cases/sort_arrays.h"
#include "tests/kernels/support.h"

namespace derrd::test::segments_test {
namespace {

/// A list of build_segments for these rows of samples, guarded.
struct List {
  List(const std::vector<int32_t>& rows_of_samples, int64_t batch_size, int64_t table)
      : n(static_cast<int64_t>(rows_of_samples.size())),
        table_rows(table),
        row_of_sample(rows_of_samples),
        rows(n),
        offsets(n + 1),
        occurrences(n),
        batch_offsets((n + batch_size - 1) / batch_size + 1) {}

  SegmentList view() const {
    return {row_of_sample.const_view(), table_rows,          rows.view(), offsets.view(),
            occurrences.view(),         batch_offsets.view()};
  }

  int64_t n, table_rows;
  Guarded<int32_t> row_of_sample, rows, offsets, occurrences, batch_offsets;
};

/// Scratch of build_segments.
struct Workspace {
  explicit Workspace(int64_t pairs)
      : sort(pairs), heads(pairs), scratch(segments_scratch_bytes(pairs)) {}
  SegmentWorkspace view() const {
    return {sort.unsorted(), sort.sorted(), heads.view(), scratch.view()};
  }

  cases::SortArrays<Guarded> sort;
  Guarded<int32_t> heads;
  Guarded<uint8_t> scratch;
};

template <class T>
std::vector<T> first(std::vector<T> values, size_t count) {
  values.resize(count);
  return values;
}

struct Rows {
  std::vector<int32_t> of_sample;
  int64_t table;
};

void expect_segments(const std::vector<Rows>& lists, int64_t batch_size) {
  const size_t n = lists[0].of_sample.size();
  SCOPED_TRACE(std::to_string(lists.size()) + " lists of " + std::to_string(n) +
               " samples, batches of " + std::to_string(batch_size));
  std::vector<List> built;
  std::vector<SegmentList> views;
  for (const Rows& rows : lists) built.emplace_back(rows.of_sample, batch_size, rows.table);
  for (const List& list : built) views.push_back(list.view());
  const Workspace workspace(static_cast<int64_t>(lists.size() * n));
  build_segments(views, workspace.view(), batch_size, stream());

  for (size_t l = 0; l < lists.size(); ++l) {
    SCOPED_TRACE("list " + std::to_string(l));
    const cases::BatchRows expected(lists[l].of_sample, batch_size);
    std::vector<int32_t> batch_offsets = {0};
    for (const BatchCursor& b : expected.batches) batch_offsets.push_back(b.begin + b.count);
    EXPECT_EQ(built[l].batch_offsets.host(), batch_offsets);
    EXPECT_EQ(first(built[l].rows.host(), expected.rows.size()), expected.rows);
    EXPECT_EQ(first(built[l].offsets.host(), expected.offsets.size()), expected.offsets);
    EXPECT_EQ(built[l].occurrences.host(), expected.occurrences);
  }
}

void expect_segments(const std::vector<int32_t>& row_of_sample, int64_t batch_size,
                     int64_t table_rows) {
  expect_segments({{row_of_sample, table_rows}}, batch_size);
}

TEST(Segments, MatchesOracleOnEdgeSizes) {
  for (const int64_t n : kEdgeSizes) {
    for (const int64_t batch_size : {1, 32, 1000}) {
      expect_segments(random_below(n, 20, 1), batch_size, 20);  // duplicates
    }
  }
}

TEST(Segments, LastBatchMayBePartialOrFull) {
  for (const int64_t n : {63, 64, 65}) expect_segments(random_below(n, 7, 2), 32, 7);
}

TEST(Segments, AllSamplesOfOneRow) {
  expect_segments(std::vector<int32_t>(100, 6), 33, 7);
  expect_segments(std::vector<int32_t>(100, 0), 33, 1);
}

TEST(Segments, DistinctRowsInFallingOrder) {
  std::vector<int32_t> rows(100);
  std::iota(rows.rbegin(), rows.rend(), 0);
  expect_segments(rows, 40, 100);
}

TEST(Segments, KeysMayNeedMoreThan32Bits) {
  constexpr int32_t kRows = 2'000'000'000;
  std::vector<int32_t> rows = random_below(64, kRows, 3);
  rows[5] = rows[6] = kRows - 1;
  expect_segments(rows, 2, kRows);
}

TEST(Segments, ListsOfACallDoNotMix) {
  for (const int64_t n : {0, 1, 33, 300}) {
    expect_segments({{random_below(n, 9, 1), 9}, {random_below(n, 200, 2), 200}}, 32);
    expect_segments({{std::vector<int32_t>(static_cast<size_t>(n), 4), 5},
                     {std::vector<int32_t>(static_cast<size_t>(n), 4), 70},
                     {random_below(n, 5, 3), 5}},
                    32);
  }
}

TEST(Segments, RejectsBadShapes) {
  const List list(std::vector<int32_t>(10, 0), 4, 1);
  const Workspace workspace(10);
  const auto build = [&](SegmentList out, int64_t batch_size) {
    build_segments(std::array{out}, workspace.view(), batch_size, stream());
  };
  build(list.view(), 4);
  EXPECT_THROW(build(list.view(), 0), std::invalid_argument);
  EXPECT_THROW(build(list.view(), 3), std::invalid_argument);  // four batches, not three
  SegmentList out = list.view();
  out.table_rows = int64_t{1} << 31;
  EXPECT_THROW(build(out, 4), std::invalid_argument);
  out = list.view();
  out.offsets.size = 10;
  EXPECT_THROW(build(out, 4), std::invalid_argument);
  const std::vector<SegmentList> two(2, list.view());  // the workspace is for one
  EXPECT_THROW(build_segments(two, workspace.view(), 4, stream()), std::invalid_argument);
  const std::vector<SegmentList> four(4, list.view());
  const Workspace for_four(40);
  EXPECT_THROW(build_segments(four, for_four.view(), 4, stream()), std::invalid_argument);
}

/// The cursors of the samples and of three lists of rows.
struct Cursors {
  Cursors() : memory(std::vector<BatchCursor>(4)) {}
  BatchCursor* samples() const { return memory.data(); }
  BatchCursor* list(int64_t i) const { return memory.data() + 1 + i; }
  Guarded<BatchCursor> memory;
};

void expect_cursor(const BatchCursor& actual, const BatchCursor& expected) {
  EXPECT_EQ(actual.number, expected.number);
  EXPECT_EQ(actual.begin, expected.begin);
  EXPECT_EQ(actual.count, expected.count);
}

TEST(AdvanceBatch, WalksThroughTheEpochAndStartsAgain) {
  constexpr int64_t kSamples = 70, kBatchSize = 32;
  const Cursors cursors;
  const Guarded<int32_t> users = {0, 30, 61, 66}, positives = {0, 1, 2, 3},
                         negatives = {0, 32, 64, 70};
  const auto advance = [&] {
    advance_batch({{cursors.samples(), kSamples, kBatchSize},
                   {cursors.list(0), users.const_view()},
                   {cursors.list(1), positives.const_view()},
                   {cursors.list(2), negatives.const_view()}},
                  stream());
    return cursors.memory.host();
  };
  const std::vector<std::vector<BatchCursor>> expected = {
      {{0, 0, 32}, {0, 0, 30}, {0, 0, 1}, {0, 0, 32}},
      {{1, 32, 32}, {1, 30, 31}, {1, 1, 1}, {1, 32, 32}},
      {{2, 64, 6}, {2, 61, 5}, {2, 2, 1}, {2, 64, 6}},
      {{0, 0, 32}, {0, 0, 30}, {0, 0, 1}, {0, 0, 32}}};
  for (const std::vector<BatchCursor>& step : expected) {
    const std::vector<BatchCursor> actual = advance();
    for (size_t i = 0; i < step.size(); ++i) expect_cursor(actual[i], step[i]);
  }
}

TEST(AdvanceBatch, ListsMayBeMissing) {
  const Cursors cursors;
  advance_batch({{cursors.samples(), 5, 8}, {}, {}, {}}, stream());
  const std::vector<BatchCursor> actual = cursors.memory.host();
  expect_cursor(actual[0], {0, 0, 5});
  for (size_t i = 1; i < 4; ++i) expect_cursor(actual[i], BatchCursor{});
}

TEST(AdvanceBatch, AcceptsEmptyInput) {
  Cursors cursors;
  cursors.memory.set(std::vector<BatchCursor>(4, {3, 5, 7}));
  const Guarded<int32_t> offsets = {0};
  const SegmentCursor list = {cursors.list(0), offsets.const_view()};
  advance_batch({{cursors.samples(), 0, 8}, list, {}, {}}, stream());
  const std::vector<BatchCursor> actual = cursors.memory.host();
  expect_cursor(actual[0], BatchCursor{});
  expect_cursor(actual[1], BatchCursor{});
}

TEST(AdvanceBatch, RejectsBadShapes) {
  const Cursors cursors;
  const Guarded<int32_t> offsets = {0, 1, 2};
  const SegmentCursor list = {cursors.list(0), offsets.const_view()};
  EXPECT_THROW(advance_batch({{cursors.samples(), 70, 32}, list, {}, {}}, stream()),
               std::invalid_argument);
  EXPECT_THROW(advance_batch({{cursors.samples(), 64, 0}, list, {}, {}}, stream()),
               std::invalid_argument);
}

TEST(RewindBatches, PutsCursorsBeforeTheFirstBatch) {
  Cursors cursors;
  cursors.memory.set(std::vector<BatchCursor>(4, {3, 5, 7}));
  const Guarded<int32_t> offsets = {0, 3, 5};
  const SegmentCursor list = {cursors.list(1), offsets.const_view()};
  rewind_batches({{cursors.samples(), 9, 8}, {}, list, {}}, stream());
  const std::vector<BatchCursor> rewound = cursors.memory.host();
  expect_cursor(rewound[0], BatchCursor{});
  expect_cursor(rewound[1], {3, 5, 7});  // of no list
  expect_cursor(rewound[2], BatchCursor{});
  advance_batch({{cursors.samples(), 9, 8}, {}, list, {}}, stream());
  const std::vector<BatchCursor> first = cursors.memory.host();
  expect_cursor(first[0], {0, 0, 8});
  expect_cursor(first[2], {0, 0, 3});
}

TEST(SetEpoch, WritesTheState) {
  const Guarded<EpochState> state(std::vector<EpochState>(1));
  set_epoch(state.data(), {41, 0.25f}, stream());
  EXPECT_EQ(state.host()[0].epoch, 41u);
  EXPECT_EQ(state.host()[0].temperature, 0.25f);
}

TEST(LocateRows, InvertsEveryBatchAndLeavesTheOthers) {
  for (const int32_t table_rows : {1, 33, 257}) {
    const std::vector<int32_t> row_of_sample = random_below(100, table_rows, 4);
    const cases::BatchRows segments(row_of_sample, 37);
    std::vector<int32_t> expected(static_cast<size_t>(table_rows));
    const Guarded<int32_t> position(expected);
    for (const BatchCursor& batch : segments.batches) {
      for (int32_t i = batch.begin; i < batch.begin + batch.count; ++i) {
        expected[static_cast<size_t>(segments.rows[static_cast<size_t>(i)])] = i + 1;
      }
      locate_rows(position.view(), segments.view(batch.number), stream());
      EXPECT_EQ(position.host(), expected) << "batch " << batch.number;
    }
  }
}

TEST(LocateRows, AcceptsEmptyInput) {
  const Guarded<int32_t> position(std::vector<int32_t>(40, -1));
  const Guarded<BatchCursor> cursor(std::vector<BatchCursor>(1));
  locate_rows(position.view(), {{}, {}, {}, cursor.data(), 0}, stream());
  locate_rows(position.view(), {{}, {}, {}, cursor.data(), 7}, stream());
  EXPECT_EQ(position.host(), std::vector<int32_t>(40, -1));
}

}  // namespace
}  // namespace derrd::test::segments_test
