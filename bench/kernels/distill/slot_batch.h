#pragma once

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

#include "bench/kernels/epoch/ranking_lists.h"
#include "bench/kernels/support.h"
#include "tests/cases/slots.h"

namespace derrd::bench {

/// Scores of the slots of `anchors` anchors, all of them in the batch, and what a loss writes.
inline cases::ScoredSlots<DeviceArray> scored_batch(int64_t anchors, int64_t slots) {
  return {{anchors, slots, index_array(anchors * slots, 25'000, 1).to_host(stream()),
           cases::ascending(anchors), 0},
          random_array(anchors * slots, 2)};
}

/// One batch of RRD: range(2) distinct users of range(0), with range(3) slots that hold popular
/// ones of range(1) items and range(3) slots that hold uniform ones.
inline cases::SlotsCase ranking_slots(const benchmark::State& state) {
  const int64_t users = state.range(0), items = state.range(1), k = state.range(3);
  const int64_t slots = 2 * k;
  const std::vector<int32_t> interesting = popular_rows(users, k, items, 3);
  std::mt19937_64 generator(4);
  std::uniform_int_distribution<int32_t> uniform(0, static_cast<int32_t>(items - 1));
  std::vector<int32_t> samples(static_cast<size_t>(users * slots));
  for (int64_t i = 0; i < users * slots; ++i) {
    const int64_t slot = i % slots;
    samples[static_cast<size_t>(i)] =
        slot < k ? interesting[static_cast<size_t>(i / slots * k + slot)] : uniform(generator);
  }
  std::vector<int32_t> batch = cases::ascending(users);
  std::shuffle(batch.begin(), batch.end(), generator);
  batch.resize(static_cast<size_t>(state.range(2)));
  return {users, slots, std::move(samples), batch, 0};
}

}  // namespace derrd::bench
