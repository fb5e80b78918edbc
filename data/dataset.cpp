#include "data/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "data/error.h"
#include "data/printable.h"
#include "data/version.h"

namespace derrd {

namespace {

constexpr std::string_view kFormat = "derrd-dataset";
constexpr int64_t kMaxCount = std::numeric_limits<int32_t>::max();

/// Value of a text that is the canonical decimal form of an int64.
std::optional<int64_t> canonical_integer(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  // A number that prints otherwise than it was written, such as "007" or "-0", would lose its text.
  if (std::to_string(value) != text) return std::nullopt;
  return value;
}

[[noreturn]] void refuse_user(std::string_view name, int64_t user, std::string_view what) {
  throw Error(fmt::format("{}: user {}: {}; prepare the data set again", name, user, what));
}

double sparsity_of(int64_t interactions, int64_t users, int64_t items) {
  if (users == 0 || items == 0) return 1.0;
  return 1.0 - static_cast<double>(interactions) /
                   (static_cast<double>(users) * static_cast<double>(items));
}

}  // namespace

bool InteractionRows::contains(int64_t u, int32_t i) const {
  return std::ranges::binary_search(row(u), i);
}

int64_t InteractionRows::longest_row() const {
  size_t longest = 0;
  for (int64_t u = 0; u < num_rows(); ++u) longest = std::max(longest, row(u).size());
  return static_cast<int64_t>(longest);
}

int64_t InteractionRows::filled_rows() const {
  int64_t filled = 0;
  for (int64_t u = 0; u < num_rows(); ++u) filled += row(u).empty() ? 0 : 1;
  return filled;
}

void InteractionRows::add_row(std::span<const int32_t> row) {
  items.insert(items.end(), row.begin(), row.end());
  offsets.push_back(num_interactions());
}

InteractionRows InteractionRows::at_most_one(std::span<const int32_t> items) {
  InteractionRows rows;
  for (const int32_t& item : items) rows.add_row({&item, item == -1 ? size_t{0} : size_t{1}});
  return rows;
}

// --- Ids -----------------------------------------------------------------------------------------

IdTable::IdTable(std::vector<int64_t> ids) : numbers_(std::move(ids)), order_(numbers_.size()) {
  sort();
}

IdTable IdTable::from_texts(std::span<const std::string_view> texts) {
  std::vector<int64_t> numbers;
  numbers.reserve(texts.size());
  for (std::string_view text : texts) {
    const std::optional<int64_t> number = canonical_integer(text);
    if (!number) break;
    numbers.push_back(*number);
  }
  if (numbers.size() == texts.size()) return IdTable(std::move(numbers));

  std::vector<uint8_t> bytes;
  std::vector<int64_t> offsets{0};
  offsets.reserve(texts.size() + 1);
  for (std::string_view text : texts) {
    bytes.insert(bytes.end(), text.begin(), text.end());
    offsets.push_back(static_cast<int64_t>(bytes.size()));
  }
  return from_bytes(std::move(bytes), std::move(offsets));
}

IdTable IdTable::from_bytes(std::vector<uint8_t> bytes, std::vector<int64_t> offsets) {
  if (offsets.empty() || offsets.front() != 0 ||
      offsets.back() != static_cast<int64_t>(bytes.size()) || !std::ranges::is_sorted(offsets)) {
    throw Error("the offsets of the ids do not divide their bytes; write the file again");
  }
  IdTable table;
  table.bytes_ = std::move(bytes);
  table.offsets_ = std::move(offsets);
  table.order_.resize(table.offsets_.size() - 1);
  table.sort();
  return table;
}

IdTable IdTable::identity(int64_t n) {
  std::vector<int64_t> ids(n);
  std::iota(ids.begin(), ids.end(), int64_t{0});
  return IdTable(std::move(ids));
}

void IdTable::sort() {
  if (size() > kMaxCount) {
    throw Error(fmt::format("{} ids are more than the {} allowed; prepare a part of the data",
                            size(), kMaxCount));
  }
  std::iota(order_.begin(), order_.end(), 0);
  const auto find_repeated = [&](auto key) {
    if (!std::ranges::is_sorted(order_, {}, key)) std::ranges::sort(order_, {}, key);
    return std::ranges::adjacent_find(order_, {}, key);
  };
  const auto repeated = numeric() ? find_repeated([&](int32_t i) { return numbers_[i]; })
                                  : find_repeated([&](int32_t i) { return string(i); });
  if (repeated != order_.end()) {
    throw Error(fmt::format("the id {} occurs twice; give every user and item an id of its own",
                            printable(text(*repeated))));
  }
}

std::string_view IdTable::string(int64_t i) const {
  const auto* text = reinterpret_cast<const char*>(bytes_.data());
  return {text + offsets_[i], static_cast<size_t>(offsets_[i + 1] - offsets_[i])};
}

std::string IdTable::text(int64_t i) const {
  return numeric() ? std::to_string(numbers_[i]) : std::string(string(i));
}

std::optional<int32_t> IdTable::find(std::string_view text) const {
  const auto search = [&](const auto& wanted, auto key) -> std::optional<int32_t> {
    const auto found = std::ranges::lower_bound(order_, wanted, {}, key);
    if (found == order_.end() || key(*found) != wanted) return std::nullopt;
    return *found;
  };
  if (!numeric()) return search(text, [&](int32_t i) { return string(i); });
  const std::optional<int64_t> number = canonical_integer(text);
  if (!number) return std::nullopt;
  return search(*number, [&](int32_t i) { return numbers_[i]; });
}

IdTable IdTable::select(std::span<const int32_t> selection) const {
  if (numeric()) {
    std::vector<int64_t> ids;
    ids.reserve(selection.size());
    for (int32_t i : selection) ids.push_back(numbers_[i]);
    return IdTable(std::move(ids));
  }
  // From texts, because the ids that remain may all be integers.
  std::vector<std::string_view> texts;
  texts.reserve(selection.size());
  for (int32_t i : selection) texts.push_back(string(i));
  return from_texts(texts);
}

// --- Validation ----------------------------------------------------------------------------------

namespace {

/// A part of a data set, and its name in messages and in a file's tensors.
struct Part {
  std::string name;
  const InteractionRows* rows;
};

std::array<Part, 3> parts_of(const Dataset& dataset) {
  return {{{"train", &dataset.train}, {"valid", &dataset.valid}, {"test", &dataset.test}}};
}

void validate_user(const Dataset& dataset, int64_t u, std::string_view name,
                   std::vector<int32_t>& scratch) {
  const auto num_items = static_cast<int32_t>(dataset.num_items());
  for (const auto& [part, rows] : parts_of(dataset)) {
    const auto row = rows->row(u);
    for (size_t k = 0; k < row.size(); ++k) {
      if (row[k] < 0 || row[k] >= num_items) {
        refuse_user(name, u, fmt::format("there is no item {}", row[k]));
      }
      if (k > 0 && row[k - 1] >= row[k]) {
        refuse_user(name, u, fmt::format("its {} items are not ascending and distinct", part));
      }
    }
  }
  const auto refuse_common = [&](const InteractionRows& a, const InteractionRows& b,
                                 std::string_view what) {
    scratch.clear();
    std::ranges::set_intersection(a.row(u), b.row(u), std::back_inserter(scratch));
    if (!scratch.empty()) refuse_user(name, u, fmt::format(fmt::runtime(what), scratch[0]));
  };
  refuse_common(dataset.train, dataset.valid, "its held-out item {} is among its training items");
  refuse_common(dataset.train, dataset.test, "its held-out item {} is among its training items");
  refuse_common(dataset.valid, dataset.test, "item {} is both validation and test");

  const auto candidates = dataset.candidates_of(u);
  const auto padding = std::ranges::find(candidates, -1);
  if (!std::all_of(padding, candidates.end(), [](int32_t i) { return i == -1; })) {
    refuse_user(name, u, "a candidate follows the padding");
  }
  scratch.assign(candidates.begin(), padding);
  if (!std::ranges::is_sorted(scratch)) std::ranges::sort(scratch);
  if (std::ranges::adjacent_find(scratch) != scratch.end()) {
    refuse_user(name, u, "a candidate occurs twice");
  }
  for (int32_t candidate : scratch) {
    if (candidate < 0 || candidate >= num_items) {
      refuse_user(name, u, fmt::format("there is no item {}", candidate));
    }
  }
  for (const auto& [part, rows] : parts_of(dataset)) {
    auto seen = rows->row(u).begin();
    const auto end = rows->row(u).end();
    for (int32_t candidate : scratch) {
      seen = std::lower_bound(seen, end, candidate);
      if (seen != end && *seen == candidate) {
        refuse_user(name, u,
                    fmt::format("its candidate {} is an item that it interacted with", candidate));
      }
    }
  }
}

}  // namespace

void validate(const Dataset& dataset, std::string_view name) {
  const auto refuse = [&](std::string_view what) {
    throw Error(fmt::format("{}: {}; prepare the data set again", name, what));
  };
  for (const auto& [part, rows] : parts_of(dataset)) {
    const auto& offsets = rows->offsets;
    if (offsets.empty() || offsets.front() != 0 || !std::ranges::is_sorted(offsets) ||
        offsets.back() != rows->num_interactions()) {
      refuse(fmt::format("{0}_offsets do not divide {0}_items", part));
    }
  }
  const int64_t users = dataset.num_users();
  if (users > kMaxCount || dataset.num_items() > kMaxCount) {
    refuse("has more than 2^31 - 1 users or items");
  }
  if (dataset.user_ids.size() != users) {
    refuse(fmt::format("has {} users but {} user ids", users, dataset.user_ids.size()));
  }
  if (dataset.valid.num_rows() != users || dataset.test.num_rows() != users) {
    refuse(fmt::format("has {} users, {} rows of validation and {} of test items", users,
                       dataset.valid.num_rows(), dataset.test.num_rows()));
  }
  const auto num_candidates = static_cast<int64_t>(dataset.candidates.size());
  const bool divides =
      users == 0 ? num_candidates == 0
                 : num_candidates % users == 0 && num_candidates / users == dataset.num_candidates;
  if (dataset.num_candidates < 0 || !divides) {
    refuse("the candidates are not a matrix with a row for every user");
  }

  std::vector<int32_t> scratch;
  for (int64_t u = 0; u < users; ++u) validate_user(dataset, u, name, scratch);
}

// --- Statistics ----------------------------------------------------------------------------------

double Statistics::sparsity() const { return sparsity_of(interactions, users, items); }
double Statistics::train_sparsity() const { return sparsity_of(train_interactions, users, items); }

Statistics statistics(const Dataset& dataset) {
  Statistics result;
  result.users = dataset.num_users();
  result.items = dataset.num_items();
  result.train_interactions = dataset.train.num_interactions();
  result.valid_interactions = dataset.valid.num_interactions();
  result.test_interactions = dataset.test.num_interactions();
  result.valid_users = dataset.valid.filled_rows();
  result.test_users = dataset.test.filled_rows();
  result.interactions =
      result.train_interactions + result.valid_interactions + result.test_interactions;
  return result;
}

std::string describe_candidates(const Dataset& dataset) {
  int64_t fewest = dataset.num_candidates, most = 0;
  for (int64_t u = 0; u < dataset.num_users(); ++u) {
    const auto row = dataset.candidates.begin() + u * dataset.num_candidates;
    const int64_t count = std::find(row, row + dataset.num_candidates, -1) - row;
    fewest = std::min(fewest, count);
    most = std::max(most, count);
  }
  if (fewest >= most) return fmt::format("{} candidates", fewest);
  return fmt::format("{} to {} candidates", fewest, most);
}

std::string format_statistics(const Statistics& statistics) {
  const auto grouped = [](int64_t count) {
    std::string digits = std::to_string(count);
    for (auto end = static_cast<int64_t>(digits.size()) - 3; end > 0; end -= 3) {
      digits.insert(static_cast<size_t>(end), 1, ',');
    }
    return digits;
  };
  const auto line = [&](std::string_view part, int64_t interactions, double sparsity) {
    return fmt::format("{:<10} {:>12} {:>12} {:>14} {:>9.3f}%\n", part, grouped(statistics.users),
                       grouped(statistics.items), grouped(interactions), 100.0 * sparsity);
  };
  std::string text = fmt::format("{:<10} {:>12} {:>12} {:>14} {:>10}\n", "", "users", "items",
                                 "interactions", "sparsity");
  text += line("all", statistics.interactions, statistics.sparsity());
  text += line("training", statistics.train_interactions, statistics.train_sparsity());
  const auto held_out = [&](int64_t users, int64_t interactions, std::string_view part) {
    if (users == interactions) return fmt::format("{} a {} item", grouped(users), part);
    return fmt::format("{} together {} {} items", grouped(users), grouped(interactions), part);
  };
  text +=
      fmt::format("users with held-out items: {}, {}\n",
                  held_out(statistics.test_users, statistics.test_interactions, "test"),
                  held_out(statistics.valid_users, statistics.valid_interactions, "validation"));
  return text;
}

// --- Files ---------------------------------------------------------------------------------------

namespace {

/// The tensors of a data set, which they view, and what of them it does not hold itself.
struct DatasetTensors {
  explicit DatasetTensors(const Dataset& dataset);
  DatasetTensors(const DatasetTensors&) = delete;
  DatasetTensors& operator=(const DatasetTensors&) = delete;

