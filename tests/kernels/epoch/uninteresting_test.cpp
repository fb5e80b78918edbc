#include "kernels/epoch/uninteresting.h"

#include <stdexcept>
#include <vector>

#include "tests/cases/sort_arrays.h"
#include "tests/kernels/epoch/sampling_support.h"
#include "tests/kernels/support.h"

namespace derrd::test::uninteresting_test {
namespace {

TEST(ListLengths, CountTheItemsBeforeThePadding) {
  const Guarded<int32_t> lists({5, 3, 8, 4, -1, -1, -1, -1, -1});
  const Guarded<int32_t> lengths(3);
  list_lengths(lengths.view(), lists.matrix(3, 3), stream());
  EXPECT_EQ(lengths.host(), (std::vector<int32_t>{3, 1, 0}));
  EXPECT_THROW(list_lengths(lengths.view(), lists.matrix(2, 3), stream()), std::invalid_argument);
}

/// Excluded rows of three users whose lists are cut at `lengths`.
std::vector<std::vector<int32_t>> excluded_rows(const std::vector<int32_t>& lengths) {
  const HostRows observed({{2, 9}, {}, {0, 1, 40}});
  const Guarded<int32_t> lists({7, 3, 8, 30, 20, 10, 41, 5, -1});
  const Guarded<int32_t> device_lengths(lengths);
  const Guarded<int64_t> offsets(4);
  const DeviceArray<uint8_t> sum_scratch(exclusive_sum_scratch_bytes(4));
  exclusion_sizes(offsets.view(), observed.view(), device_lengths.const_view(), stream());
  exclusive_sum(offsets.view(), Vector<const int64_t>(offsets.view()), sum_scratch.view(),
                stream());
  constexpr int64_t kRoom = 14;  // all observed items and whole lists
  const cases::SortArrays<Guarded> pairs(kRoom);
  exclusion_keys(pairs.unsorted(), offsets.const_view(), observed.view(), lists.matrix(3, 3),
                 device_lengths.const_view(), stream());
  pairs.sort_segments();
  const std::vector<int64_t> bounds = offsets.host();
  const std::vector<uint32_t> sorted = pairs.values.host();
  const std::vector<uint64_t> keys = pairs.keys.host();
  for (size_t i = static_cast<size_t>(bounds[3]); i < keys.size(); ++i) {
    EXPECT_EQ(keys[i], kBehindSegments);
  }
  std::vector<std::vector<int32_t>> rows;
  for (size_t user = 0; user < 3; ++user) {
    rows.emplace_back(sorted.begin() + bounds[user], sorted.begin() + bounds[user + 1]);
  }
  return rows;
}

TEST(Exclusions, WholeLists) {
  EXPECT_EQ(excluded_rows({3, 3, 2}),
            (std::vector<std::vector<int32_t>>{{2, 3, 7, 8, 9}, {10, 20, 30}, {0, 1, 5, 40, 41}}));
}

TEST(Exclusions, Prefixes) {
  EXPECT_EQ(excluded_rows({1, 2, 0}),
            (std::vector<std::vector<int32_t>>{{2, 7, 9}, {20, 30}, {0, 1, 40}}));
  EXPECT_EQ(excluded_rows({0, 0, 0}), (std::vector<std::vector<int32_t>>{{2, 9}, {}, {0, 1, 40}}));
}

TEST(Exclusions, RejectsBadShapes) {
  const Guarded<int32_t> lists(6), lowest(2);
  const Guarded<uint64_t> keys(6);
  const Guarded<uint32_t> values(6);
  const HostRows observed({{1}, {2}});
  const Guarded<int64_t> sizes(2);
  EXPECT_THROW(exclusion_sizes(sizes.view(), observed.view(), lowest.const_view(), stream()),
               std::invalid_argument);
  EXPECT_THROW(exclusion_keys({keys.view(), values.view()}, sizes.const_view(), observed.view(),
                              lists.matrix(2, 3), lowest.const_view(), stream()),
               std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::uninteresting_test
