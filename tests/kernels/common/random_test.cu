#include "kernels/common/random.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "tests/kernels/support.h"

namespace derrd::test::random_test {
namespace {

using Words = std::vector<uint32_t>;

/// out[i] = philox(counter i, key i), six words in, four out.
__global__ void philox_kernel(Matrix<uint32_t> out, Matrix<const uint32_t> in) {
  for (const int64_t unit : units_of(SingleThread{}, out.rows)) {
    const uint32_t* word = in.row(unit);
    const Philox4 bits = philox_4x32_10({word[0], word[1], word[2], word[3]}, word[4], word[5]);
    uint32_t* row = out.row(unit);
    row[0] = bits.x;
    row[1] = bits.y;
    row[2] = bits.z;
    row[3] = bits.w;
  }
}

Words philox(const Words& in) {
  const int64_t count = static_cast<int64_t>(in.size()) / 6;
  const Guarded<uint32_t> counters_and_keys(in);
  const Guarded<uint32_t> out(count * 4);
  launch("philox", threads_for(count), stream(), philox_kernel, out.matrix(count, 4),
         Matrix<const uint32_t>(counters_and_keys.matrix(count, 6)));
  return out.host();
}

// The vectors for philox4x32 with 10 rounds of kat_vectors, published with Random123.
TEST(RandomTest, PhiloxKnownAnswers) {
  const Words in = {0x00000000, 0x00000000, 0x00000000, 0x00000000, 0x00000000, 0x00000000,
                    0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff,
                    0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0};
  const Words expected = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8, 0x408f276d, 0x41c83b0e,
                          0xa20bc7c6, 0x6d5451fd, 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
  EXPECT_EQ(philox(in), expected);
}

__global__ void random_bits_kernel(Matrix<uint32_t> out, RandomKey key, uint64_t element,
                                   uint32_t draw) {
  for (const int64_t unit : units_of(SingleThread{}, 1)) {
    const Philox4 bits = random_bits(key, element, draw);
    uint32_t* row = out.row(unit);
    row[0] = bits.x;
    row[1] = bits.y;
    row[2] = bits.z;
    row[3] = bits.w;
  }
}

Words bits_of(RandomKey key, uint64_t element, uint32_t draw) {
  const Guarded<uint32_t> out(4);
  launch("random_bits", threads_for(1), stream(), random_bits_kernel, out.matrix(1, 4), key,
         element, draw);
  return out.host();
}

TEST(RandomTest, EveryPartOfTheNameOfADrawEntersTheCounter) {
  const RandomKey key = {0x123456789abcdef0, RandomPurpose::kShuffle, 7};
  const Words base = bits_of(key, 0x1122334455667788, 5);
  EXPECT_EQ(base, philox({0x55667788, 0x11223344, 7, 3u << 24 | 5, 0x9abcdef0, 0x12345678}));
  EXPECT_EQ(base, bits_of(key, 0x1122334455667788, 5));

  std::set<Words> distinct = {base};
  RandomKey other = key;
  other.seed ^= uint64_t{1} << 63;
  distinct.insert(bits_of(other, 0x1122334455667788, 5));
  other = key;
  other.seed ^= 1;
  distinct.insert(bits_of(other, 0x1122334455667788, 5));
  other = key;
  other.purpose = RandomPurpose::kNegative;
  distinct.insert(bits_of(other, 0x1122334455667788, 5));
  other = key;
  other.epoch = 8;
  distinct.insert(bits_of(other, 0x1122334455667788, 5));
  distinct.insert(bits_of(key, 0x1122334455667789, 5));
  distinct.insert(bits_of(key, 0x1122334555667788, 5));
  distinct.insert(bits_of(key, 0x1122334455667788, 6));
  EXPECT_EQ(distinct.size(), 8u);
}

__global__ void uniform_open_kernel(Vector<float> uniform, Vector<const uint32_t> bits) {
  for (const int64_t unit : units_of(SingleThread{}, bits.size)) {
    uniform[unit] = uniform_open(bits[unit]);
  }
}

TEST(RandomTest, UniformOpenIsExactAndExcludesItsEnds) {
  const Words words = {0, 511, 512, 0x7fffffff, 0x80000000, 0xfffffdff, 0xfffffe00, 0xffffffff};
  const auto n = static_cast<int64_t>(words.size());
  const Guarded<uint32_t> bits(words);
  const Guarded<float> uniform(n);
  launch("uniform_open", threads_for(n), stream(), uniform_open_kernel, uniform.view(),
         bits.const_view());
  const std::vector<float> u = uniform.host();
  for (size_t i = 0; i < words.size(); ++i) {
    // A number of 24 significant bits: exact in float32.
    const double expected = (std::floor(words[i] / 512.0) + 0.5) / 8388608.0;
    EXPECT_EQ(u[i], expected) << words[i];
    EXPECT_GT(u[i], 0.0f);
    EXPECT_LT(u[i], 1.0f);
  }
}

__global__ void uniform_below_kernel(Vector<int64_t> out, Vector<const uint32_t> bits, int64_t n) {
  for (const int64_t unit : units_of(SingleThread{}, out.size)) {
    out[unit] = uniform_below(bits[2 * unit], bits[2 * unit + 1], n);
  }
}

TEST(RandomTest, UniformBelowIsTheHighProduct) {
  const Words words = {0, 0,          0,          1,          0x7fffffff, 0xffffffff, 0x80000000,
                       0, 0xffffffff, 0xfffffffe, 0xffffffff, 0xffffffff, 0xdeadbeef, 0x01234567};
  const auto count = static_cast<int64_t>(words.size()) / 2;
  const Guarded<uint32_t> bits(words);
  const std::vector<int64_t> bounds = {1, 2, 3, 25975, int64_t{1} << 31, (int64_t{1} << 32) - 5};
  for (const int64_t n : bounds) {
    const Guarded<int64_t> out(count);
    launch("uniform_below", threads_for(count), stream(), uniform_below_kernel, out.view(),
           bits.const_view(), n);
    const std::vector<int64_t> got = out.host();
    for (int64_t i = 0; i < count; ++i) {
      const size_t at = static_cast<size_t>(i);
      const uint64_t b = static_cast<uint64_t>(words[2 * at]) << 32 | words[2 * at + 1];
      // floor(b n / 2^64) by the halves of b; n < 2^32.
      const uint64_t high = (b >> 32) * static_cast<uint64_t>(n);
      const uint64_t low = (b & 0xffffffff) * static_cast<uint64_t>(n);
      const auto expected = static_cast<int64_t>((high + (low >> 32)) >> 32);
      EXPECT_EQ(got[at], expected) << b << " below " << n;
      EXPECT_GE(got[at], 0);
      EXPECT_LT(got[at], n);
    }
  }
}

__global__ void draw_below_kernel(Vector<int64_t> out, RandomKey key, int64_t n) {
  for (const int64_t unit : units_of(SingleThread{}, out.size)) {
    const Philox4 bits = random_bits(key, static_cast<uint64_t>(unit));
    out[unit] = uniform_below(bits.x, bits.y, n);
  }
}

TEST(RandomTest, DrawsAreUniform) {
  constexpr int64_t kDraws = 6000;
  constexpr int64_t kCells = 13;
  const Guarded<int64_t> out(kDraws);
  launch("draw_below", threads_for(kDraws), stream(), draw_below_kernel, out.view(),
         RandomKey{42, RandomPurpose::kNegative, 1}, kCells);
  std::array<int64_t, kCells> counts{};
  for (const int64_t cell : out.host()) ++counts[static_cast<size_t>(cell)];
  double chi_square = 0;
  constexpr double kExpected = static_cast<double>(kDraws) / kCells;
  for (const int64_t count : counts) {
    chi_square += (count - kExpected) * (count - kExpected) / kExpected;
  }
  // 12 degrees of freedom: exceeded with probability 1e-4; the draws are fixed.
  EXPECT_LT(chi_square, 39.1);
}

}  // namespace
}  // namespace derrd::test::random_test
