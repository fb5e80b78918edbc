#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "data/dataset.h"
#include "data/interactions.h"
#include "data/parse_time.h"

namespace derrd {

/// Share of a whole, above 0 and below 1.
struct Share {
  int32_t billionths;

  /// This share of `n` things, rounded to the nearest whole number, halves up.
  int64_t of(int64_t n) const;
};

/// How many of a user's interactions are held out for the test, and as many again for validation: a
/// number from 1 on, or a share of them. One interaction always stays for training; of the others
/// the test gets its part first.
using Holdout = std::variant<int64_t, Share>;
/// Holdout that a text says; nothing if it says neither a number from 1 on nor a share.
std::optional<Holdout> parse_holdout(std::string_view text);

/// Splits by random: draws of each user's interactions go to the test, then further ones to
/// validation; the rest is for training. Draws depend on (seed, user) alone. The result has no
/// candidates; its ids are those of `interactions`.
Dataset split_random(const Interactions& interactions, const Holdout& holdout, uint64_t seed);

/// Splits by random, with one test and one validation item of each user that has enough.
inline Dataset split_leave_one_out(const Interactions& interactions, uint64_t seed) {
  return split_random(interactions, int64_t{1}, seed);
}

/// Splits by time within each user: the latest interactions are for the test, those before them for
/// validation, the rest for training. Of equal times the one later in the file is the later one.
/// The result is as that of split_random(). @param interactions have times
Dataset split_last(const Interactions& interactions, const Holdout& holdout);

/// Beginning of a part in time: a moment, or the part's share of all interactions.
using PartStart = std::variant<WrittenTime, Share>;
/// Beginning that a text says: a number above 0 and below 1 is a share. Nothing if it says neither
/// that nor a time.
std::optional<PartStart> parse_part_start(std::string_view text);

/// Split at two moments, and what it dropped.
struct TimeSplit {
  Dataset dataset;  ///< as that of split_random(), without the users that were dropped
  Time valid_start;
  Time test_start;            ///< equal to valid_start if no interaction is for validation
  int64_t dropped_users = 0;  ///< users without a training interaction
  int64_t dropped_valid = 0;  ///< their validation interactions
  int64_t dropped_test = 0;   ///< their test interactions
};

/// Splits all interactions at two moments: what is before both is for training, what is at or after
/// the later one for the test, the rest for validation. A share begins at the time of the
/// interaction where so many, in the order of time, are left before the next part or the end; equal
/// times are never divided, so that a part may have more than its share. Drops the users without
/// training interactions; items are numbered by first appearance among what remains.
/// @param interactions have times
/// @throws Error if the training or the test would be empty, if validation does not begin before
/// the test, or if a moment is a date and the times are numbers, or the other way round.
TimeSplit split_by_time(Interactions interactions, const PartStart& valid, const PartStart& test);

/// Number of items with validation or test interactions, and without training ones.
int64_t items_without_training(const Dataset& dataset);

/// Draws `count` distinct candidates for every user, uniform over the items that the user never
/// interacted with in any part, ascending. A user with fewer such items gets all of them, then -1;
/// the matrix is as wide as the longest list.
/// The draws don't depend on how the parts were split. Sets `candidates` and `num_candidates`.
/// @throws Error if the matrix of users x count is too large to be held.
void draw_candidates(Dataset& dataset, int64_t count, uint64_t seed);

}  // namespace derrd
