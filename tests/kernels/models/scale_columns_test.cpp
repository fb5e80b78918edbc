#include "kernels/models/scale_columns.h"

#include <numeric>
#include <stdexcept>

#include "tests/cases/batch_rows.h"
#include "tests/finite_differences.h"
#include "tests/kernels/support.h"

namespace derrd::test::scale_columns_test {
namespace {

struct Case {
  Case(int64_t table_rows, int64_t table_cols, const std::vector<int32_t>& of_batch)
      : rows(table_rows),
        cols(table_cols),
        batch(of_batch),
        x(random_normal(rows * cols, 1)),
        w(random_normal(cols, 2)),
        grad(random_normal(rows * cols, 3)),
        segments(batch),
        cursor({BatchCursor{0, 0, static_cast<int32_t>(segments.rows.size())}}) {}

  void expect_as_oracle() const {
    const Guarded<float> in(x), scale(w), out(rows * cols), grad_out(grad);
    scale_columns_forward(out.matrix(rows, cols), {in.matrix(rows, cols), scale.const_view()},
                          stream());
    const Guarded<float> grad_in(std::vector<float>(x.size(), 1.0f));
    const Guarded<float> grad_scale(std::vector<float>(w.size(), 2.0f));
    RowSegments view = segments.view(0);
    view.batch = cursor.data();
    view.capacity = static_cast<int64_t>(batch.size()) + 1;
    const int64_t parts = scale_columns_parts(view.capacity);
    const Guarded<float> partials(parts * cols);
    scale_columns_backward(
        {grad_in.matrix(rows, cols), grad_scale.view(), partials.matrix(parts, cols)},
        grad_out.matrix(rows, cols), {in.matrix(rows, cols), scale.const_view()}, view, stream());
    std::vector<double> y(x.size()), expected_in(x.size(), 1.0), expected_scale(w.size(), 2.0);
    for (size_t i = 0; i < x.size(); ++i) {
      y[i] = static_cast<double>(x[i]) * w[i % w.size()];
    }
    for (const int32_t row : segments.rows) {
      for (size_t k = 0; k < w.size(); ++k) {
        const size_t i = static_cast<size_t>(row) * w.size() + k;
        expected_in[i] += static_cast<double>(grad[i]) * w[k];
        expected_scale[k] += static_cast<double>(grad[i]) * x[i];
      }
    }
    EXPECT_TRUE(close(out.host(), y, 0, 6e-8));
    EXPECT_TRUE(close(grad_in.host(), expected_in, 1e-6, 1e-6));
    // Up to 257 products of size 1: 257 roundings of partial sums below 60.
    EXPECT_TRUE(close(grad_scale.host(), expected_scale, 257 * 60 * 6e-8, 0));
  }

  int64_t rows, cols;
  std::vector<int32_t> batch;
  std::vector<float> x, w, grad;
  cases::BatchRows segments;
  Guarded<BatchCursor> cursor;
};

TEST(ScaleColumns, MatchesOracle) {
  for (const int64_t cols : kEdgeSizes) Case(9, cols, {7, 0, 3, 3}).expect_as_oracle();
  for (const int64_t count : kEdgeSizes) {
    std::vector<int32_t> batch(static_cast<size_t>(count));
    std::iota(batch.begin(), batch.end(), 5);
    Case(300, 20, batch).expect_as_oracle();
  }
}

// y is linear in x and in w: a difference quotient of any step is its derivative.
TEST(ScaleColumns, MatchesFiniteDifferences) {
  const Case c(4, 3, {0, 1, 2, 3});
  const Guarded<float> in(c.x), scale(c.w), grad_out(c.grad);
  const Guarded<float> grad_in(std::vector<float>(12)), grad_scale(std::vector<float>(3));
  const Guarded<float> partials(3);
  scale_columns_backward({grad_in.matrix(4, 3), grad_scale.view(), partials.matrix(1, 3)},
                         grad_out.matrix(4, 3), {in.matrix(4, 3), scale.const_view()},
                         c.segments.view(0), stream());
  std::vector<double> x = to_double(c.x), w = to_double(c.w);
  const auto loss = [&] {
    double sum = 0;
    for (size_t i = 0; i < x.size(); ++i) sum += c.grad[i] * x[i] * w[i % 3];
    return sum;
  };
  EXPECT_TRUE(close(grad_in.host(), finite_differences(x, loss, 0.5), 1e-6, 1e-6));
  EXPECT_TRUE(close(grad_scale.host(), finite_differences(w, loss, 0.5), 2e-6, 1e-6));
}

TEST(ScaleColumns, RejectsBadShapes) {
  const Case c(4, 3, {0, 2});
  const Guarded<float> memory(100);
  const auto forward = [&](int64_t out, int64_t scale) {
    scale_columns_forward(memory.matrix(out, 3),
                          {memory.matrix(4, 3), memory.view().slice(0, scale)}, stream());
  };
  EXPECT_THROW(forward(3, 3), std::invalid_argument);
  EXPECT_THROW(forward(4, 4), std::invalid_argument);
  const auto backward = [&](int64_t in, int64_t out, int64_t scale, int64_t grad_scale,
                            int64_t parts) {
    scale_columns_backward(
        {memory.matrix(in, 3), memory.view().slice(0, grad_scale), memory.matrix(parts, 3)},
        memory.matrix(out, 3), {memory.matrix(4, 3), memory.view().slice(0, scale)},
        c.segments.view(0), stream());
  };
  EXPECT_THROW(backward(3, 4, 3, 3, 1), std::invalid_argument);
  EXPECT_THROW(backward(4, 3, 3, 3, 1), std::invalid_argument);
  EXPECT_THROW(backward(4, 4, 2, 3, 1), std::invalid_argument);
  EXPECT_THROW(backward(4, 4, 3, 4, 1), std::invalid_argument);
  EXPECT_THROW(backward(4, 4, 3, 3, 2), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::scale_columns_test
