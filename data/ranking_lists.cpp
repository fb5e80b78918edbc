#include "data/ranking_lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <unordered_set>
#include <utility>

#include "data/error.h"
#include "data/formats/file_bytes.h"
#include "data/formats/text_lines.h"
#include "data/joined.h"
#include "data/printable.h"
#include "data/row_alignment.h"

namespace derrd {

namespace {

struct ListEntry {
  int64_t position;  // in the file: a line number, or an index of a tensor
  int32_t user, item;
  float score;
};

/// Lists of entries, which are in rank order within each user.
/// @param refuse_repetition throws; its arguments are the second entry of one user and item, and
/// the position of the first
RankingLists lists_of(std::vector<ListEntry> entries, bool scored, const Dataset& dataset,
                      const std::function<void(const ListEntry&, int64_t)>& refuse_repetition) {
  RankingLists lists;
  std::ranges::stable_sort(entries, {}, &ListEntry::user);
  std::vector<ListEntry> by_item;
  auto begin = entries.begin();
  for (int32_t u = 0; u < dataset.num_users(); ++u) {
    const auto end =
        std::find_if(begin, entries.end(), [u](const ListEntry& e) { return e.user != u; });
    by_item.assign(begin, end);
    std::ranges::stable_sort(by_item, {}, &ListEntry::item);
    const auto repeated = std::ranges::adjacent_find(by_item, {}, &ListEntry::item);
    if (repeated != by_item.end()) refuse_repetition(*(repeated + 1), repeated->position);

    for (; begin != end; ++begin) {
      if (dataset.train.contains(u, begin->item)) {
        ++lists.observed;
        continue;
      }
      lists.items.push_back(begin->item);
      if (scored) lists.scores.push_back(begin->score);
    }
    lists.offsets.push_back(static_cast<int64_t>(lists.items.size()));
    const auto trained = static_cast<int64_t>(dataset.train.row(u).size());
    if (lists.offsets[u + 1] > lists.offsets[u] || trained == dataset.num_items()) {
      ++lists.matched_users;
    } else if (lists.absent.size() < kExampleIds) {
      lists.absent.push_back(dataset.user_ids.text(u));
    }
  }
  return lists;
}

}  // namespace

int64_t ranking_lists_bytes(int64_t entries) {
  // Sorting them takes half as much once more.
  return entries * static_cast<int64_t>(sizeof(ListEntry)) * 3 / 2;
}

namespace {

// --- Text ----------------------------------------------------------------------------------------

template <class T>
std::optional<T> number_of(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}
/// Number of a score, which may be smaller than the smallest float32.
template <>
std::optional<float> number_of<float>(std::string_view text) {
  const std::optional<double> value = number_of<double>(text);
  if (!value) return std::nullopt;
  const bool too_large = std::abs(*value) > std::numeric_limits<float>::max();
  if (std::isfinite(*value) && too_large) return std::nullopt;
  return static_cast<float>(*value);
}

/// Reader of lists in text.
class TextLists {
 public:
  TextLists(std::string_view text, std::string_view name, const Dataset& dataset)
      : lines_(text, name),
        dataset_(dataset),
        last_rank_(static_cast<size_t>(dataset.num_users()), 0),
        last_score_(last_rank_.size(), std::numeric_limits<float>::infinity()) {}

  RankingLists parse() {
    bool first = true;
    while (lines_.next_filled()) {
      split();
      if (!std::exchange(first, false) || !resolve()) add();
    }
    const std::string_view name = lines_.file();
    RankingLists lists =
        lists_of(std::move(entries_), score_.has_value(), dataset_,
                 [&](const ListEntry& entry, int64_t line) {
                   throw Error(fmt::format(
                       "{}:{}: the user {} has the item {} on line {} already; keep one of them",
                       name, entry.position, printable(dataset_.user_ids.text(entry.user)),
                       printable(dataset_.item_ids.text(entry.item)), line));
                 });
    lists.unknown_users = static_cast<int64_t>(unknown_users_.size());
    lists.unknown_items = static_cast<int64_t>(unknown_items_.size());
    lists.unknown = std::move(unknown_);
    return lists;
  }

 private:
  void split() {
    cells_.clear();
    std::string_view rest = lines_.line();
    for (;;) {
      const size_t end = rest.find('\t');
      cells_.push_back(trim(rest.substr(0, end)));
      if (end == std::string_view::npos) return;
      rest.remove_prefix(end + 1);
    }
  }

