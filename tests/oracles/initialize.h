#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace derrd::oracle {

/// Philox 4x32-10 from the paper's own description (Salmon et al., SC'11), counter and key as
/// little-endian words.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// The numbers of elements first .. first + count - 1.
std::vector<double> initialize_normal(int64_t count, double standard_deviation, uint64_t seed,
                                      uint32_t purpose, uint32_t epoch, uint64_t first);
std::vector<double> initialize_uniform(int64_t count, double bound, uint64_t seed, uint32_t purpose,
                                       uint32_t epoch, uint64_t first);

}  // namespace derrd::oracle
