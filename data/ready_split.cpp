#include "data/ready_split.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "data/error.h"
#include "data/printable.h"
#include "data/readers.h"

namespace derrd {

namespace {

/// Numbering of the ids that several files share.
class CommonIds {
 public:
  /// Common number of each id of a file's table.
  std::vector<int32_t> add(const IdTable& ids) {
    std::vector<int32_t> numbers(ids.size());
    for (int64_t i = 0; i < ids.size(); ++i) numbers[i] = numbering_.number(ids.text(i));
    return numbers;
  }

  int64_t size() const { return numbering_.size(); }

  /// Final table, and the final number of each common one.
  std::pair<IdTable, std::vector<int32_t>> finish() const {
    IdTable table = numbering_.table();
    std::vector<int32_t> numbers(size());
    std::iota(numbers.begin(), numbers.end(), 0);
    // The ids are distinct: those that are all in this range are exactly 0..n-1.
    const auto dense = [&](int64_t id) { return id >= 0 && id < size(); };
    if (table.numeric() && std::ranges::all_of(table.numbers(), dense)) {
      numbers.assign(table.numbers().begin(), table.numbers().end());
      table = IdTable::identity(size());
    }
    return {std::move(table), std::move(numbers)};
  }

 private:
  IdNumbering numbering_;
};

// Order of the parts.
enum : int64_t { kTrain, kValid, kTest, kCandidates };

struct Part {
  std::string name;
  Interactions interactions;
};

/// Sorted items of every user.
std::vector<std::vector<int32_t>> rows_of(const Interactions& interactions, int64_t num_users) {
  std::vector<std::vector<int32_t>> rows(num_users);
  for (int64_t k = 0; k < interactions.size(); ++k) {
    rows[interactions.users[k]].push_back(interactions.items[k]);
  }
  for (auto& row : rows) std::ranges::sort(row);
  return rows;
}

/// Location `<file>:<line>` of a user's last interaction, or of the last one with an item.
std::string location_of(const Part& part, int32_t user,
                        std::optional<int32_t> item = std::nullopt) {
  const Interactions& found = part.interactions;
  for (int64_t k = found.size() - 1; k >= 0; --k) {
    if (found.users[k] == user && found.items[k] == item.value_or(found.items[k])) {
      return fmt::format("{}:{}", part.name, found.lines[k]);
    }
  }
  return part.name;  // a user without items
}

[[noreturn]] void refuse(const std::string& location, const std::string& user,
                         std::string_view what) {
  throw Error(fmt::format("{}: user {} {}", location, printable(user), what));
}

InteractionRows interaction_rows(const Part& part, int64_t num_users) {
  InteractionRows rows;
  for (const auto& row : rows_of(part.interactions, num_users)) rows.add_row(row);
  return rows;
}

/// Refuses an item that a user has in two parts. @param purpose of the other part
void refuse_common_items(const Part& part, const InteractionRows& rows,
                         const InteractionRows& other, std::string_view purpose,
                         const Dataset& dataset) {
  for (int64_t u = 0; u < rows.num_rows(); ++u) {
    for (int32_t item : rows.row(u)) {
      if (!other.contains(u, item)) continue;
      refuse(location_of(part, static_cast<int32_t>(u), item), dataset.user_ids.text(u),
             fmt::format("has the item {} for {} too; remove it from one of the files",
                         printable(dataset.item_ids.text(item)), purpose));
    }
  }
}

void set_candidates(Dataset& dataset, const Part& part) {
  const auto rows = rows_of(part.interactions, dataset.num_users());
  for (const auto& row : rows) {
    dataset.num_candidates = std::max(dataset.num_candidates, static_cast<int64_t>(row.size()));
  }
  for (size_t u = 0; u < rows.size(); ++u) {
    for (int32_t item : rows[u]) {
      if (!dataset.train.contains(u, item) && !dataset.valid.contains(u, item) &&
          !dataset.test.contains(u, item)) {
        continue;
      }
      refuse(location_of(part, u, item), dataset.user_ids.text(u),
             fmt::format("has the candidate {}, an item that it interacted with; remove it",
                         printable(dataset.item_ids.text(item))));
    }
    dataset.candidates.insert(dataset.candidates.end(), rows[u].begin(), rows[u].end());
    dataset.candidates.resize((u + 1) * dataset.num_candidates, -1);
  }
}

std::vector<Part> read_parts(const ReadySplit& files, const ReadOptions& options) {
  std::vector<Part> parts;
  parts.push_back({files.train.string(), read_interactions(files.train, options)});
  parts.push_back({});
  if (files.valid)
    parts[kValid] = {files.valid->string(), read_interactions(*files.valid, options)};
  parts.push_back({files.test.string(), read_interactions(files.test, options)});
  if (files.candidates) {
    parts.push_back({files.candidates->string(), read_candidates(*files.candidates, options)});
  }
  return parts;
}

void renumber(std::vector<int32_t>& values, const std::vector<int32_t>& numbers) {
  for (int32_t& value : values) value = numbers[value];
}

/// Numbers users and items of all parts in common, and sets the ids of the data set.
void number_in_common(std::vector<Part>& parts, Dataset& dataset) {
  CommonIds users, items;
  for (Part& part : parts) {
    const int64_t known_users = users.size();
    const std::vector<int32_t> user_numbers = users.add(part.interactions.user_ids);
    const bool candidates = &part - parts.data() == kCandidates;
    if (candidates && users.size() > known_users) {
      const auto unknown =
          std::ranges::find_if(user_numbers, [&](int32_t user) { return user >= known_users; });
      const int32_t user = static_cast<int32_t>(unknown - user_numbers.begin());
      refuse(location_of(part, user), part.interactions.user_ids.text(user),
             "is in none of the other files; remove its candidates");
    }
    renumber(part.interactions.users, user_numbers);
    renumber(part.interactions.items, items.add(part.interactions.item_ids));
  }
  auto [user_ids, user_numbers] = users.finish();
  auto [item_ids, item_numbers] = items.finish();
  dataset.user_ids = std::move(user_ids);
  dataset.item_ids = std::move(item_ids);
  for (Part& part : parts) {
    renumber(part.interactions.users, user_numbers);
    renumber(part.interactions.items, item_numbers);
  }
}

}  // namespace

Dataset read_ready_split(const ReadySplit& files, const ReadOptions& options) {
  std::vector<Part> parts = read_parts(files, options);
  Dataset dataset;
  number_in_common(parts, dataset);
  const int64_t users = dataset.user_ids.size();
  dataset.train = interaction_rows(parts[kTrain], users);
  dataset.valid = interaction_rows(parts[kValid], users);
  dataset.test = interaction_rows(parts[kTest], users);
  refuse_common_items(parts[kValid], dataset.valid, dataset.train, "training", dataset);
  refuse_common_items(parts[kTest], dataset.test, dataset.train, "training", dataset);
  refuse_common_items(parts[kTest], dataset.test, dataset.valid, "validation", dataset);
  if (files.candidates) set_candidates(dataset, parts[kCandidates]);
  return dataset;
}

}  // namespace derrd
