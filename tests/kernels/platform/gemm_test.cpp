#include "kernels/platform/gemm.h"

#include <stdexcept>

#include "tests/kernels/support.h"

namespace derrd::test::gemm_test {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// Sums of up to 300 products of normal numbers (size about 17), errors of random sign.
constexpr double kTolerance = 5e-5;

std::vector<double> product(const std::vector<float>& a, bool transpose_a,
                            const std::vector<float>& b, bool transpose_b, int64_t m, int64_t n,
                            int64_t k) {
  std::vector<double> c;
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (int64_t l = 0; l < k; ++l) {
        sum += static_cast<double>(a[transpose_a ? l * m + i : i * k + l]) *
               b[transpose_b ? j * k + l : l * n + j];
      }
      c.push_back(sum);
    }
  }
  return c;
}

TEST(Gemm, MatchesOracle) {
  for (const auto [m, n, k] : {std::array<int64_t, 3>{1, 1, 1},
                               {31, 33, 32},
                               {257, 5, 20},
                               {5, 300, 7},
                               {3, 4, 0},
                               {33, 31, 257}}) {
    const std::vector<float> a = random_normal(m * k, 1);
    const std::vector<float> b = random_normal(k * n, 2);
    const std::vector<float> before = random_normal(m * n, 3);
    const Guarded<float> device_a(a);
    const Guarded<float> device_b(b);
    for (const bool ta : {false, true}) {
      for (const bool tb : {false, true}) {
        for (const float beta : {0.0f, 1.0f}) {
          const Guarded<float> c(beta == 0 ? std::vector<float>(before.size(), kNaN) : before);
          gemm(c.matrix(m, n), {ta ? device_a.matrix(k, m) : device_a.matrix(m, k), ta},
               {tb ? device_b.matrix(n, k) : device_b.matrix(k, n), tb}, {.beta = beta}, stream());
          std::vector<double> expected = product(a, ta, b, tb, m, n, k);
          for (size_t i = 0; i < expected.size(); ++i) {
            expected[i] += beta == 0 ? 0.0 : beta * before[i];
          }
          EXPECT_TRUE(close(c.host(), expected, kTolerance, kTolerance))
              << m << " x " << n << " x " << k << " ta " << ta << " tb " << tb << " beta " << beta;
        }
      }
    }
  }
}

TEST(Gemm, AcceptsEmptyInput) {
  const Guarded<float> none(0);
  const Guarded<float> some(random_normal(6, 1));
  gemm(none.matrix(0, 3), none.matrix(0, 2), some.matrix(2, 3), {}, stream());
  gemm(none.matrix(3, 0), some.matrix(3, 2), none.matrix(2, 0), {}, stream());
}

TEST(Gemm, ActiveRowsLimitRowsOrSums) {
  constexpr int64_t kRows = 40;
  for (const int32_t active : {0, 1, 33, 40}) {
    const Guarded<int32_t> count({active});
    // Inactive rows are zero where they may be summed over.
    std::vector<float> a = random_normal(kRows * 7, 1);
    std::fill(a.begin() + active * 7, a.end(), 0.0f);
    const std::vector<float> b = random_normal(kRows * 5, 2);
    const std::vector<float> w = random_normal(7 * 5, 3);
    const Guarded<float> device_a(a);
    const Guarded<float> device_b(b);
    const Guarded<float> device_w(w);

    const Guarded<float> sums(random_normal(35, 4));
    std::vector<double> expected = product(a, true, b, false, 7, 5, kRows);
    const std::vector<float> before = sums.host();
    for (size_t i = 0; i < before.size(); ++i) expected[i] += before[i];
    gemm(sums.matrix(7, 5), transpose(device_a.matrix(kRows, 7)), device_b.matrix(kRows, 5),
         {.beta = 1.0f, .active = count.data()}, stream());
    EXPECT_TRUE(close(sums.host(), expected, kTolerance, kTolerance));

    const Guarded<float> rows(kRows * 5);
    gemm(rows.matrix(kRows, 5), device_a.matrix(kRows, 7), device_w.matrix(7, 5),
         {.active = count.data()}, stream());
    std::vector<float> active_rows = rows.host();
    active_rows.resize(static_cast<size_t>(active) * 5);
    EXPECT_TRUE(
        close(active_rows, product(a, false, w, false, active, 5, 7), kTolerance, kTolerance));

    // A slice: active rows are counted from the first row of the whole.
    constexpr int64_t kFirst = 20;
    gemm(rows.matrix(kRows, 5).slice(kFirst, kRows - kFirst),
         device_b.matrix(kRows, 5).slice(kFirst, kRows - kFirst), device_w.matrix(7, 5).slice(0, 5),
         {.active = count.data(), .first_row = kFirst}, stream());
    const std::vector<double> sliced = product(b, false, w, false, kRows, 5, 5);
    for (int64_t i = kFirst * 5; i < active * 5; ++i) {
      EXPECT_NEAR(rows.host()[static_cast<size_t>(i)], sliced[static_cast<size_t>(i)], kTolerance);
    }
  }
}

