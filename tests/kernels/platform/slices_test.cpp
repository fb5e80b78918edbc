#include "kernels/platform/slices.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "tests/kernels/support.h"

namespace derrd::test::slices_test {
namespace {

TEST(Slices, CoverEveryNumberOnce) {
  for (const int64_t total : {0, 1, 2, 3, 7, 100}) {
    const Slices slices(total, 3);
    std::vector<std::atomic<int>> visits(static_cast<size_t>(total));
    for_each_slice(slices, [&](int64_t i) {
      const Slice slice = slices[i];
      EXPECT_GT(slice.size, 0);
      for (int64_t k = 0; k < slice.size; ++k) ++visits[static_cast<size_t>(slice.begin + k)];
    });
    for (const auto& count : visits) EXPECT_EQ(count, 1) << "of " << total;
  }
}

TEST(Slices, ShareTheLivePartEvenly) {
  for (const int32_t active : {0, 1, 5, 9, 10, 99}) {
    const Guarded<int32_t> count{active};
    const Slices slices(10, 4, count.data());
    int64_t next = 0;
    int64_t smallest = 10;
    int64_t largest = 0;
    for (int64_t i = 0; i < slices.count(); ++i) {
      const Slice slice = slices[i];
      EXPECT_EQ(slice.begin, next);
      next += slice.size;
      const int64_t held = std::clamp<int64_t>(active - slice.begin, 0, slice.size);
      smallest = std::min(smallest, held);
      largest = std::max(largest, held);
    }
    EXPECT_EQ(next, 10) << "of 10, with " << active << " active";
    if (slices.count() > 1) {
      EXPECT_LE(largest, 4);
      EXPECT_LE(largest - smallest, 1);
    }
  }
}

// Its data is in the cache of that thread. Of three slices one is alone in the end, while other
// threads look for work.
TEST(Slices, WhatASliceStartsStaysOnItsThread) {
  const Slices outer(3, 1);
  const Slices inner(16, 1);
  for_each_slice(outer, [&](int64_t) {
    const std::thread::id own = std::this_thread::get_id();
    for_each_slice(inner, [&](int64_t) {
      std::this_thread::sleep_for(std::chrono::microseconds(300));
      EXPECT_EQ(std::this_thread::get_id(), own);
    });
  });
}

}  // namespace
}  // namespace derrd::test::slices_test
