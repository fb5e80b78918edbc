#include "data/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "data/error.h"
#include "data/filter.h"
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

/// Interactions of each user, by their positions in the file.
struct InteractionsByUser {
  explicit InteractionsByUser(const Interactions& interactions)
      : offsets(interactions.user_ids.size() + 1, 0), positions(interactions.size()) {
    for (const int32_t user : interactions.users) ++offsets[user + 1];
    std::partial_sum(offsets.begin(), offsets.end(), offsets.begin());
    std::vector<int64_t> next(offsets.begin(), offsets.end() - 1);
    for (int64_t k = 0; k < interactions.size(); ++k) positions[next[interactions.users[k]]++] = k;
  }

  std::span<int64_t> row(int64_t u) {
    return std::span(positions).subspan(offsets[u], offsets[u + 1] - offsets[u]);
  }

  std::vector<int64_t> offsets;    // [U+1]
  std::vector<int64_t> positions;  // [n] ascending within a user
};

/// Items of one user, by part.
struct UserParts {
  std::vector<int32_t> train, valid, test;
};

/// Data set of which `divide(u, positions, parts)` fills each user's parts. It may reorder the
/// positions, and finds the parts empty.
template <class Divide>
Dataset split_users(const Interactions& interactions, Divide divide) {
  Dataset dataset;
  dataset.user_ids = interactions.user_ids;
  dataset.item_ids = interactions.item_ids;
  InteractionsByUser by_user(interactions);
  UserParts parts;
  for (int64_t u = 0; u < interactions.user_ids.size(); ++u) {
    for (auto* items : {&parts.train, &parts.valid, &parts.test}) items->clear();
    divide(u, by_user.row(u), parts);
    for (auto* items : {&parts.train, &parts.valid, &parts.test}) std::ranges::sort(*items);
    dataset.train.add_row(parts.train);
    dataset.valid.add_row(parts.valid);
    dataset.test.add_row(parts.test);
  }
  return dataset;
}

/// Number of interactions of a user with `n` that are held out for each of test and validation.
struct HeldOut {
  HeldOut(const Holdout& holdout, int64_t n) {
    const auto* number = std::get_if<int64_t>(&holdout);
    const int64_t wanted = number != nullptr ? *number : std::get<Share>(holdout).of(n);
    const int64_t spare = std::max<int64_t>(n - 1, 0);
    test = std::min(wanted, spare);
    valid = std::min(wanted, spare - test);
  }
  int64_t test, valid;
};

/// Share that a number is.
std::optional<Share> share_in(const WrittenTime& written) {
  if (written.kind != TimeKind::kNumber || written.time.whole != 0 || written.time.nano == 0) {
    return std::nullopt;
  }
  return Share{written.time.nano};
}

/// Finder of the moments that divide the parts.
class MomentFinder {
 public:
  explicit MomentFinder(const Interactions& interactions)
      : kind_(interactions.time_kind), times_(interactions.times) {
    std::ranges::sort(times_);
  }

  /// Beginning of the test.
  Time test_start(const PartStart& start) const {
    const auto* share = std::get_if<Share>(&start);
    if (share != nullptr && share->of(size()) == 0) {
      throw Error(fmt::format("this share of {} interactions is none; choose a larger --time-test",
                              size()));
    }
    const Time moment = find(start, size(), "--time-test");
    if (before(moment) == size()) {
      throw Error(
          fmt::format("none of the {} interactions is in the test, which begins at {}; {}; "
                      "choose an earlier --time-test or a larger share",
                      size(), text(moment), range()));
    }
    return moment;
  }

  /// Beginning of validation.
  Time valid_start(const PartStart& start, Time test) const {
    const Time moment = find(start, before(test), "--time-valid");
    if (std::holds_alternative<WrittenTime>(start) && moment >= test) {
      throw Error(
          fmt::format("--time-valid {} is not before the test, which begins at {}; choose "
                      "an earlier one",
                      text(moment), text(test)));
    }
    if (before(moment) == 0) {
      throw Error(
          fmt::format("none of the {} interactions is left for training: validation begins at {}, "
                      "the test at {}; {}; choose a later --time-valid and --time-test or smaller "
                      "shares",
                      size(), text(moment), text(test), range()));
    }
    return std::min(moment, test);
  }

 private:
  int64_t size() const { return static_cast<int64_t>(times_.size()); }
  std::string text(Time time) const { return format_time(time, kind_); }
  std::string range() const {
    return fmt::format("the times go from {} to {}", text(times_.front()), text(times_.back()));
  }

  /// Number of interactions before a moment.
  int64_t before(Time moment) const {
    return std::ranges::lower_bound(times_, moment) - times_.begin();
  }

  /// Moment at which a part begins that ends before the interaction `end` in the order of time.
  Time find(const PartStart& start, int64_t end, std::string_view option) const {
    if (const auto* share = std::get_if<Share>(&start)) {
      return times_[std::clamp<int64_t>(end - share->of(size()), 0, size() - 1)];
    }
    const auto& [time, kind] = std::get<WrittenTime>(start);
    if (kind != kind_) {
      throw Error(fmt::format(
          "{} is {}, and the file's times are {}, such as {}; give {}", option,
          kind == TimeKind::kDate ? "a date" : "a number",
          kind == TimeKind::kDate ? "numbers" : "dates", text(times_.front()),
          kind == TimeKind::kDate ? "a number in the same unit, or a share" : "a date or a share"));
    }
    return time;
  }