TEST(Gemm, SameBitsAtAnyNumberOfThreads) {
  const Guarded<float> a(random_normal(600 * 40, 1));
  const Guarded<float> b(random_normal(40 * 300, 2));
  expect_same_bits_at_any_number_of_threads([&] {
    const Guarded<float> c(600 * 300);
    gemm(c.matrix(600, 300), a.matrix(600, 40), b.matrix(40, 300), {}, stream());
    return c.host();
  });
}

TEST(Gemm, RejectsBadShapes) {
  const Guarded<float> x(12);
  EXPECT_THROW(gemm(x.matrix(2, 2), x.matrix(2, 3), x.matrix(2, 3), {}, stream()),
               std::invalid_argument);
}

struct Groups {
  int64_t n, k;
  std::vector<int32_t> offsets;  ///< the rows behind the last are spare
  int64_t spare;
  int64_t groups() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t rows() const { return offsets.back() + spare; }
};

/// Offsets of groups of 0 to 4 rows.
std::vector<int32_t> many_groups(int32_t groups) {
  std::vector<int32_t> offsets = {0};
  for (int32_t g = 0; g < groups; ++g) offsets.push_back(offsets.back() + g * 7 % 5);
  return offsets;
}

const std::vector<Groups>& group_cases() {
  static const std::vector<Groups> cases = {
      {5, 7, {0, 0, 0}, 3},
      {1, 1, {0, 1}, 0},
      {33, 31, {0, 1, 1, 34, 36}, 5},
      {65, 17, {0, 63, 127, 192, 192, 193}, 70},
      {3, 130, {0, 0, 200, 200}, 0},
      {4, 0, {0, 2, 3}, 1},
      // Rows of whole vectors on a GPU: the layers of an expert, and their transposes.
      {20, 110, {0, 3, 3, 50}, 2},
      {110, 20, {0, 43, 44}, 0},
      {200, 110, {0, 1, 38}, 1},
      {110, 200, {0, 38, 41}, 0},
      {8, 6, {0, 0, 9, 10, 10}, 2},
      {4, 4, many_groups(70), 1}};
  return cases;
}

TEST(GroupedGemm, MatchesOracle) {
  for (const Groups& g : group_cases()) {
    const std::vector<float> a = random_normal(g.rows() * g.k, 1);
    const std::vector<float> b = random_normal(g.groups() * g.k * g.n, 2);
    std::vector<float> start = random_normal(g.rows() * g.n, 3);
    std::vector<double> expected = to_double(start);  // the spare rows stay
    std::fill(start.begin(), start.begin() + g.offsets.back() * g.n, kNaN);
    const Guarded<float> device_a(a);
    const Guarded<float> device_b(b);
    const Guarded<int32_t> offsets(g.offsets);
    for (const bool tb : {false, true}) {
      const Guarded<float> c(start);
      for (int64_t group = 0; group < g.groups(); ++group) {
        for (int64_t p = g.offsets[group]; p < g.offsets[group + 1]; ++p) {
          for (int64_t j = 0; j < g.n; ++j) {
            double sum = 0;
            for (int64_t l = 0; l < g.k; ++l) {
              const int64_t in_group = tb ? j * g.k + l : l * g.n + j;
              sum += static_cast<double>(a[p * g.k + l]) * b[group * g.k * g.n + in_group];
            }
            expected[p * g.n + j] = sum;
          }
        }
      }
      grouped_gemm(GroupedProduct{c.matrix(g.rows(), g.n),
                                  device_a.matrix(g.rows(), g.k),
                                  {tb ? device_b.matrix(g.groups() * g.n, g.k)
                                      : device_b.matrix(g.groups() * g.k, g.n),
                                   tb},
                                  offsets.view()},
                   stream());
      EXPECT_TRUE(close(c.host(), expected, kTolerance, kTolerance))
          << "n " << g.n << " k " << g.k << " tb " << tb;
    }
  }
}