  /// Finds the columns. Returns whether the first line names them.
  bool resolve() {
    const auto column = [&](std::string_view name) -> std::optional<size_t> {
      const auto found = std::ranges::find(cells_, name);
      if (found == cells_.end()) return std::nullopt;
      if (std::ranges::count(cells_, name) > 1) {
        lines_.fail(fmt::format("names two columns '{}'; keep one of the names", name));
      }
      return static_cast<size_t>(found - cells_.begin());
    };
    if (const auto user = column("user"), item = column("item"); user && item) {
      user_column_ = *user;
      item_column_ = *item;
      rank_ = column("rank");
      score_ = column("score");
      columns_ = cells_.size();
      columns_named_ = true;
      return true;
    }
    columns_ = cells_.size();
    if (columns_ < 2 || columns_ > 3) {
      lines_.fail(fmt::format(
          "has {} column{} instead of user, item and perhaps score; {}", columns_,
          columns_ == 1 ? "" : "s",
          columns_ == 1 ? "separate them by tabs" : "put a line with their names above"));
    }
    if (columns_ == 3) score_ = 2;
    return false;
  }

  void add() {
    if (cells_.size() != columns_) {
      lines_.fail(fmt::format("has {} column{}, and the first line has {}; correct it",
                              cells_.size(), cells_.size() == 1 ? "" : "s", columns_));
    }
    const std::string_view user_id = id(user_column_, "user");
    const std::string_view item_id = id(item_column_, "item");
    const float score = score_ ? number<float>(*score_, "score") : 0.0f;
    if (!std::isfinite(score)) {
      lines_.fail("has a score that is not finite; remove the line, or the column of scores");
    }
    const int64_t rank = rank_ ? number<int64_t>(*rank_, "rank") : 0;
    const std::optional<int32_t> user = dataset_.user_ids.find(user_id);
    const std::optional<int32_t> item = dataset_.item_ids.find(item_id);
    if (!user) note_unknown(unknown_users_, user_id);
    if (!item) note_unknown(unknown_items_, item_id);
    if (!user) return;
    check_order(*user, rank, score);
    if (item) entries_.push_back({lines_.number(), *user, *item, score});
  }

  void check_order(int32_t user, int64_t rank, float score) {
    if (rank_ && std::exchange(last_rank_[user], rank) >= rank) {
      lines_.fail(
          fmt::format("has the rank {}, which does not rise along the lines of its user, "
                      "from 1; sort them by rank",
                      rank));
    }
    if (score_ && std::exchange(last_score_[user], score) < score) {
      lines_.fail(
          fmt::format("has the score {}, higher than that above it in its user's list; sort each "
                      "user's lines, the best first{}",
                      score,
                      columns_named_ ? ""
                                     : ", or if it is a rank, put a line with the columns' names "
                                       "above: user, item, rank"));
    }
  }

  std::string_view id(size_t column, std::string_view what) const {
    if (cells_[column].empty()) {
      lines_.fail(fmt::format("has an empty {} in column {}; fill it or remove the line", what,
                              column + 1));
    }
    return cells_[column];
  }

  template <class T>
  T number(size_t column, std::string_view what) const {
    const std::optional<T> value = number_of<T>(cells_[column]);
    if (!value) {
      const char* names = columns_named_ || lines_.number() > 1
                              ? ""
                              : ", or if these are the columns' names, call them user, item, rank "
                                "and score";
      lines_.fail(fmt::format("the {} {} in column {} is not a number; correct it{}", what,
                              printable(cells_[column]), column + 1, names));
    }
    return *value;
  }

  void note_unknown(std::unordered_set<std::string_view>& seen, std::string_view id) {
    if (seen.insert(id).second && unknown_.size() < kExampleIds) unknown_.emplace_back(id);
  }

  LineReader lines_;
  const Dataset& dataset_;
  std::vector<std::string_view> cells_;
  size_t columns_ = 0;
  bool columns_named_ = false;
  size_t user_column_ = 0, item_column_ = 1;
  std::optional<size_t> rank_, score_;
  std::vector<int64_t> last_rank_;  // [U]
  std::vector<float> last_score_;   // [U]
  std::vector<ListEntry> entries_;
  std::unordered_set<std::string_view> unknown_users_, unknown_items_;
  std::vector<std::string> unknown_;
};

}  // namespace

RankingLists read_ranking_lists(const std::filesystem::path& path, const Dataset& dataset) {
  return parse_ranking_lists(read_text(path), path.string(), dataset);
}

RankingLists parse_ranking_lists(std::string_view text, std::string_view name,
                                 const Dataset& dataset) {
  return TextLists(text, name, dataset).parse();
}

// --- Tensors -------------------------------------------------------------------------------------

namespace {

/// Reader of lists in tensors.
class TensorLists {
 public:
  TensorLists(const SafetensorsFile& file, const RowAlignment& users, const RowAlignment& items)
      : file_(file),
        users_(users),
        items_(items),
        shape_(file.tensor("items").shape),
        item_(file.values<int32_t>("items")) {
    if (shape_.size() != 2) {
      refuse(fmt::format("tensor 'items' has rank {}; it must be a matrix [users, ranks]",
                         shape_.size()));
    }
    if (file.contains("scores")) {
      score_ = file.floats("scores");
      if (file.tensor("scores").shape != shape_) {
        refuse(fmt::format("'scores' is [{}] and 'items' [{}]; give every item its score",
                           joined(file.tensor("scores").shape), joined(shape_)));
      }
    }
    user_ = list_users();
  }

