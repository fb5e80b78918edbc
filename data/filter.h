#pragma once

#include <cstdint>
#include <vector>

#include "data/interactions.h"

namespace derrd {

/// Removes users with fewer than `min_user` items and items with fewer than `min_item` users, again
/// and again until no such user or item is left. Then numbers users in file order, and items by
/// first appearance among the remaining interactions. With `min_user` 0 users without items stay.
Interactions filter(Interactions interactions, int64_t min_user, int64_t min_item);

/// Removes the users that are not kept, and numbers as filter() does. @param kept [U]
Interactions select_users(Interactions interactions, const std::vector<bool>& kept);

}  // namespace derrd
