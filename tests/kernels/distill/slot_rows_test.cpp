#include "kernels/distill/slot_rows.h"

#include <set>

#include "kernels/platform/sort.h"
#include "tests/cases/slots.h"
#include "tests/kernels/support.h"

namespace derrd::test::slot_rows_test {
namespace {

using cases::ascending;

/// Slots of rows below `rows`, with the operation's outputs.
struct Problem : cases::IndexedSlots {
  Problem(const std::vector<int32_t>& host_samples, int64_t slots_each, int64_t rows,
          const std::vector<int32_t>& batch_anchors)
      : IndexedSlots(rows, {slots_each == 0 ? 3 : std::ssize(host_samples) / slots_each, slots_each,
                            host_samples, batch_anchors}),
        held(rows),
        positions(rows + 1),
        found(1),
        scratch(exclusive_sum_scratch_bytes(rows + 1)) {
    set_batch(0, batch_rows.capacity);
  }
  /// `count` anchors of the list from `begin` on are the batch.
  void set_batch(int64_t begin, int64_t count) {
    cursor = cases::to_device<BatchCursor>(
        {{6, static_cast<int32_t>(begin), static_cast<int32_t>(count)}});
  }
  SlotRows outputs() const { return {held.view(), found.data(), positions.view(), scratch.view()}; }

  std::vector<int32_t> find() const {
    find_slot_rows(outputs(), batch().anchors, index(), slots, stream());
    const BatchCursor rows = found.host()[0];
    EXPECT_EQ(rows.number, 6);
    EXPECT_EQ(rows.begin, 0);
    std::vector<int32_t> result = held.host();
    const std::vector<int32_t> untouched = Guarded<int32_t>(1).host();
    for (size_t i = static_cast<size_t>(rows.count); i < result.size(); ++i) {
      EXPECT_EQ(result[i], untouched[0]) << "behind the last row";
    }
    result.resize(static_cast<size_t>(rows.count));
    return result;
  }
  std::vector<int32_t> expected(const std::vector<int32_t>& batch_anchors) const {
    std::set<int32_t> distinct;
    for (const int32_t row : batch_anchors) {
      for (int64_t slot = 0; slot < slots; ++slot) distinct.insert(sample(row, slot));
    }
    distinct.erase(-1);
    return {distinct.begin(), distinct.end()};
  }

  Guarded<int32_t> held, positions;
  Guarded<BatchCursor> found;
  DeviceArray<uint8_t> scratch;
};

std::vector<int32_t> random_samples(int64_t n, int64_t rows) {
  return cases::random_samples(n, rows, 5);
}

TEST(SlotRows, MatchesOracleOnEdgeShapes) {
  for (const int64_t slots : {1, 3, 4, 31, 33}) {
    for (const int64_t rows : {1, 31, 32, 33, 257}) {
      SCOPED_TRACE(testing::Message() << slots << " slots, " << rows << " rows");
      const std::vector<int32_t> batch = {0, 3, 7, 8};
      const Problem p(random_samples(9 * slots, rows), slots, rows, batch);
      EXPECT_EQ(p.find(), p.expected(batch));
    }
  }
}

TEST(SlotRows, OfManyAnchors) {
  const std::vector<int32_t> batch = ascending(150, 30);
  const Problem p(random_samples(300 * 5, 400), 5, 400, batch);
  EXPECT_EQ(p.find(), p.expected(batch));
}

TEST(SlotRows, APopularRowIsFoundByItsLastOccurrence) {
  // All anchors hold row 2, the last one alone is in the batch.
  const Problem p(std::vector<int32_t>(100, 2), 1, 4, {99});
  EXPECT_EQ(p.find(), std::vector<int32_t>{2});
  const Problem none(std::vector<int32_t>(100, 2), 1, 4, {});
  EXPECT_EQ(none.find(), std::vector<int32_t>{});
}

TEST(SlotRows, LaterBatchFindsItsOwn) {
  Problem p(random_samples(6 * 4, 50), 4, 50, ascending(6));
  p.set_batch(4, 2);
  EXPECT_EQ(p.find(), p.expected({4, 5}));
}

TEST(SlotRows, AcceptsEmptyInput) {
  EXPECT_EQ(Problem({}, 0, 4, {1}).find(), std::vector<int32_t>{});
  EXPECT_EQ(Problem({-1, -1, -1}, 1, 0, {1}).find(), std::vector<int32_t>{});
}

TEST(SlotRows, RejectsBadShapes) {
  const Problem p(random_samples(12, 5), 4, 5, {1});
  const auto call = [&](int64_t positions, int64_t offsets, int64_t slots) {
    SlotRows out = p.outputs();
    out.positions.size = positions;
    SlotIndex index = p.index();
    index.offsets.size = offsets;
    find_slot_rows(out, p.batch().anchors, index, slots, stream());
  };
  EXPECT_NO_THROW(call(6, 6, 4));
  EXPECT_THROW(call(5, 6, 4), std::invalid_argument);
  EXPECT_THROW(call(6, 5, 4), std::invalid_argument);
  EXPECT_THROW(call(6, 6, 3), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::slot_rows_test
