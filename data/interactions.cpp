#include "data/interactions.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <tuple>
#include <utility>

#include "data/error.h"

namespace derrd {

int32_t IdNumbering::number(std::string_view text) {
  if (size() == std::numeric_limits<int32_t>::max()) {
    throw Error("there are more than 2^31 - 1 different ids; filter the data before");
  }
  const auto [entry, inserted] = numbers_.try_emplace(text, static_cast<int32_t>(texts_.size()));
  if (inserted) texts_.push_back(text);
  return entry->second;
}

int32_t IdNumbering::number_copy(std::string text) {
  const auto known = numbers_.find(text);
  return known != numbers_.end() ? known->second : number(copies_.emplace_back(std::move(text)));
}

void InteractionsBuilder::add(int32_t user, int32_t item, int64_t line) {
  pair_users_.push_back(user);
  pair_items_.push_back(item);
  pair_lines_.push_back(line);
}

Interactions InteractionsBuilder::finish() {
  const size_t n = pair_users_.size();
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  const auto pair = [&](size_t k) { return std::pair(pair_users_[k], pair_items_[k]); };
  std::ranges::sort(order, {},
                    [&](size_t k) { return std::tuple(pair_users_[k], pair_items_[k], k); });
  std::vector<bool> repeated(n, false);
  for (size_t k = 1; k < n; ++k) repeated[order[k]] = pair(order[k - 1]) == pair(order[k]);

  Interactions result;
  for (size_t k = 0; k < n; ++k) {
    if (repeated[k]) {
      ++result.duplicates;
      continue;
    }
    result.users.push_back(pair_users_[k]);
    result.items.push_back(pair_items_[k]);
    result.lines.push_back(pair_lines_[k]);
  }
  result.user_ids = users.table();
  result.item_ids = items.table();
  return result;
}

}  // namespace derrd
