#include "kernels/platform/gemm.h"

#include "bench/kernels/large.h"
#include "bench/kernels/support.h"

namespace derrd::bench::gemm_bench {
namespace {

/// The plain product itself, of which %gemm is a part: range(0) m, range(1) k, range(2) n, with the
/// second matrix by rows of outputs, as scores and layers have it.
void plain(benchmark::State& state) {
  const int64_t m = state.range(0), k = state.range(1), n = state.range(2);
  const DeviceArray<float> a = random_array(m * k, 1);
  const DeviceArray<float> b = random_array(n * k, 2);
  const DeviceArray<float> c(m * n);
  measure(state,
          {.bytes = static_cast<double>(a.bytes() + b.bytes() + c.bytes()),
           .flops = 2.0 * static_cast<double>(m * n * k)},
          [&] { gemm(c.matrix(m, n), a.matrix(m, k), transpose(b.matrix(n, k)), {}, stream()); });
}

/// range(0) rows in kGroups groups, the number of experts; range(1) k, range(2) n.
struct Groups {
  static constexpr int64_t kGroups = 30;

  explicit Groups(const benchmark::State& state)
      : rows(state.range(0)),
        k(state.range(1)),
        n(state.range(2)),
        a(random_array(rows * k, 1)),
        b(random_array(kGroups * k * n, 2)),
        c(random_array(rows * n, 3)) {
    std::vector<int32_t> starts;
    for (int64_t g = 0; g <= kGroups; ++g) {
      starts.push_back(static_cast<int32_t>(g * rows / kGroups));
    }
    offsets = to_device(starts);
  }
  double flops() const { return 2.0 * static_cast<double>(rows * k * n); }

  int64_t rows, k, n;
  DeviceArray<float> a, b, c;
  DeviceArray<int32_t> offsets;
};

void grouped(benchmark::State& state) {
  const Groups& g = kept_data<Groups, 3>(state);
  const Matrix<float> c = g.c.matrix(g.rows, g.n);
  const Matrix<const float> a = g.a.matrix(g.rows, g.k);
  const double rate = gemm_rate(c, a, g.b.matrix(g.k, g.n));
  measure(state, {.flops = g.flops(), .gemm_rate = rate}, [&] {
    grouped_gemm(GroupedProduct{c, a, g.b.matrix(Groups::kGroups * g.k, g.n), g.offsets.view()},
                 stream());
  });
}

void grouped_accumulate(benchmark::State& state) {
  const Groups& g = kept_data<Groups, 3>(state);
  const Matrix<const float> a = g.a.matrix(g.rows, g.k);
  const Matrix<const float> c = g.c.matrix(g.rows, g.n);
  const double rate = gemm_rate(g.b.matrix(g.k, g.n), transpose(a), c);
  measure(state, {.flops = g.flops(), .gemm_rate = rate}, [&] {
    grouped_gemm_accumulate(
        GroupedProduct{g.b.matrix(Groups::kGroups * g.k, g.n), a, c, g.offsets.view()}, stream());
  });
}

[[maybe_unused]] const bool large =
    add_large({"m", "k", "n"}, {{1'024, 64, 100'000}, {1'024, 128, 100'000}, {1'000'000, 128, 64}},
              [](const Arguments& shape) {
                return 4 * (shape[0] * shape[1] + shape[1] * shape[2] + shape[0] * shape[2]);
              },
              {{"gemm", plain}});
// The two layers of a mixture of experts.
[[maybe_unused]] const bool large_groups =
    add_large({"rows", "k", "n"}, {{1'000'000, 20, 110}, {1'000'000, 110, 200}},
              [](const Arguments& shape) { return 4 * shape[0] * (shape[1] + shape[2]); },
              {{"grouped_gemm", grouped}, {"grouped_gemm_accumulate", grouped_accumulate}});

}  // namespace
}  // namespace derrd::bench::gemm_bench
