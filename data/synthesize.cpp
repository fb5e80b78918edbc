#include "data/synthesize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <queue>
#include <utility>

#include "data/error.h"
#include "data/random.h"

namespace derrd {

namespace {

constexpr double kActivitySpread =
    1.4;  // sigma of log(share): some users have a hundred times the median
constexpr int kTasteDoublings = 6;     // exponent 2^6 = 64 of the taste
constexpr float kTasteFloor = 1e-12f;  // so that every item can be drawn when little else is left

// Sub-streams, in place of an index.
enum : uint64_t { kUserVectors, kItemVectors, kPopularity, kActivity, kCoverage, kFirstDraw };

void check(const SynthesisOptions& options) {
  const auto refuse = [](const std::string& what) { throw Error("synthesize: " + what); };
  constexpr int64_t kMaxCount = std::numeric_limits<int32_t>::max();
  if (options.users < 1 || options.users > kMaxCount) {
    refuse("the number of users has to be from 1 to 2^31 - 1");
  }
  if (options.items < kMinItemsPerUser || options.items > kMaxCount) {
    refuse(fmt::format("the number of items has to be from {} to 2^31 - 1", kMinItemsPerUser));
  }
  if (!(options.skew >= 0.0 && options.skew <= 3.0)) refuse("the skew has to be from 0 to 3");
  if (options.latent_dimension < 1 || options.latent_dimension > 1024) {
    refuse("the latent dimension has to be from 1 to 1024");
  }
  const int64_t fewest = std::max(kMinItemsPerUser * options.users, options.items);
  if (options.interactions < fewest || options.interactions > options.users * options.items) {
    refuse(
        fmt::format("{} interactions can't be had from {} users and {} items: choose from {} ({} "
                    "per user, and one per "
                    "item) to {} (all pairs)",
                    options.interactions, options.users, options.items, fewest, kMinItemsPerUser,
                    options.users * options.items));
  }
}

/// Random unit vectors, dimension by dimension: [dimension, count].
std::vector<float> unit_vectors(const SynthesisOptions& options, uint64_t stream, int64_t count) {
  RandomStream random(options.seed, kSynthesisStream, stream);
  std::vector<float> vectors(options.latent_dimension * count);
  std::vector<double> vector(options.latent_dimension);
  for (int64_t k = 0; k < count; ++k) {
    double square = 0.0;
    for (double& x : vector) {
      x = random.normal();
      square += x * x;
    }
    const double scale = 1.0 / std::sqrt(square);
    for (int64_t d = 0; d < options.latent_dimension; ++d) {
      vectors[d * count + k] = static_cast<float>(vector[d] * scale);
    }
  }
  return vectors;
}

/// Popularity weight of every item; the ranks are dealt at random.
std::vector<float> popularities(const SynthesisOptions& options) {
  RandomStream random(options.seed, kSynthesisStream, kPopularity);
  std::vector<float> weights(options.items);
  for (int64_t i = 0; i < options.items; ++i) {
    weights[i] = static_cast<float>(std::pow(static_cast<double>(i + 1), -options.skew));
  }
  for (int64_t i = options.items - 1; i > 0; --i) {
    std::swap(weights[i], weights[random.below(i + 1)]);
  }
  return weights;
}

/// Number of items of every user; they add up to options.interactions.
std::vector<int64_t> user_sizes(const SynthesisOptions& options) {
  RandomStream random(options.seed, kSynthesisStream, kActivity);
  std::vector<double> cumulated(options.users);
  double total = 0.0;
  for (double& value : cumulated) value = total += std::exp(kActivitySpread * random.normal());

  const int64_t extra = options.interactions - kMinItemsPerUser * options.users;
  std::vector<int64_t> sizes(options.users, kMinItemsPerUser);
  int64_t dealt = 0, carried = 0;  // what a user can't take, the next one does
  const auto give = [&](int64_t& size, int64_t count) {
    const int64_t taken = std::min(count, options.items - size);
    size += taken;
    return count - taken;
  };
  for (int64_t u = 0; u < options.users; ++u) {
    const bool last = u + 1 == options.users;
    const int64_t due = last ? extra
                             : std::min(extra, static_cast<int64_t>(cumulated[u] / total *
                                                                    static_cast<double>(extra)));
    carried = give(sizes[u], carried + due - dealt);
    dealt = due;
  }
  for (int64_t& size : sizes) carried = give(size, carried);
  return sizes;
}

/// Draws one user's items without replacement: the item whose exponential clock of rate weight[i]
/// rings first, the second, and so on. 1 - x <= -log(x) spares nearly all logarithms.
class WeightedSampler {
 public:
  std::vector<int32_t> draw(const std::vector<float>& weights, int64_t count, uint64_t key) {
    std::priority_queue<std::pair<double, int32_t>> earliest;
    double latest = std::numeric_limits<double>::infinity();  // among the `count` earliest
    for (size_t i = 0; i < weights.size(); ++i) {
      const double x = (static_cast<double>(mix64(key + i) >> 11) + 0.5) * 0x1p-53;
      const double weight = weights[i];
      if (1.0 - x >= latest * weight) continue;
      const double time = -std::log(x) / weight;
      if (time >= latest) continue;
      earliest.emplace(time, static_cast<int32_t>(i));
      if (static_cast<int64_t>(earliest.size()) > count) earliest.pop();
      if (static_cast<int64_t>(earliest.size()) == count) latest = earliest.top().first;
    }
    std::vector<int32_t> items;
    for (; !earliest.empty(); earliest.pop()) items.push_back(earliest.top().second);
    std::ranges::sort(items);
    return items;
  }
};

/// Users and items in the space of tastes, and what everybody has so far.
struct Draft {
  int64_t dimension;
  std::vector<float> users;                // [dimension, users]
  std::vector<float> items;                // [dimension, items]
  std::vector<std::vector<int32_t>> rows;  // items of every user
  std::vector<int64_t> counts;             // users of every item

