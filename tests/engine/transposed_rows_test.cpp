#include "engine/transposed_rows.h"

#include "tests/kernels/epoch/sampling_support.h"
#include "tests/to_host.h"

namespace derrd::test::transposed_rows_test {
namespace {

std::vector<std::vector<int32_t>> transposed(const std::vector<std::vector<int32_t>>& rows,
                                             int64_t items) {
  const HostRows device(rows);
  const TransposedRows turned(device.view(), items, stream());
  const SparseRows view = turned.view();
  const std::vector<int64_t> offsets = to_host(view.offsets);
  const std::vector<int32_t> users = to_host(view.items);
  std::vector<std::vector<int32_t>> result;
  for (size_t i = 0; i + 1 < offsets.size(); ++i) {
    result.emplace_back(users.begin() + offsets[i], users.begin() + offsets[i + 1]);
  }
  return result;
}

TEST(TransposedRows, ListEveryItemsUsersAscending) {
  EXPECT_EQ(transposed({{1, 3}, {}, {0, 1, 4}, {3}}, 6),
            (std::vector<std::vector<int32_t>>{{2}, {0, 2}, {}, {0, 3}, {2}, {}}));
}

TEST(TransposedRows, AcceptsEmptyInput) {
  EXPECT_EQ(transposed({}, 2), (std::vector<std::vector<int32_t>>(2)));
  EXPECT_EQ(transposed({{}, {}}, 0), (std::vector<std::vector<int32_t>>{}));
}

}  // namespace
}  // namespace derrd::test::transposed_rows_test
