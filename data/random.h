#pragma once

#include <cstdint>
#include <random>

namespace derrd {

/// Finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA'14): a bijection that spreads every bit.
constexpr uint64_t mix64(uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

/// Stream of random bits that depends on (seed, purpose, index) alone: mt19937_64, whose output
/// the C++ standard fixes, seeded by mix64(mix64(mix64(seed) + purpose) + index).
class RandomStream {
 public:
  RandomStream(uint64_t seed, uint64_t purpose, uint64_t index)
      : bits_(mix64(mix64(mix64(seed) + purpose) + index)) {}

  /// 64 random bits.
  uint64_t bits() { return bits_(); }

  /// Uniform over 0..n-1, without bias; n > 0. The standard's distributions are not used, as they
  /// differ between libraries.
  uint64_t below(uint64_t n) {
    const uint64_t accepted = UINT64_MAX - UINT64_MAX % n;  // a multiple of n
    uint64_t draw = bits_();
    while (draw >= accepted) draw = bits_();
    return draw % n;
  }

  /// Uniform over (0, 1): the middles of 2^53 equal parts.
  double uniform() { return (static_cast<double>(bits_() >> 11) + 0.5) * 0x1p-53; }

  /// Standard normal, by Box and Muller.
  double normal();

 private:
  std::mt19937_64 bits_;
};

/// Purposes of streams; different purposes never share their bits.
enum DataStream : uint64_t {
  kSplitStream = 1,
  kCandidateStream = 2,
  kSynthesisStream = 3,
  kBootstrapStream = 16,
  kKMeansStream = 17,
  kPairStream = 18,
  kPrincipalStream = 19,
};

}  // namespace derrd
