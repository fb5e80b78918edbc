#include "data/filter.h"

#include <algorithm>
#include <utility>

namespace derrd {

namespace {

constexpr int32_t kRemoved = -1;

/// New number of every user in order, kRemoved for a user who goes; lists those who stay in
/// `selection`.
std::vector<int32_t> number_kept(const std::vector<bool>& kept, std::vector<int32_t>& selection) {
  std::vector<int32_t> numbers(kept.size(), kRemoved);
  for (size_t i = 0; i < kept.size(); ++i) {
    if (!kept[i]) continue;
    numbers[i] = static_cast<int32_t>(selection.size());
    selection.push_back(static_cast<int32_t>(i));
  }
  return numbers;
}

/// Interactions of the users and items that are kept, numbered anew.
Interactions kept_only(Interactions interactions, const std::vector<bool>& keep_user,
                       const std::vector<bool>& keep_item) {
  std::vector<int32_t> selected_users, selected_items;
  const std::vector<int32_t> user_numbers = number_kept(keep_user, selected_users);
  std::vector<int32_t> item_numbers(keep_item.size(), kRemoved);
  int64_t remaining = 0;
  for (int64_t k = 0; k < interactions.size(); ++k) {
    if (!keep_user[interactions.users[k]] || !keep_item[interactions.items[k]]) continue;
    int32_t& item = item_numbers[interactions.items[k]];
    if (item == kRemoved) {
      item = static_cast<int32_t>(selected_items.size());
      selected_items.push_back(interactions.items[k]);
    }
    interactions.items[remaining] = item;
    if (!interactions.times.empty()) interactions.times[remaining] = interactions.times[k];
    interactions.users[remaining++] = user_numbers[interactions.users[k]];
  }
  interactions.users.resize(remaining);
  interactions.items.resize(remaining);
  if (!interactions.times.empty()) interactions.times.resize(remaining);
  interactions.lines = std::vector<int64_t>();
  interactions.user_ids = interactions.user_ids.select(selected_users);
  interactions.item_ids = interactions.item_ids.select(selected_items);
  return interactions;
}

}  // namespace

Interactions filter(Interactions interactions, int64_t min_user, int64_t min_item) {
  std::vector<bool> keep_user(interactions.user_ids.size(), true);
  std::vector<bool> keep_item(interactions.item_ids.size(), true);
  std::vector<int64_t> user_counts, item_counts;
  const auto kept = [&](int64_t k) {
    return keep_user[interactions.users[k]] && keep_item[interactions.items[k]];
  };

  for (bool changed = true; changed;) {
    changed = false;
    user_counts.assign(keep_user.size(), 0);
    item_counts.assign(keep_item.size(), 0);
    for (int64_t k = 0; k < interactions.size(); ++k) {
      if (!kept(k)) continue;
      ++user_counts[interactions.users[k]];
      ++item_counts[interactions.items[k]];
    }
    const auto remove_below = [&](std::vector<bool>& keep, const std::vector<int64_t>& counts,
                                  int64_t minimum) {
      for (size_t i = 0; i < keep.size(); ++i) {
        if (!keep[i] || counts[i] >= minimum) continue;
        keep[i] = false;
        changed = true;
      }
    };
    remove_below(keep_user, user_counts, min_user);
    remove_below(keep_item, item_counts, min_item);
  }

  return kept_only(std::move(interactions), keep_user, keep_item);
}

Interactions select_users(Interactions interactions, const std::vector<bool>& kept) {
  const std::vector<bool> all_items(interactions.item_ids.size(), true);
  return kept_only(std::move(interactions), kept, all_items);
}

}  // namespace derrd
