#include "data/interactions.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <tuple>
#include <utility>

#include "data/error.h"
#include "data/printable.h"

namespace derrd {

namespace {

/// Whether each interaction repeats a pair that counts elsewhere. Users are taken in groups, which
/// bounds the memory.
std::vector<bool> repetitions(const Interactions& found, int64_t num_users) {
  constexpr int64_t kMaxGroup = int64_t{1} << 20;  // interactions, unless a user has more
  std::vector<int64_t> ends(num_users + 1, 0);     // [u + 1] where user u's end, by user
  for (const int32_t user : found.users) ++ends[user + 1];
  for (int64_t u = 0; u < num_users; ++u) ends[u + 1] += ends[u];

  std::vector<bool> repeated(found.size(), false);
  const auto time = [&](int64_t k) { return found.times.empty() ? Time{} : found.times[k]; };
  std::vector<int64_t> group, next;
  for (int64_t begin = 0, end; begin < num_users; begin = end) {
    for (end = begin + 1; end < num_users && ends[end + 1] - ends[begin] <= kMaxGroup;) ++end;
    group.resize(ends[end] - ends[begin]);
    next.assign(ends.begin() + begin, ends.begin() + end);
    for (int64_t k = 0; k < found.size(); ++k) {
      const int64_t user = found.users[k] - begin;
      if (user >= 0 && user < end - begin) group[next[user]++ - ends[begin]] = k;
    }
    for (int64_t u = begin; u < end; ++u) {
      const auto first = group.begin() + (ends[u] - ends[begin]);
      const auto last = group.begin() + (ends[u + 1] - ends[begin]);
      std::sort(first, last, [&](int64_t a, int64_t b) {
        return std::tuple(found.items[a], time(a), a) < std::tuple(found.items[b], time(b), b);
      });
      for (auto k = first; k != last; ++k) {
        if (k != first && found.items[k[-1]] == found.items[*k]) repeated[*k] = true;
      }
    }
  }
  return repeated;
}

}  // namespace

std::string_view IdNumbering::text(int32_t number) const {
  return std::string_view(bytes_).substr(offsets_[number], offsets_[number + 1] - offsets_[number]);
}

int32_t IdNumbering::number(std::string_view text) {
  if (static_cast<size_t>(size()) >= slots_.size() / 2) grow();
  size_t slot = std::hash<std::string_view>()(text) & (slots_.size() - 1);
  for (; slots_[slot] >= 0; slot = (slot + 1) & (slots_.size() - 1)) {
    if (this->text(slots_[slot]) == text) return slots_[slot];
  }
  if (size() == std::numeric_limits<int32_t>::max()) {
    throw Error("there are more than 2^31 - 1 different ids; filter the data before");
  }
  slots_[slot] = static_cast<int32_t>(size());
  bytes_.append(text);
  offsets_.push_back(bytes_.size());
  return slots_[slot];
}

void IdNumbering::grow() {
  slots_.assign(std::max<size_t>(64, 2 * slots_.size()), -1);
  for (int32_t n = 0; n < size(); ++n) {
    size_t slot = std::hash<std::string_view>()(text(n)) & (slots_.size() - 1);
    while (slots_[slot] >= 0) slot = (slot + 1) & (slots_.size() - 1);
    slots_[slot] = n;
  }
}

IdTable IdNumbering::table() const {
  std::vector<std::string_view> texts(static_cast<size_t>(size()));
  for (size_t n = 0; n < texts.size(); ++n) texts[n] = text(static_cast<int32_t>(n));
  return IdTable::from_texts(texts);
}

int32_t number_id(IdNumbering& ids, std::string_view text, const LineReader& lines,
                  std::string_view what, size_t column) {
  if (!is_utf8(text)) {
    lines.fail(
        fmt::format("the {} {} in column {} is not UTF-8; convert the file, such as by "
                    "iconv -f latin1 -t utf-8",
                    what, printable(text), column + 1));
  }
  return ids.number(text);
}

void InteractionsBuilder::add(int32_t user, int32_t item, const LineReader& lines,
                              std::optional<Time> time) {
  found_.users.push_back(user);
  found_.items.push_back(item);
  found_.lines.push_back(lines.number());
  if (time) found_.times.push_back(*time);
}

Interactions InteractionsBuilder::finish() {
  const std::vector<bool> repeated = repetitions(found_, users.size());
  const auto drop = [&](auto& values) {
    size_t kept = 0;
    for (size_t k = 0; k < values.size(); ++k) {
      if (!repeated[k]) values[kept++] = values[k];
    }
    values.resize(kept);
  };
  drop(found_.users);
  drop(found_.items);
  drop(found_.lines);
  drop(found_.times);
  found_.duplicates = static_cast<int64_t>(repeated.size()) - found_.size();
  found_.user_ids = users.table();
  found_.item_ids = items.table();
  return std::move(found_);
}

}  // namespace derrd