  TensorMap tensors;

 private:
  void add_rows(const std::string& part, const InteractionRows& rows) {
    tensors[part + "_offsets"] = tensor_view(rows.offsets);
    tensors[part + "_items"] = tensor_view(rows.items);
  }
  /// Adds rows, as the only item of each where no row has several.
  void add_held_out(const std::string& part, const InteractionRows& rows,
                    std::vector<int32_t>& only_item) {
    if (rows.longest_row() > 1) {
      add_rows(part, rows);
      return;
    }
    for (int64_t u = 0; u < rows.num_rows(); ++u) {
      only_item.push_back(rows.row(u).empty() ? -1 : rows.row(u)[0]);
    }
    tensors[part + "_item"] = tensor_view(only_item);
  }

  std::vector<int32_t> valid_item_, test_item_;  // [U], -1: none
};

DatasetTensors::DatasetTensors(const Dataset& dataset) {
  add_rows("train", dataset.train);
  add_held_out("valid", dataset.valid, valid_item_);
  add_held_out("test", dataset.test, test_item_);
  tensors["candidates"] =
      tensor_view(std::span(dataset.candidates), {dataset.num_users(), dataset.num_candidates});
  add_ids(tensors, "user", dataset.user_ids);
  add_ids(tensors, "item", dataset.item_ids);
}

InteractionRows read_rows(const SafetensorsFile& file, const std::string& part) {
  return {file.values<int64_t>(part + "_offsets"), file.values<int32_t>(part + "_items")};
}

/// Reads rows of held-out items in either form.
InteractionRows read_held_out(const SafetensorsFile& file, const std::string& part) {
  if (!file.contains(part + "_item")) return read_rows(file, part);
  if (file.contains(part + "_items") || file.contains(part + "_offsets")) {
    throw Error(fmt::format("{0}: has both {1}_item and {1}_items or {1}_offsets; keep one form",
                            file.name(), part));
  }
  return InteractionRows::at_most_one(file.values<int32_t>(part + "_item"));
}

std::string statistics_json(const Statistics& statistics) {
  return nlohmann::json{{"users", statistics.users},
                        {"items", statistics.items},
                        {"interactions", statistics.interactions},
                        {"sparsity", statistics.sparsity()},
                        {"train_interactions", statistics.train_interactions},
                        {"train_sparsity", statistics.train_sparsity()},
                        {"valid_interactions", statistics.valid_interactions},
                        {"test_interactions", statistics.test_interactions},
                        {"valid_users", statistics.valid_users},
                        {"test_users", statistics.test_users}}
      .dump();
}

}  // namespace

void add_ids(TensorMap& tensors, const std::string& kind, const IdTable& ids) {
  if (ids.numeric()) {
    tensors[kind + "_ids"] = tensor_view(ids.numbers());
  } else {
    tensors[kind + "_id_bytes"] = tensor_view(ids.bytes());
    tensors[kind + "_id_offsets"] = tensor_view(ids.offsets());
  }
}

IdTable read_ids(const SafetensorsFile& file, const std::string& kind) {
  try {
    if (file.contains(kind + "_id_bytes")) {
      if (file.contains(kind + "_ids")) throw Error("are there as numbers and as texts; keep one");
      return IdTable::from_bytes(file.values<uint8_t>(kind + "_id_bytes"),
                                 file.values<int64_t>(kind + "_id_offsets"));
    }
    return IdTable(file.values<int64_t>(kind + "_ids"));
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {} ids: {}", file.name(), kind, error.what()));
  }
}

bool has_ids(const SafetensorsFile& file, const std::string& kind) {
  return file.contains(kind + "_ids") || file.contains(kind + "_id_bytes");
}

bool is_id_tensor(std::string_view name) {
  constexpr std::array<std::string_view, 6> kNames = {"user_ids",        "user_id_bytes",
                                                      "user_id_offsets", "item_ids",
                                                      "item_id_bytes",   "item_id_offsets"};
  return std::ranges::find(kNames, name) != kNames.end();
}

std::string hash_dataset(const Dataset& dataset) {
  return hash_tensors(DatasetTensors(dataset).tensors);
}

std::string save_dataset(const Dataset& dataset, const std::filesystem::path& path) {
  validate(dataset, path.string());
  const DatasetTensors file(dataset);
  const std::string hash = hash_tensors(file.tensors);
  write_safetensors(path, file.tensors,
                    {{"format", std::string(kFormat)},
                     {"version", kVersion},
                     {"options", dataset.options},
                     {"seed", std::to_string(dataset.seed)},
                     {"statistics", statistics_json(statistics(dataset))},
                     {"hash", hash}});
  return hash;
}

Dataset load_dataset(const std::filesystem::path& path) {
  return load_dataset(SafetensorsFile::read(path));
}

Dataset load_dataset(const SafetensorsFile& file) {
  if (const std::string format = file.metadata_or("format", "none"); format != kFormat) {
    throw Error(
        fmt::format("{}: is no data set (its format is {}); make one with `derrd prepare` or "
                    "`derrd synthesize`",
                    file.name(), printable(format)));
  }
  Dataset dataset;
  dataset.hash = hash_tensors(file.tensors());
  if (const std::string hash = file.metadata_or("hash", dataset.hash); hash != dataset.hash) {
    throw Error(
        fmt::format("{}: is damaged: its tensors do not have the hash {} of its metadata; prepare "
                    "the data set again",
                    file.name(), printable(hash)));
  }
  dataset.train = read_rows(file, "train");
  dataset.valid = read_held_out(file, "valid");
  dataset.test = read_held_out(file, "test");
  dataset.candidates = file.values<int32_t>("candidates");
  const auto& shape = file.tensor("candidates").shape;
  if (shape.size() != 2) {
    throw Error(
        fmt::format("{}: candidates have {} dimensions instead of 2; prepare the data set again",
                    file.name(), shape.size()));
  }
  dataset.num_candidates = shape[1];
  dataset.user_ids = read_ids(file, "user");
  dataset.item_ids = read_ids(file, "item");

  const std::string seed = file.metadata_or("seed", "0");
  const auto [end, error] = std::from_chars(seed.data(), seed.data() + seed.size(), dataset.seed);
  if (error != std::errc() || end != seed.data() + seed.size()) {
    throw Error(
        fmt::format("{}: the seed {} in its metadata is not a number; prepare the data set again",
                    file.name(), printable(seed)));
  }
  dataset.options = file.metadata_or("options", "{}");
  dataset.version = file.metadata_or("version", "");
  validate(dataset, file.name());
  return dataset;
}

}  // namespace derrd