  float affinity(int64_t u, int64_t i) const {
    float sum = 0.0f;
    const auto num_users = static_cast<int64_t>(rows.size());
    for (int64_t d = 0; d < dimension; ++d)
      sum += users[d * num_users + u] * items[d * static_cast<int64_t>(counts.size()) + i];
    return sum;
  }
};

/// Draws every user's items.
void draw_items(Draft& draft, const SynthesisOptions& options) {
  const int64_t U = options.users, I = options.items, D = draft.dimension;
  const std::vector<float> popularity = popularities(options);
  const std::vector<int64_t> sizes = user_sizes(options);
  std::vector<float> weights(I);
  RandomStream keys(options.seed, kSynthesisStream, kFirstDraw);
  for (int64_t u = 0; u < U; ++u) {
    std::ranges::fill(weights, 0.0f);
    for (int64_t d = 0; d < D; ++d) {
      const float x = draft.users[d * U + u];
      const float* y = &draft.items[d * I];
      for (int64_t i = 0; i < I; ++i) weights[i] += x * y[i];
    }
    for (int64_t i = 0; i < I; ++i) {
      float taste = std::max(0.0f, 0.5f + 0.5f * weights[i]);
      for (int k = 0; k < kTasteDoublings; ++k) taste *= taste;
      weights[i] = popularity[i] * (taste + kTasteFloor);
    }
    draft.rows[u] = WeightedSampler().draw(weights, sizes[u], keys.bits());
    for (int32_t i : draft.rows[u]) ++draft.counts[i];
  }
}

/// Gives every item that nobody has to the one of a few random users who likes it best, in place of
/// a random item that others have too. Such an item exists: there are at least as many interactions
/// as items.
void cover_items(Draft& draft, const SynthesisOptions& options) {
  constexpr int kUsersAsked = 64;
  RandomStream random(options.seed, kSynthesisStream, kCoverage);
  const auto shared = [&](int32_t i) { return draft.counts[i] > 1; };
  for (int64_t i = 0; i < options.items; ++i) {
    if (draft.counts[i] > 0) continue;
    int64_t best = -1;
    float best_affinity = 0.0f;
    const auto consider = [&](int64_t u) {
      const float affinity = draft.affinity(u, i);
      if (best >= 0 && affinity <= best_affinity) return;
      if (std::ranges::none_of(draft.rows[u], shared)) return;
      best = u;
      best_affinity = affinity;
    };
    for (int k = 0; k < kUsersAsked; ++k) {
      consider(static_cast<int64_t>(random.below(options.users)));
    }
    if (best < 0) {
      for (int64_t u = 0; u < options.users; ++u) consider(u);
    }
    std::vector<int32_t*> replaceable;
    for (int32_t& item : draft.rows[best]) {
      if (shared(item)) replaceable.push_back(&item);
    }
    int32_t& item = *replaceable[random.below(replaceable.size())];
    --draft.counts[item];
    ++draft.counts[i];
    item = static_cast<int32_t>(i);
  }
}

}  // namespace

Interactions synthesize(const SynthesisOptions& options) {
  check(options);
  Draft draft{options.latent_dimension,
              unit_vectors(options, kUserVectors, options.users),
              unit_vectors(options, kItemVectors, options.items),
              {},
              {}};
  draft.rows.resize(options.users);
  draft.counts.assign(options.items, 0);
  draw_items(draft, options);
  cover_items(draft, options);

  Interactions result;
  for (int64_t u = 0; u < options.users; ++u) {
    std::vector<int32_t>& row = draft.rows[u];
    std::ranges::sort(row);
    result.users.insert(result.users.end(), row.size(), static_cast<int32_t>(u));
    result.items.insert(result.items.end(), row.begin(), row.end());
  }
  result.user_ids = IdTable::identity(options.users);
  result.item_ids = IdTable::identity(options.items);
  return result;
}

}  // namespace derrd