// All cases at once: groups of several sizes, numbers and shapes. The sums of the first and the
// last add to one matrix.
TEST(GroupedGemm, SeveralProductsAreIndependent) {
  struct Memory {
    Guarded<float> a, b, together, alone;
    Guarded<int32_t> offsets;
  };
  std::vector<Memory> memory;
  for (const Groups& g : group_cases()) {
    const std::vector<float> c(static_cast<size_t>(g.rows() * g.n));
    memory.push_back({Guarded<float>(random_normal(g.rows() * g.k, 1)),
                      Guarded<float>(random_normal(g.groups() * g.k * g.n, 2)), Guarded<float>(c),
                      Guarded<float>(c), Guarded<int32_t>(g.offsets)});
  }
  CallList<GroupedProduct> products;
  for (size_t i = 0; i < memory.size(); ++i) {
    const Groups& g = group_cases()[i];
    const auto product = [&](const Guarded<float>& c) {
      return GroupedProduct{c.matrix(g.rows(), g.n), memory[i].a.matrix(g.rows(), g.k),
                            memory[i].b.matrix(g.groups() * g.k, g.n), memory[i].offsets.view()};
    };
    products.add(product(memory[i].together));
    grouped_gemm(product(memory[i].alone), stream());
  }
  grouped_gemm(products, stream());
  for (const Memory& m : memory) EXPECT_EQ(m.together.host(), m.alone.host());
}

TEST(GroupedGemm, AccumulatesProductsOfOneSumInTheirOrder) {
  constexpr int64_t kRows = 70, kWidth = 33, kColumns = 65;
  const Guarded<int32_t> offsets({0, 37, 37, 70}), later({0, 1, 40, 69});
  const Guarded<float> a(random_normal(kRows * kWidth, 1)), b(random_normal(kRows * kColumns, 2));
  const std::vector<float> before = random_normal(3 * kWidth * kColumns, 3);
  const Guarded<float> together(before), one_by_one(before), other(before), other_alone(before);
  const auto product = [&](const Guarded<float>& c, const Guarded<int32_t>& groups) {
    return GroupedProduct{c.matrix(3 * kWidth, kColumns), a.matrix(kRows, kWidth),
                          b.matrix(kRows, kColumns), groups.view()};
  };
  CallList<GroupedProduct> products;
  products.add(product(other, later));
  products.add(product(together, offsets));
  products.add(product(together, later));
  grouped_gemm_accumulate(products, stream());
  grouped_gemm_accumulate(product(other_alone, later), stream());
  grouped_gemm_accumulate(product(one_by_one, offsets), stream());
  grouped_gemm_accumulate(product(one_by_one, later), stream());
  EXPECT_EQ(other.host(), other_alone.host());
  EXPECT_TRUE(close(together.host(), to_double(one_by_one.host()), kTolerance, kTolerance));
}