  RankingLists lists(const Dataset& dataset) {
    std::vector<ListEntry> entries;
    std::unordered_set<int32_t> unknown_items;
    int64_t unknown_users = 0;
    for (int64_t r = 0; r < shape_[0]; ++r) {
      const int32_t user = users_.number[user_[r]];
      if (user < 0) ++unknown_users;
      const int64_t length = check_row(r);
      for (int64_t k = r * shape_[1]; k < r * shape_[1] + length; ++k) {
        const int32_t item = items_.number[item_[k]];
        if (item < 0) unknown_items.insert(item_[k]);
        if (user < 0 || item < 0) continue;
        entries.push_back({k, user, item, score_.empty() ? 0.0f : score_[k]});
      }
    }
    RankingLists lists =
        lists_of(std::move(entries), file_.contains("scores"), dataset,
                 [&](const ListEntry& entry, int64_t first) {
                   refuse(fmt::format("row {} of 'items' has {} in columns {} and {}; keep one",
                                      first / shape_[1], item_[first], first % shape_[1],
                                      entry.position % shape_[1]));
                 });
    lists.unknown_users = unknown_users;
    lists.unknown_items = static_cast<int64_t>(unknown_items.size());
    for (const RowAlignment* alignment : {&users_, &items_}) {
      for (const std::string& id : alignment->unknown) {
        if (lists.unknown.size() < kExampleIds) lists.unknown.push_back(id);
      }
    }
    return lists;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(fmt::format("{}: {}", file_.name(), what));
  }

  /// Number of the user whose list each row is.
  std::vector<int32_t> list_users() const {
    const int64_t rows = shape_[0];
    if (!file_.contains("users")) {
      if (rows != users_.rows()) {
        refuse(
            fmt::format("'items' has {} rows for {} users; add a tensor 'users' that says whose "
                        "they are",
                        rows, users_.rows()));
      }
      std::vector<int32_t> in_order(static_cast<size_t>(rows));
      std::iota(in_order.begin(), in_order.end(), 0);
      return in_order;
    }
    std::vector<int32_t> users = file_.values<int32_t>("users");
    if (static_cast<int64_t>(users.size()) != rows) {
      refuse(fmt::format("'users' has {} numbers and 'items' {} rows; give every list its user",
                         users.size(), rows));
    }
    std::vector<bool> seen(static_cast<size_t>(users_.rows()));
    for (const int32_t user : users) {
      if (user < 0 || user >= users_.rows()) {
        refuse(
            fmt::format("'users' has {}, and users are numbered from 0 to {}; give the data set "
                        "that the lists were made with",
                        user, users_.rows() - 1));
      }
      if (seen[user]) refuse(fmt::format("'users' has {} twice; keep one of the lists", user));
      seen[user] = true;
    }
    return users;
  }

  /// Number of items in row r, all of whose entries are checked.
  int64_t check_row(int64_t r) const {
    const auto items = std::span(item_).subspan(r * shape_[1], shape_[1]);
    const auto end = std::ranges::find(items, -1);
    if (!std::all_of(end, items.end(), [](int32_t i) { return i == -1; })) {
      refuse(fmt::format("row {} of 'items' goes on behind a -1; -1 stands behind the last", r));
    }
    for (auto item = items.begin(); item != end; ++item) {
      if (*item < 0 || *item >= items_.rows()) {
        refuse(
            fmt::format("row {} of 'items' has {}, and items are numbered from 0 to {}; give "
                        "the data set that the lists were made with",
                        r, *item, items_.rows() - 1));
      }
    }
    const int64_t length = end - items.begin();
    if (score_.empty()) return length;
    const auto scores = std::span(score_).subspan(r * shape_[1], length);
    if (!std::ranges::all_of(scores, [](float s) { return std::isfinite(s); })) {
      refuse(
          fmt::format("row {} of 'scores' has a score that is not finite; leave out the tensor "
                      "or the item",
                      r));
    }
    if (!std::ranges::is_sorted(scores, std::ranges::greater{})) {
      refuse(fmt::format("row {} of 'scores' rises; sort each row, the best first", r));
    }
    return length;
  }

  const SafetensorsFile& file_;
  const RowAlignment& users_;
  const RowAlignment& items_;
  const std::vector<int64_t> shape_;
  const std::vector<int32_t> item_;
  std::vector<float> score_;
  std::vector<int32_t> user_;  // [rows] number of each row's user
};

}  // namespace

RankingLists ranking_lists(const SafetensorsFile& file, const RowAlignment& users,
                           const RowAlignment& items, const Dataset& dataset) {
  return TensorLists(file, users, items).lists(dataset);
}

}  // namespace derrd
