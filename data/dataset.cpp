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

void validate_user(const Dataset& dataset, int64_t u, std::string_view name,
                   std::vector<int32_t>& scratch) {
  const auto num_items = static_cast<int32_t>(dataset.num_items());
  const auto row = dataset.train.row(u);
  for (size_t k = 0; k < row.size(); ++k) {
    if (row[k] < 0 || row[k] >= num_items) {
      refuse_user(name, u, fmt::format("there is no item {}", row[k]));
    }
    if (k > 0 && row[k - 1] >= row[k]) {
      refuse_user(name, u, "its training items are not ascending and distinct");
    }
  }
  const int32_t valid = dataset.valid_item[u], test = dataset.test_item[u];
  for (int32_t held_out : {valid, test}) {
    if (held_out < -1 || held_out >= num_items) {
      refuse_user(name, u, fmt::format("there is no item {}", held_out));
    }
    if (dataset.train.contains(u, held_out)) {
      refuse_user(name, u,
                  fmt::format("its held-out item {} is among its training items", held_out));
    }
  }
  if (valid >= 0 && valid == test) {
    refuse_user(name, u, fmt::format("item {} is both validation and test", valid));
  }

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
  auto trained = row.begin();
  for (int32_t candidate : scratch) {
    if (candidate < 0 || candidate >= num_items) {
      refuse_user(name, u, fmt::format("there is no item {}", candidate));
    }
    trained = std::lower_bound(trained, row.end(), candidate);
    if ((trained != row.end() && *trained == candidate) || candidate == valid ||
        candidate == test) {
      refuse_user(name, u,
                  fmt::format("its candidate {} is an item that it interacted with", candidate));
    }
  }
}

}  // namespace

void validate(const Dataset& dataset, std::string_view name) {
  const auto refuse = [&](std::string_view what) {
    throw Error(fmt::format("{}: {}; prepare the data set again", name, what));
  };
  const auto& offsets = dataset.train.offsets;
  if (offsets.empty() || offsets.front() != 0 || !std::ranges::is_sorted(offsets) ||
      offsets.back() != dataset.train.num_interactions()) {
    refuse("train_offsets do not divide train_items");
  }
  const int64_t users = dataset.num_users();
  if (users > kMaxCount || dataset.num_items() > kMaxCount) {
    refuse("has more than 2^31 - 1 users or items");
  }
  if (dataset.user_ids.size() != users) {
    refuse(fmt::format("has {} users but {} user ids", users, dataset.user_ids.size()));
  }
  if (static_cast<int64_t>(dataset.valid_item.size()) != users ||
      static_cast<int64_t>(dataset.test_item.size()) != users) {
    refuse(fmt::format("has {} users, {} validation and {} test items", users,
                       dataset.valid_item.size(), dataset.test_item.size()));
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
  const auto present = [](int32_t item) { return item >= 0; };
  Statistics result;
  result.users = dataset.num_users();
  result.items = dataset.num_items();
  result.train_interactions = dataset.train.num_interactions();
  result.valid_users = std::ranges::count_if(dataset.valid_item, present);
  result.test_users = std::ranges::count_if(dataset.test_item, present);
  result.interactions = result.train_interactions + result.valid_users + result.test_users;
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
  text += fmt::format("{} users have a test item, {} a validation item\n",
                      grouped(statistics.test_users), grouped(statistics.valid_users));
  return text;
}

// --- Files ---------------------------------------------------------------------------------------

namespace {

TensorMap tensors_of(const Dataset& dataset) {
  TensorMap tensors;
  tensors["train_offsets"] = tensor_view(dataset.train.offsets);
  tensors["train_items"] = tensor_view(dataset.train.items);
  tensors["valid_item"] = tensor_view(dataset.valid_item);
  tensors["test_item"] = tensor_view(dataset.test_item);
  tensors["candidates"] =
      tensor_view(std::span(dataset.candidates), {dataset.num_users(), dataset.num_candidates});
  add_ids(tensors, "user", dataset.user_ids);
  add_ids(tensors, "item", dataset.item_ids);
  return tensors;
}

std::string statistics_json(const Statistics& statistics) {
  return nlohmann::json{{"users", statistics.users},
                        {"items", statistics.items},
                        {"interactions", statistics.interactions},
                        {"sparsity", statistics.sparsity()},
                        {"train_interactions", statistics.train_interactions},
                        {"train_sparsity", statistics.train_sparsity()},
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

std::string hash_dataset(const Dataset& dataset) { return hash_tensors(tensors_of(dataset)); }

std::string save_dataset(const Dataset& dataset, const std::filesystem::path& path) {
  validate(dataset, path.string());
  const TensorMap tensors = tensors_of(dataset);
  const std::string hash = hash_tensors(tensors);
  write_safetensors(path, tensors,
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
  dataset.train.offsets = file.values<int64_t>("train_offsets");
  dataset.train.items = file.values<int32_t>("train_items");
  dataset.valid_item = file.values<int32_t>("valid_item");
  dataset.test_item = file.values<int32_t>("test_item");
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