// Products of one matrix whose rows lie behind one another, of another matrix, and small ones.
TEST(Gemm, SeveralProductsAreIndependent) {
  constexpr int64_t kRows = 40, kWidth = 7, kColumns = 5;
  const Guarded<float> a(random_normal(3 * kRows * kWidth, 1));
  const Guarded<float> b(random_normal(2 * kWidth * kColumns, 2));
  const Guarded<float> right(random_normal(3 * kRows * kColumns, 3));
  const Guarded<float> together(3 * kRows * kColumns), alone(3 * kRows * kColumns);
  const std::vector<float> before = random_normal(2 * kWidth * kColumns, 4);
  const Guarded<float> sums(before), sums_alone(before);
  CallList<Product> products, gradients;
  for (int64_t i = 0; i < 3; ++i) {
    const auto rows = [&](const auto& array, int64_t cols) {
      return array.matrix(3 * kRows, cols).slice(i * kRows, kRows);
    };
    const auto factor = [&](const auto& array) {
      return array.matrix(2 * kWidth, kColumns).slice(i == 0 ? 0 : kWidth, kWidth);
    };
    products.add({rows(together, kColumns), rows(a, kWidth), factor(b)});
    gemm(rows(alone, kColumns), rows(a, kWidth), factor(b), {}, stream());
    gradients.add(
        {factor(sums), transpose(rows(a, kWidth)), rows(right, kColumns), {.beta = 1.0f}});
    gemm(factor(sums_alone), transpose(rows(a, kWidth)), rows(right, kColumns), {.beta = 1.0f},
         stream());
  }
  gemm(products, stream());
  gemm(gradients, stream());
  EXPECT_TRUE(close(together.host(), to_double(alone.host()), kTolerance, kTolerance));
  EXPECT_TRUE(close(sums.host(), to_double(sums_alone.host()), kTolerance, kTolerance));
}

TEST(GroupedGemm, AccumulatesGradientsOfTheMatrices) {
  for (const Groups& g : group_cases()) {
    const std::vector<float> a = random_normal(g.rows() * g.k, 1);
    const std::vector<float> b = random_normal(g.rows() * g.n, 2);
    const std::vector<float> before = random_normal(g.groups() * g.k * g.n, 3);
    const Guarded<float> device_a(a);
    const Guarded<float> device_b(b);
    const Guarded<int32_t> offsets(g.offsets);
    const Guarded<float> c(before);
    std::vector<double> expected = to_double(before);
    for (int64_t group = 0; group < g.groups(); ++group) {
      for (int64_t p = g.offsets[group]; p < g.offsets[group + 1]; ++p) {
        for (int64_t l = 0; l < g.k; ++l) {
          for (int64_t j = 0; j < g.n; ++j) {
            expected[(group * g.k + l) * g.n + j] +=
                static_cast<double>(a[p * g.k + l]) * b[p * g.n + j];
          }
        }
      }
    }
    grouped_gemm_accumulate(
        GroupedProduct{c.matrix(g.groups() * g.k, g.n), device_a.matrix(g.rows(), g.k),
                       device_b.matrix(g.rows(), g.n), offsets.view()},
        stream());
    EXPECT_TRUE(close(c.host(), expected, kTolerance, kTolerance)) << "n " << g.n << " k " << g.k;
  }
}

TEST(GroupedGemm, RejectsBadShapes) {
  const Guarded<float> x(64);
  const Guarded<int32_t> offsets({0, 1, 2});
  const GroupedProduct product = {x.matrix(2, 3), x.matrix(2, 4), transpose(x.matrix(8, 3)),
                                  offsets.view()};
  EXPECT_THROW(grouped_gemm(product, stream()), std::invalid_argument);
  const GroupedProduct sums = {x.matrix(7, 3), x.matrix(2, 4), x.matrix(2, 3), offsets.view()};
  EXPECT_THROW(grouped_gemm_accumulate(sums, stream()), std::invalid_argument);
}

TEST(GroupedGemm, RejectsMoreElementsThan32BitsNumber) {
  constexpr int64_t kRows = int64_t{1} << 26, kCols = 32;
  const Guarded<float> x(1);  // no element is read
  const GroupedProduct product = {
      x.matrix(kRows, kCols), x.matrix(kRows, 1), {x.matrix(1, kCols)}, {}};
  EXPECT_THROW(grouped_gemm(product, stream()), std::invalid_argument);
  const GroupedProduct sums = {
      x.matrix(kRows, kCols), x.matrix(1, kRows), {x.matrix(1, kCols)}, {}};
  EXPECT_THROW(grouped_gemm_accumulate(sums, stream()), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::gemm_test
