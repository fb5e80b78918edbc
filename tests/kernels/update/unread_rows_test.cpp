#include "kernels/update/unread_rows.h"

#include <stdexcept>

#include "tests/kernels/support.h"

namespace derrd::test::unread_rows_test {
namespace {

/// A batch of the rows 2, 0 and 4, which begins after another batch's row 1.
struct Batch {
  RowSegments view() const { return {rows.view(), {}, {}, cursor.data(), 3}; }
  Guarded<int32_t> rows{std::vector<int32_t>{1, 2, 0, 4}};
  Guarded<BatchCursor> cursor{std::vector<BatchCursor>{{0, 1, 3}}};
};

using Marks = std::vector<uint32_t>;

TEST(UnreadRows, TheRowsOfABatchAreMarked) {
  const Batch batch;
  const Guarded<uint32_t> read(Marks{0, 0, 0, 1, 0, 0});
  mark_rows(read.view(), batch.view(), {}, stream());
  EXPECT_EQ(read.host(), (Marks{1, 0, 1, 1, 1, 0}));
}

TEST(UnreadRows, TheRowsInTheSlotsOfABatchAreMarked) {
  const Batch batch;
  const Guarded<int32_t> samples(std::vector<int32_t>{6, 3, 5, 5, 3, -1, 2, 2, 0, 3});  // [5, 2]
  const Guarded<uint32_t> read(Marks(7));
  mark_rows(read.view(), batch.view(), {samples.data(), 5, 2}, stream());
  EXPECT_EQ(read.host(), (Marks{1, 0, 0, 1, 0, 0, 1}));
}

TEST(UnreadRows, WithoutABatchAllRowsAreMarked) {
  const Guarded<uint32_t> read(Marks(33));
  mark_rows(read.view(), {}, {}, stream());
  EXPECT_EQ(read.host(), Marks(33, 1));
  mark_rows({}, {}, {}, stream());
}

TEST(UnreadRows, RowsWithoutAMarkAreOverwritten) {
  for (const int64_t dim : {1, 31, 32, 33, 257}) {
    const std::vector<float> before = random_normal(3 * dim, 5);
    const Guarded<float> value(before);
    const Guarded<uint32_t> read(Marks{1, 0, 1});
    spoil_unread_rows(value.matrix(3, dim), read.view(), stream());
    const std::vector<float> after = value.host();
    for (int64_t i = 0; i < 3 * dim; ++i) {
      const auto at = static_cast<size_t>(i);
      EXPECT_EQ(after[at], i / dim == 1 ? kSpoiledValue : before[at]);
    }
  }
  spoil_unread_rows({}, {}, stream());
}

TEST(UnreadRows, RejectShapesThatDoNotFit) {
  const Guarded<float> value{1.0f, 2.0f};
  const Guarded<uint32_t> read(Marks(3));
  EXPECT_THROW(spoil_unread_rows(value.matrix(2, 1), read.view(), stream()), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::unread_rows_test
