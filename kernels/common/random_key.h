#pragma once

#include <cstdint>

namespace derrd {

/// Purpose that a random number is drawn for. The values are part of every run's result: they are
/// never renumbered.
enum class RandomPurpose : uint32_t {
  kInitialise = 1,
  kNegative = 2,
  kShuffle = 3,
  kInteresting = 4,
  kUninteresting = 5,
  kGumbelUsers = 6,
  kGumbelPositives = 7,
  kGumbelNegatives = 8,
  kRdNegatives = 9,
  kCdItems = 10,
  kIrUsers = 11,
  kIrOthers = 12,
  kGumbelPairs = 13,
};

/// Names a stream of random numbers; kernels add the element's number (kernels/common/random.h).
struct RandomKey {
  uint64_t seed = 0;
  RandomPurpose purpose = RandomPurpose::kInitialise;
  uint32_t epoch = 0;
};

}  // namespace derrd
