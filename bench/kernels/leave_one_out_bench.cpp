#include "bench/kernels/support.h"
#include "kernels/leave_one_out.h"

namespace derrd::bench {
namespace {

constexpr int64_t kCandidates = 499;

void leave_one_out_benchmark(benchmark::State& state) {
  const int64_t users = state.range(0);
  const int64_t items = state.range(1);
  const int64_t dims = state.range(2);
  const DeviceArray<float> user_embedding = normal_array(users * dims, 1);
  const DeviceArray<float> item_embedding = normal_array(items * dims, 2);
  const DeviceArray<int32_t> valid_item = index_array(users, items, 3);
  const DeviceArray<int32_t> test_item = index_array(users, items, 4);
  const DeviceArray<int32_t> candidates = index_array(users * kCandidates, items, 5);
  const DeviceArray<int32_t> valid_rank(users), test_rank(users);
  const double scored = static_cast<double>(users * (kCandidates + 2));
  const double width = static_cast<double>(dims);
  const double once = static_cast<double>(users) * (4 * width + 8);
  measure(state, {scored * (4 * width + 4) + once, scored * 2 * width}, [&] {
    leave_one_out_ranks(valid_rank.view(), test_rank.view(), user_embedding.matrix(users, dims),
                        item_embedding.matrix(items, dims), valid_item.view(), test_item.view(),
                        candidates.matrix(users, kCandidates), stream());
  });
}
BENCHMARK(leave_one_out_benchmark)
    ->Name("leave_one_out_ranks/citeulike")
    ->Args({5219, 25181, 20})
    ->Args({5219, 25181, 200})
    ->Apply(wall_clock);
BENCHMARK(leave_one_out_benchmark)
    ->Name("leave_one_out_ranks/large")
    ->Args({20'000, 1'000'000, 200})
    ->Apply(wall_clock);

}  // namespace
}  // namespace derrd::bench
