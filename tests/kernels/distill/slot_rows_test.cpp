#include "kernels/distill/slot_rows.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "kernels/epoch/ranking_slots.h"
#include "kernels/platform/sort.h"
#include "tests/cases/batch_rows.h"
#include "tests/kernels/support.h"

namespace derrd::test::slot_rows_test {
namespace {

using test::Guarded;
using test::stream;

/// Samples [anchors, slots] of rows below `rows`, and a batch of some anchors.
struct Fixture {
  Fixture(const std::vector<int32_t>& samples, int64_t slots_of_anchor, int64_t table_rows,
          const std::vector<int32_t>& batch_anchors)
      : host_samples(samples),
        slots(slots_of_anchor),
        anchors(slots == 0 ? 3 : static_cast<int64_t>(samples.size()) / slots),
        rows(table_rows),
        segments(batch_anchors),
        cursor({BatchCursor{6, 0, static_cast<int32_t>(batch_anchors.size())}}),
        offsets(table_rows + 1),
        occurrences(static_cast<int64_t>(samples.size())),
        position(anchors),
        held(table_rows),
        places(table_rows + 1),
        batch(1),
        scratch(exclusive_sum_scratch_bytes(table_rows + 1)) {
    place(batch_anchors);
    const SlotCode code = slot_code(slots);
    std::vector<int32_t> bounds = {0};
    std::vector<uint32_t> by_row;
    for (int32_t row = 0; row <= rows; ++row) {
      for (size_t i = 0; i < samples.size(); ++i) {
        if (samples[i] != (row < rows ? row : -1)) continue;  // empty slots come last
        const auto flat = static_cast<int64_t>(i);
        by_row.push_back(code.pack(flat / slots, flat % slots));
      }
      if (row < rows) bounds.push_back(static_cast<int32_t>(by_row.size()));
    }
    offsets.set(bounds);
    occurrences.set(by_row);
  }
  void place(const std::vector<int32_t>& batch_anchors, int32_t begin = 0) {
    std::vector<int32_t> host(static_cast<size_t>(anchors), -1);
    for (size_t n = 0; n < batch_anchors.size(); ++n) {
      host[static_cast<size_t>(batch_anchors[n])] = begin + static_cast<int32_t>(n);
    }
    position.set(host);
  }

  std::vector<int32_t> find() const {
    RowSegments of_batch = segments.view(0);
    of_batch.batch = cursor.data();
    find_slot_rows({held.view(), batch.data(), places.view(), scratch.view()}, of_batch,
                   {offsets.const_view(), occurrences.const_view(), position.const_view()}, slots,
                   stream());
    test::expect_intact(held, "rows");
    test::expect_intact(places, "places");
    test::expect_intact(batch, "batch");
    const BatchCursor found = batch.host()[0];
    EXPECT_EQ(found.number, 6);
    EXPECT_EQ(found.begin, 0);
    std::vector<int32_t> result = held.host();
    const std::vector<int32_t> untouched = Guarded<int32_t>(1).host();
    for (size_t i = static_cast<size_t>(found.count); i < result.size(); ++i) {
      EXPECT_EQ(result[i], untouched[0]) << "behind the last row";
    }
    result.resize(static_cast<size_t>(found.count));
    return result;
  }
  std::vector<int32_t> expected(const std::vector<int32_t>& batch_anchors) const {
    std::set<int32_t> distinct;
    for (const int32_t anchor : batch_anchors) {
      for (int64_t slot = 0; slot < slots; ++slot) {
        distinct.insert(host_samples[static_cast<size_t>(anchor * slots + slot)]);
      }
    }
    distinct.erase(-1);
    return {distinct.begin(), distinct.end()};
  }

  std::vector<int32_t> host_samples;
  int64_t slots, anchors, rows;
  cases::BatchRows segments;
  Guarded<BatchCursor> cursor;
  Guarded<int32_t> offsets;
  Guarded<uint32_t> occurrences;
  Guarded<int32_t> position, held, places;
  Guarded<BatchCursor> batch;
  DeviceArray<uint8_t> scratch;
};

/// Rows below `rows`, one slot in `rows + 1` empty.
std::vector<int32_t> random_samples(int64_t n, int32_t rows) {
  std::vector<int32_t> samples = test::random_below(n, rows + 1, 5);
  for (int32_t& row : samples) --row;
  return samples;
}

TEST(SlotRows, MatchesOracleOnEdgeShapes) {
  for (const int64_t slots : {1, 3, 4, 31, 33}) {
    for (const int32_t rows : {1, 31, 32, 33, 257}) {
      SCOPED_TRACE(testing::Message() << slots << " slots, " << rows << " rows");
      const std::vector<int32_t> batch = {0, 3, 7, 8};
      const Fixture f(random_samples(9 * slots, rows), slots, rows, batch);
      EXPECT_EQ(f.find(), f.expected(batch));
    }
  }
}

TEST(SlotRows, OfManyAnchors) {
  std::vector<int32_t> batch(150);
  std::iota(batch.begin(), batch.end(), 30);
  const Fixture f(random_samples(300 * 5, 400), 5, 400, batch);
  EXPECT_EQ(f.find(), f.expected(batch));
}

TEST(SlotRows, APopularRowIsFoundByItsLastOccurrence) {
  // All anchors hold row 2, the last one alone is in the batch.
  const Fixture f(std::vector<int32_t>(100, 2), 1, 4, {99});
  EXPECT_EQ(f.find(), std::vector<int32_t>{2});
  const Fixture none(std::vector<int32_t>(100, 2), 1, 4, {});
  EXPECT_EQ(none.find(), std::vector<int32_t>{});
}

TEST(SlotRows, LaterBatchFindsItsOwn) {
  Fixture f(random_samples(6 * 4, 50), 4, 50, {0, 1, 2, 3, 4, 5});
  f.cursor.set({BatchCursor{6, 4, 2}});  // anchors 4 and 5 of the epoch's list
  f.place({4, 5}, 4);
  EXPECT_EQ(f.find(), f.expected({4, 5}));
}

TEST(SlotRows, AcceptsEmptyInput) {
  EXPECT_EQ(Fixture({}, 0, 4, {1}).find(), std::vector<int32_t>{});
  EXPECT_EQ(Fixture({-1, -1, -1}, 1, 0, {1}).find(), std::vector<int32_t>{});
}

TEST(SlotRows, RejectsBadShapes) {
  const Fixture f(random_samples(12, 5), 4, 5, {1});
  const auto call = [&](int64_t places, int64_t offsets, int64_t slots) {
    find_slot_rows(
        {f.held.view(), f.batch.data(), f.places.view().slice(0, places), f.scratch.view()},
        f.segments.view(0),
        {f.offsets.const_view().slice(0, offsets), f.occurrences.const_view(),
         f.position.const_view()},
        slots, stream());
  };
  EXPECT_NO_THROW(call(6, 6, 4));
  EXPECT_THROW(call(5, 6, 4), std::invalid_argument);
  EXPECT_THROW(call(6, 5, 4), std::invalid_argument);
  EXPECT_THROW(call(6, 6, 3), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::slot_rows_test
