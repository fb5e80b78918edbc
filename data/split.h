#pragma once

#include <cstdint>

#include "data/dataset.h"
#include "data/interactions.h"

namespace derrd {

/// Splits by leave-one-out: one random interaction of each user is held out for the test and
/// another one for validation; the rest is for training. A user with two interactions gives one to
/// training and one to the test; a user with one keeps it for training. Draws depend on (seed,
/// user) alone. The result has no candidates; its ids are those of `interactions`.
Dataset split_leave_one_out(const Interactions& interactions, uint64_t seed);

/// Draws `count` distinct candidates for every user, uniform over the items that the user never
/// interacted with in any part, ascending. A user with fewer such items gets all of them, then -1;
/// the matrix is as wide as the longest list.
/// The draws don't depend on how the parts were split. Sets `candidates` and `num_candidates`.
/// @throws Error if the matrix of users x count is too large to be held.
void draw_candidates(Dataset& dataset, int64_t count, uint64_t seed);

}  // namespace derrd
