#pragma once

#include <cstdint>

#include "data/dataset.h"
#include "data/interactions.h"

namespace derrd {

/// Shape of a synthetic data set; the defaults are CiteULike's.
struct SynthesisOptions {
  int64_t users = 5219;
  int64_t items = 25181;
  int64_t interactions = 125580;
  double skew = 1.0;  ///< the r-th most popular item has popularity r^-skew, apart from tastes
  int64_t latent_dimension = 12;  ///< dimension of the tastes
  uint64_t seed = 0;
};

/// Smallest number of items that a user has.
inline constexpr int64_t kMinItemsPerUser = 5;

/// Makes up interactions with long-tailed items and users, and tastes that a factor model can
/// learn.
///
/// Users u and items i are random unit vectors; popularities are dealt to items at random. Users
/// have 5 items and a log-normal share of the rest. A user's items are drawn without replacement
/// with weight popularity_i * ((1 + u.i) / 2)^64: items that suit the user's taste by popularity,
/// others hardly ever. At last each item that nobody has is given to a user who would like it, in
/// place of an item that other users have too.
///
/// O(users * items * latent_dimension) time, O((users + items) * latent_dimension) memory. The same
/// build gives the same result for the same options.
/// @throws Error if there are fewer interactions than 5 per user or than items, or more than
/// users * items, or if an option is out of range.
Interactions synthesize(const SynthesisOptions& options);

}  // namespace derrd
