#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/models/neumf_pairs.h"
#include "tests/cases/batch_rows.h"
#include "tests/kernels/support.h"

namespace derrd::test {

/// An epoch of samples (user, positive, negative), its segments, and room for a batch's pairs.
struct PairFixture {
  PairFixture(int64_t table_users, int64_t table_items, int64_t samples, int64_t samples_of_batch)
      : num_users(table_users),
        num_items(table_items),
        users(random_below(samples, static_cast<int32_t>(num_users), 31)),
        positives(random_below(samples, static_cast<int32_t>(num_items), 32)),
        negatives(random_below(samples, static_cast<int32_t>(num_items), 33)),
        batch_size(samples_of_batch),
        cursors(cases::sample_cursors(samples, samples_of_batch)),
        device_cursors(cursors),
        user_rows(users, batch_size),
        positive_rows(positives, batch_size),
        negative_rows(negatives, batch_size),
        numbers{Guarded<int32_t>(2 * batch_size), Guarded<int32_t>(2 * batch_size),
                Guarded<int32_t>(2 * batch_size), Guarded<int32_t>(2 * batch_size)},
        pair_cursor(1) {}

  PairBatch batch(int64_t number) const {
    return {device_cursors.data() + number, user_rows.view(number), positive_rows.view(number),
            negative_rows.view(number)};
  }
  PairBuffers buffers() const {
    return {numbers[0].view(), numbers[1].view(), numbers[2].view(), numbers[3].view(),
            pair_cursor.data()};
  }
  /// Finds the pairs of a batch on the device, without vectors.
  PairBuffers locate(int64_t number) const {
    const int64_t items = positive_rows.capacity + negative_rows.capacity;
    locate_pairs(buffers(),
                 {.users = {nullptr, user_rows.capacity, 0},
                  .items = {nullptr, items, 0},
                  .user_table = {nullptr, num_users, 0},
                  .item_table = {nullptr, num_items, 0}},
                 batch(number), stream());
    return buffers();
  }
  int64_t batches() const { return static_cast<int64_t>(cursors.size()); }
  int64_t pairs() const { return 2 * batch_size; }
  int64_t active(int64_t number) const { return 2 * cursors[static_cast<size_t>(number)].count; }
  /// User and item of pair p of a batch.
  int32_t user(int64_t number, int64_t p) const { return users[sample(number, p)]; }
  int32_t item(int64_t number, int64_t p) const {
    return p % 2 == 0 ? positives[sample(number, p)] : negatives[sample(number, p)];
  }

  int64_t num_users, num_items;
  std::vector<int32_t> users, positives, negatives;
  int64_t batch_size;
  std::vector<BatchCursor> cursors;
  Guarded<BatchCursor> device_cursors;
  cases::BatchRows user_rows, positive_rows, negative_rows;
  Guarded<int32_t> numbers[4];
  Guarded<BatchCursor> pair_cursor;

 private:
  size_t sample(int64_t number, int64_t p) const {
    return static_cast<size_t>(cursors[static_cast<size_t>(number)].begin + p / 2);
  }
};

/// The batch's distinct rows of a column, ascending.
inline std::vector<int32_t> distinct_rows(const cases::BatchRows& segments, int64_t number) {
  const BatchCursor& c = segments.batches[static_cast<size_t>(number)];
  return {segments.rows.begin() + c.begin, segments.rows.begin() + c.begin + c.count};
}

/// Numbers of samples and of a batch's: edge sizes, in batches of which the last is partial.
inline std::vector<std::pair<int64_t, int64_t>> pair_sizes() {
  std::vector<std::pair<int64_t, int64_t>> sizes;
  for (const int64_t samples : kEdgeSizes) {
    sizes.emplace_back(samples, samples == 0 ? 1 : (samples + 2) * 2 / 3);
  }
  return sizes;
}

}  // namespace derrd::test
