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

TEST(LocatePairs, CopiesVectorsToTheirPositions) {
  for (const auto& [samples, batch_size] : pair_sizes()) {
    const PairFixture f(7, 11, samples, batch_size);
    const int64_t users = f.user_rows.capacity, positives = f.positive_rows.capacity;
    const int64_t items = positives + f.negative_rows.capacity;
    for (const int64_t cols : {1, 32, 33, 36}) {
      const std::vector<float> user = random_normal(7 * cols, 1),
                               item = random_normal(11 * cols, 2);
      const Guarded<float> user_table(user), item_table(item);
      const Guarded<float> user_vectors(users * cols), item_vectors(items * cols);
      for (int64_t b = 0; b < f.batches(); ++b) {
        locate_pairs(f.buffers(),
                     {.users = user_vectors.matrix(users, cols),
                      .items = item_vectors.matrix(items, cols),
                      .user_table = user_table.matrix(7, cols),
                      .item_table = item_table.matrix(11, cols)},
                     f.batch(b), stream());
        const auto at_positions = [&](int64_t rows, const std::vector<float>& table,
                                      const cases::BatchRows& segments, int64_t first,
                                      std::vector<float> vectors) {
          vectors.resize(static_cast<size_t>(rows * cols));
          for (const int32_t row : distinct_rows(segments, b)) {
            std::copy_n(table.begin() + row * cols, cols, vectors.begin() + first++ * cols);
          }
          return vectors;
        };
        EXPECT_EQ(user_vectors.host(), at_positions(users, user, f.user_rows, 0, {}));
        EXPECT_EQ(item_vectors.host(),
                  at_positions(items, item, f.negative_rows, positives,
                               at_positions(items, item, f.positive_rows, 0, {})));
      }
    }
  }
}

TEST(LocatePairs, RejectsBadShapes) {
  const PairFixture f(3, 4, 6, 6);
  const Guarded<float> memory(100);
  const int64_t items = f.positive_rows.capacity + f.negative_rows.capacity;
  const PositionVectors good = {memory.matrix(f.user_rows.capacity, 2), memory.matrix(items, 2),
                                memory.matrix(3, 2), memory.matrix(4, 2)};
  const auto with = [&](Matrix<float> PositionVectors::*part, int64_t rows, int64_t cols) {
    PositionVectors vectors = good;
    vectors.*part = memory.matrix(rows, cols);
    locate_pairs(f.buffers(), vectors, f.batch(0), stream());
  };
  EXPECT_THROW(with(&PositionVectors::users, f.user_rows.capacity + 1, 2), std::invalid_argument);
  EXPECT_THROW(with(&PositionVectors::users, f.user_rows.capacity, 3), std::invalid_argument);
  EXPECT_THROW(with(&PositionVectors::items, items - 1, 2), std::invalid_argument);
  PositionVectors narrow = good;
  narrow.item_table = memory.matrix(4, 1);
  EXPECT_THROW(locate_pairs(f.buffers(), narrow, f.batch(0), stream()), std::invalid_argument);
  PairBuffers odd = f.buffers();
  for (Vector<int32_t>* v :
       {&odd.user_rows, &odd.item_rows, &odd.user_positions, &odd.item_positions}) {
    v->size = 11;
  }
  EXPECT_THROW(locate_pairs(odd, good, f.batch(0), stream()), std::invalid_argument);
  for (Vector<int32_t> PairBuffers::*part :
       {&PairBuffers::item_rows, &PairBuffers::user_positions, &PairBuffers::item_positions}) {
    PairBuffers short_one = f.buffers();
    (short_one.*part).size = 10;
    EXPECT_THROW(locate_pairs(short_one, good, f.batch(0), stream()), std::invalid_argument);
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