  TimeKind kind_;
  std::vector<Time> times_;  // ascending
};

}  // namespace

int64_t Share::of(int64_t n) const {
  constexpr int64_t kWhole = 1'000'000'000;
  // n is taken apart, as n * billionths may be beyond 64 bits.
  return n / kWhole * billionths + (2 * (n % kWhole) * billionths + kWhole) / (2 * kWhole);
}

std::optional<Holdout> parse_holdout(std::string_view text) {
  const std::optional<WrittenTime> written = parse_time(text);
  if (!written || written->kind != TimeKind::kNumber) return std::nullopt;
  if (const std::optional<Share> share = share_in(*written)) return *share;
  if (written->time.whole < 1 || written->time.nano != 0) return std::nullopt;
  return written->time.whole;
}

std::optional<PartStart> parse_part_start(std::string_view text) {
  const std::optional<WrittenTime> written = parse_time(text);
  if (!written) return std::nullopt;
  if (const std::optional<Share> share = share_in(*written)) return *share;
  return *written;
}

Dataset split_random(const Interactions& interactions, const Holdout& holdout, uint64_t seed) {
  const auto divide = [&](int64_t u, std::span<int64_t> positions, UserParts& parts) {
    std::vector<int32_t>& rest = parts.train;
    for (const int64_t k : positions) rest.push_back(interactions.items[k]);
    std::ranges::sort(rest);
    RandomStream random(seed, kSplitStream, static_cast<uint64_t>(u));
    const auto draw = [&](int64_t count, std::vector<int32_t>& items) {
      for (; count > 0; --count) {
        const auto drawn = rest.begin() + static_cast<int64_t>(random.below(rest.size()));
        items.push_back(*drawn);
        rest.erase(drawn);
      }
    };
    const HeldOut held_out(holdout, static_cast<int64_t>(positions.size()));
    draw(held_out.test, parts.test);
    draw(held_out.valid, parts.valid);
  };
  Dataset dataset = split_users(interactions, divide);
  dataset.seed = seed;
  return dataset;
}

Dataset split_last(const Interactions& interactions, const Holdout& holdout) {
  const auto divide = [&](int64_t, std::span<int64_t> positions, UserParts& parts) {
    std::ranges::stable_sort(positions, {}, [&](int64_t k) { return interactions.times[k]; });
    const auto n = static_cast<int64_t>(positions.size());
    const HeldOut held_out(holdout, n);
    const int64_t test_begin = n - held_out.test, valid_begin = test_begin - held_out.valid;
    for (int64_t r = 0; r < n; ++r) {
      auto& part = r >= test_begin ? parts.test : r >= valid_begin ? parts.valid : parts.train;
      part.push_back(interactions.items[positions[r]]);
    }
  };
  return split_users(interactions, divide);
}

TimeSplit split_by_time(Interactions interactions, const PartStart& valid, const PartStart& test) {
  TimeSplit split;
  {
    const MomentFinder moments(interactions);
    split.test_start = moments.test_start(test);
    split.valid_start = moments.valid_start(valid, split.test_start);
  }
  std::vector<bool> trained(interactions.user_ids.size(), false);
  int64_t in_test = 0;
  for (int64_t k = 0; k < interactions.size(); ++k) {
    if (interactions.times[k] < split.valid_start) trained[interactions.users[k]] = true;
    in_test += interactions.times[k] >= split.test_start;
  }
  split.dropped_users = std::ranges::count(trained, false);
  for (int64_t k = 0; k < interactions.size(); ++k) {
    if (trained[interactions.users[k]]) continue;
    ++(interactions.times[k] < split.test_start ? split.dropped_valid : split.dropped_test);
  }
  if (split.dropped_test == in_test) {
    throw Error(
        fmt::format("none of the {} test interactions, from {} on, is of a user with training "
                    "interactions, which end before {}; choose a later --time-valid and "
                    "--time-test, or --split last",
                    in_test, format_time(split.test_start, interactions.time_kind),
                    format_time(split.valid_start, interactions.time_kind)));
  }
  interactions = select_users(std::move(interactions), trained);
  split.dataset =
      split_users(interactions, [&](int64_t, std::span<int64_t> positions, UserParts& parts) {
        for (const int64_t k : positions) {
          const Time time = interactions.times[k];
          auto& part = time >= split.test_start    ? parts.test
                       : time >= split.valid_start ? parts.valid
                                                   : parts.train;
          part.push_back(interactions.items[k]);
        }
      });
  return split;
}

int64_t items_without_training(const Dataset& dataset) {
  std::vector<bool> counted(dataset.num_items(), false);
  for (const int32_t item : dataset.train.items) counted[item] = true;
  int64_t count = 0;
  for (const InteractionRows* part : {&dataset.valid, &dataset.test}) {
    for (const int32_t item : part->items) {
      if (!counted[item]) ++count;
      counted[item] = true;
    }
  }
  return count;
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
