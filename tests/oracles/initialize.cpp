#include "tests/oracles/initialize.h"

#include <cmath>
#include <cstddef>
#include <numbers>

namespace derrd::oracle {

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * counter[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

namespace {

/// Word `element % 4` of the call that serves the element, and its neighbours.
std::array<double, 4> uniforms_of_quad(uint64_t element, uint64_t seed, uint32_t purpose,
                                       uint32_t epoch) {
  const uint64_t quad = element / 4;
  const auto bits =
      philox({static_cast<uint32_t>(quad), static_cast<uint32_t>(quad >> 32), epoch, purpose << 24},
             {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  std::array<double, 4> uniform;
  for (size_t j = 0; j < 4; ++j) uniform[j] = ((bits[j] >> 9) + 0.5) / (1 << 23);
  return uniform;
}

}  // namespace

std::vector<double> initialize_normal(int64_t count, double standard_deviation, uint64_t seed,
                                      uint32_t purpose, uint32_t epoch, uint64_t first) {
  std::vector<double> values;
  for (uint64_t e = first; e < first + static_cast<uint64_t>(count); ++e) {
    const auto u = uniforms_of_quad(e, seed, purpose, epoch);
    const size_t pair = e % 4 / 2 * 2;
    const double radius = std::sqrt(-2 * std::log(u[pair]));
    const double angle = 2 * std::numbers::pi * u[pair + 1];
    values.push_back(standard_deviation * radius *
                     (e % 2 == 0 ? std::cos(angle) : std::sin(angle)));
  }
  return values;
}

std::vector<double> initialize_uniform(int64_t count, double bound, uint64_t seed, uint32_t purpose,
                                       uint32_t epoch, uint64_t first) {
  std::vector<double> values;
  for (uint64_t e = first; e < first + static_cast<uint64_t>(count); ++e) {
    values.push_back(bound * (2 * uniforms_of_quad(e, seed, purpose, epoch)[e % 4] - 1));
  }
  return values;
}

}  // namespace derrd::oracle
