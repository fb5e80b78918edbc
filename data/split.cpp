#include "data/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "data/error.h"
#include "data/random.h"

namespace derrd {

namespace {

/// `count` distinct numbers of 0..n-1, ascending; every set is equally likely (Floyd's algorithm).
std::vector<int32_t> sample_distinct(RandomStream& random, int64_t n, int64_t count) {
  std::unordered_set<int32_t> chosen;
  for (int64_t j = n - count; j < n; ++j) {
    const auto draw = static_cast<int32_t>(random.below(static_cast<uint64_t>(j) + 1));
    if (!chosen.insert(draw).second) chosen.insert(static_cast<int32_t>(j));
  }
  std::vector<int32_t> sorted(chosen.begin(), chosen.end());
  std::ranges::sort(sorted);
  return sorted;
}

}  // namespace

Dataset split_leave_one_out(const Interactions& interactions, uint64_t seed) {
  const int64_t num_users = interactions.user_ids.size();
  std::vector<std::vector<int32_t>> rows(num_users);
  for (int64_t k = 0; k < interactions.size(); ++k) {
    rows[interactions.users[k]].push_back(interactions.items[k]);
  }

  Dataset dataset;
  dataset.seed = seed;
  dataset.user_ids = interactions.user_ids;
  dataset.item_ids = interactions.item_ids;
  std::vector<int32_t> valid(num_users, -1), test(num_users, -1);
  for (int64_t u = 0; u < num_users; ++u) {
    std::vector<int32_t>& row = rows[u];
    std::ranges::sort(row);
    RandomStream random(seed, kSplitStream, static_cast<uint64_t>(u));
    const auto take_one = [&] {
      const auto taken = row.begin() + static_cast<int64_t>(random.below(row.size()));
      const int32_t item = *taken;
      row.erase(taken);
      return item;
    };
    if (row.size() >= 2) test[u] = take_one();
    if (row.size() >= 2) valid[u] = take_one();
    dataset.train.add_row(row);
  }
  dataset.valid = InteractionRows::at_most_one(valid);
  dataset.test = InteractionRows::at_most_one(test);
  return dataset;
}

void draw_candidates(Dataset& dataset, int64_t count, uint64_t seed) {
  const int64_t num_users = dataset.num_users();
  const auto unseen_by = [&](int64_t u) {
    int64_t unseen = dataset.num_items();
    for (const InteractionRows* part : {&dataset.train, &dataset.valid, &dataset.test}) {
      unseen -= static_cast<int64_t>(part->row(u).size());
    }
    return unseen;
  };
  int64_t longest = 0;
  for (int64_t u = 0; u < num_users; ++u) longest = std::max(longest, unseen_by(u));
  count = std::min(count, longest);
  constexpr int64_t kMaxCandidates = int64_t{1} << 33;
  if (count < 0 || (num_users > 0 && count > kMaxCandidates / num_users)) {
    throw Error(fmt::format("{} candidates for each of {} users are too many; ask for fewer", count,
                            num_users));
  }
  dataset.num_candidates = count;
  dataset.candidates.assign(num_users * count, -1);
  std::vector<int32_t> seen;
  for (int64_t u = 0; u < num_users; ++u) {
    seen.clear();
    for (const InteractionRows* part : {&dataset.train, &dataset.valid, &dataset.test}) {
      const auto row = part->row(u);
      const auto middle = seen.insert(seen.end(), row.begin(), row.end());
      std::inplace_merge(seen.begin(), middle, seen.end());
    }
    RandomStream random(seed, kCandidateStream, static_cast<uint64_t>(u));
    // Draws the rank of a candidate among the unseen items; as ranks ascend, so do the seen items
    // to step over.
    auto output = dataset.candidates.begin() + u * count;
    size_t stepped = 0;
    for (int32_t rank : sample_distinct(random, unseen_by(u), std::min(count, unseen_by(u)))) {
      while (stepped < seen.size() && seen[stepped] <= rank + static_cast<int32_t>(stepped)) {
        ++stepped;
      }
      *output++ = rank + static_cast<int32_t>(stepped);
    }
  }
}

}  // namespace derrd
