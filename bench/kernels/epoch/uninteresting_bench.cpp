#include "kernels/epoch/uninteresting.h"

#include "bench/kernels/epoch/ranking_lists.h"
#include "bench/kernels/large.h"
#include "bench/kernels/support.h"

namespace derrd::bench::uninteresting_bench {
namespace {

constexpr int64_t kListLength = 500;
constexpr int64_t kObserved = 22;

/// range(0) users with lists of kListLength of range(1) items.
struct Lists {
  explicit Lists(const benchmark::State& state)
      : users(state.range(0)),
        items(state.range(1)),
        lists(index_array(users * kListLength, items, 1)) {}
  Matrix<const int32_t> view() const { return lists.matrix(users, kListLength); }

  int64_t users, items;
  DeviceArray<int32_t> lists;
};

void lengths(benchmark::State& state) {
  const Lists& lists = kept_data<Lists, 2>(state);
  const DeviceArray<int32_t> lengths_of(lists.users);
  measure(state, {.bytes = static_cast<double>(lists.users * (4 * kListLength + 4))},
          [&] { list_lengths(lengths_of.view(), lists.view(), stream()); });
}

// Keys of the items that are left out of the uninteresting ones, up to the sort.
void exclusion(benchmark::State& state) {
  const Lists& lists = kept_data<Lists, 2>(state);
  const int64_t n = lists.users * (kListLength + kObserved);
  const DeviceArray<int32_t> observed = index_array(lists.users * kObserved, lists.items, 3);
  const DeviceArray<int64_t> observed_offsets = to_device(even_offsets(lists.users, kObserved));
  const SparseRows rows = {observed_offsets.view(), observed.view()};
  const DeviceArray<int32_t> list_lengths =
      to_device(std::vector<int32_t>(static_cast<size_t>(lists.users), kListLength));
  const DeviceArray<int64_t> offsets(lists.users + 1);
  const DeviceArray<uint8_t> scratch(exclusive_sum_scratch_bytes(offsets.size()));
  const cases::SortArrays<DeviceArray> pairs(n);
  // An item read, a key and a value written; a handful of numbers a user.
  measure(state, {.bytes = 16.0 * static_cast<double>(n)}, [&] {
    exclusion_sizes(offsets.view(), rows, list_lengths.view(), stream());
    exclusive_sum(offsets.view(), Vector<const int64_t>(offsets.view()), scratch.view(), stream());
    exclusion_keys(pairs.unsorted(), offsets.view(), rows, lists.view(), list_lengths.view(),
                   stream());
  });
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  wall_clock(benchmark);
  benchmark->ArgNames({"U", "I"});
  benchmark->Args({5'219, 25'181});
}
BENCHMARK(lengths)->Name("list_lengths")->Apply(shapes);
BENCHMARK(exclusion)->Name("exclusion_keys")->Apply(shapes);

[[maybe_unused]] const bool large =
    add_large({"U", "I"}, {{100'000, 1'000'000}},
              [](const Arguments& shape) { return shape[0] * (44 * kListLength + 44 * kObserved); },
              {{"list_lengths", lengths}, {"exclusion_keys", exclusion}});

}  // namespace
}  // namespace derrd::bench::uninteresting_bench
