#include "kernels/models/columns.h"

#include "tests/kernels/support.h"

namespace derrd::test::columns_test {
namespace {

struct Shape {
  int64_t rows, width, first, cols;
};
const Shape kShapes[] = {{0, 4, 1, 2},   {1, 1, 0, 1},      {33, 32, 0, 32}, {31, 33, 32, 1},
                         {5, 40, 7, 33}, {257, 50, 25, 25}, {3, 8, 8, 0}};

TEST(Columns, CopyTakesTheColumnsOfEveryRow) {
  for (const auto& [rows, width, first, cols] : kShapes) {
    SCOPED_TRACE(testing::Message() << rows << " x " << width << ", " << cols << " from " << first);
    const std::vector<float> in = random_normal(rows * width, 1);
    const Guarded<float> device_in(in), out(rows * cols);
    copy_columns(out.matrix(rows, cols), device_in.matrix(rows, width), first, stream());
    std::vector<float> expected;
    for (int64_t r = 0; r < rows; ++r) {
      const auto row = in.begin() + r * width + first;
      expected.insert(expected.end(), row, row + cols);
    }
    EXPECT_EQ(out.host(), expected);
  }
}

TEST(Columns, AddReachesTheActiveRowsColumnsAlone) {
  for (const auto& [rows, width, first, cols] : kShapes) {
    for (const bool all : {true, false}) {
      SCOPED_TRACE(testing::Message()
                   << rows << " x " << width << ", " << cols << " from " << first);
      const int64_t active = all ? rows : rows / 2;
      const Guarded<int32_t> active_rows({static_cast<int32_t>(active)});
      const std::vector<float> start = random_normal(rows * width, 2);
      const std::vector<float> grad = random_normal(rows * cols, 3);
      const Guarded<float> grad_in(start), grad_out(grad);
      add_columns(grad_in.matrix(rows, width), grad_out.matrix(rows, cols), first,
                  all ? nullptr : active_rows.data(), stream());
      std::vector<float> expected = start;
      for (int64_t r = 0; r < active; ++r) {
        for (int64_t c = 0; c < cols; ++c) {
          expected[static_cast<size_t>(r * width + first + c)] +=
              grad[static_cast<size_t>(r * cols + c)];
        }
      }
      EXPECT_EQ(grad_in.host(), expected);
    }
  }
}

TEST(Columns, RejectsBadShapes) {
  const Guarded<float> memory(100), other(100);
  const auto matrix = [&](int64_t rows, int64_t cols) { return memory.matrix(rows, cols); };
  EXPECT_NO_THROW(copy_columns(matrix(3, 4), other.matrix(3, 6), 2, stream()));
  EXPECT_THROW(copy_columns(matrix(3, 4), matrix(3, 6), 3, stream()), std::invalid_argument);
  EXPECT_THROW(copy_columns(matrix(3, 4), matrix(3, 6), -1, stream()), std::invalid_argument);
  EXPECT_THROW(copy_columns(matrix(2, 4), matrix(3, 6), 0, stream()), std::invalid_argument);
  EXPECT_THROW(add_columns(matrix(3, 6), matrix(3, 4), 3, nullptr, stream()),
               std::invalid_argument);
  EXPECT_THROW(add_columns(matrix(2, 6), matrix(3, 4), 0, nullptr, stream()),
               std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::columns_test
