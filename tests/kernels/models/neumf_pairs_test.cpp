#include "kernels/models/neumf_pairs.h"

#include <stdexcept>

#include "tests/kernels/models/pair_fixture.h"

namespace derrd::test::neumf_pairs_test {
namespace {

TEST(LocatePairs, FindsRowsAndPositions) {
  for (const auto& [samples, batch_size] : pair_sizes()) {
    const PairFixture f(7, 11, samples, batch_size);  // items are positive and negative at once
    for (int64_t b = 0; b < f.batches(); ++b) {
      f.locate(b);
      const std::vector<int32_t> user_rows = f.numbers[0].host(), item_rows = f.numbers[1].host();
      const std::vector<int32_t> user_positions = f.numbers[2].host();
      const std::vector<int32_t> item_positions = f.numbers[3].host();
      const std::vector<int32_t> users = distinct_rows(f.user_rows, b);
      const std::vector<int32_t> positives = distinct_rows(f.positive_rows, b);
      const std::vector<int32_t> negatives = distinct_rows(f.negative_rows, b);
      for (int64_t p = 0; p < f.pairs(); ++p) {
        const auto i = static_cast<size_t>(p);
        if (p >= f.active(b)) {
          EXPECT_EQ(user_rows[i] | item_rows[i] | user_positions[i] | item_positions[i], 0);
          continue;
        }
        EXPECT_EQ(user_rows[i], f.user(b, p));
        EXPECT_EQ(item_rows[i], f.item(b, p));
        EXPECT_EQ(users.at(static_cast<size_t>(user_positions[i])), f.user(b, p));
        const auto position = static_cast<size_t>(item_positions[i]);
        if (p % 2 == 0) {
          EXPECT_EQ(positives.at(position), f.item(b, p));
        } else {
          const auto before = static_cast<size_t>(f.positive_rows.capacity);
          EXPECT_EQ(negatives.at(position - before), f.item(b, p));
        }
      }
      const BatchCursor cursor = f.pair_cursor.host()[0];
      const BatchCursor& of_samples = f.cursors[static_cast<size_t>(b)];
      EXPECT_EQ(cursor.number, of_samples.number);
      EXPECT_EQ(cursor.begin, 2 * of_samples.begin);
      EXPECT_EQ(cursor.count, 2 * of_samples.count);
    }
  }
}

TEST(LocatePairs, RejectsBadShapes) {
  const PairFixture f(3, 4, 6, 6);
  PairBuffers odd = f.buffers();
  for (Vector<int32_t>* v :
       {&odd.user_rows, &odd.item_rows, &odd.user_positions, &odd.item_positions}) {
    v->size = 11;
  }
  EXPECT_THROW(locate_pairs(odd, f.batch(0), stream()), std::invalid_argument);
  for (Vector<int32_t> PairBuffers::*part :
       {&PairBuffers::item_rows, &PairBuffers::user_positions, &PairBuffers::item_positions}) {
    PairBuffers short_one = f.buffers();
    (short_one.*part).size = 10;
    EXPECT_THROW(locate_pairs(short_one, f.batch(0), stream()), std::invalid_argument);
  }
}

TEST(EnumeratePairs, GoesThroughListsOrAllItems) {
  const std::vector<int32_t> lists = {5, -1, 7, 0, 1, 2, 9, 9, 9};
  const Guarded<int32_t> listed(lists), users(4), items(4);
  enumerate_pairs(users.view(), items.view(), {10, 3, listed.const_view()}, 2, stream());
  EXPECT_EQ(users.host(), (std::vector<int32_t>{10, 11, 11, 11}));
  EXPECT_EQ(items.host(), (std::vector<int32_t>{7, 0, 1, 2}));
  enumerate_pairs(users.view(), items.view(), {0, 3}, 2, stream());
  EXPECT_EQ(users.host(), (std::vector<int32_t>{0, 1, 1, 1}));
  EXPECT_EQ(items.host(), (std::vector<int32_t>{2, 0, 1, 2}));
  EXPECT_THROW(
      enumerate_pairs(users.view(), items.view(), {0, 3, listed.const_view()}, 6, stream()),
      std::invalid_argument);
  EXPECT_THROW(enumerate_pairs(users.view(), items.view().slice(0, 3), {0, 3, listed.const_view()},
                               0, stream()),
               std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::neumf_pairs_test
