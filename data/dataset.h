#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/formats/safetensors.h"

namespace derrd {

/// Items of every user in compressed rows: ascending and distinct within a row.
struct InteractionRows {
  std::vector<int64_t> offsets{0};  ///< [U+1]
  std::vector<int32_t> items;       ///< [offsets[U]]

  int64_t num_rows() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t num_interactions() const { return static_cast<int64_t>(items.size()); }
  std::span<const int32_t> row(int64_t u) const {
    return std::span(items).subspan(offsets[u], offsets[u + 1] - offsets[u]);
  }
  /// Returns true if user u has item i. O(log of the row's length).
  bool contains(int64_t u, int32_t i) const;
  /// Returns the length of the longest row.
  int64_t longest_row() const;
  /// Returns the number of rows with an item.
  int64_t filled_rows() const;
  /// Adds a row of ascending, distinct items.
  void add_row(std::span<const int32_t> row);
  /// Rows of at most one item each; -1: none.
  static InteractionRows at_most_one(std::span<const int32_t> items);
};

/// Original ids of the numbers 0..n-1: all of them 64-bit integers, or all of them strings. An id
/// such as "007" or "+7" makes a table of strings, so that every id keeps its text.
class IdTable {
 public:
  IdTable() = default;
  /// Table of integers. @throws Error if an id occurs twice.
  explicit IdTable(std::vector<int64_t> ids);
  /// Table of integers if every text is the canonical decimal form of an int64, else of strings.
  /// @throws Error if an id occurs twice.
  static IdTable from_texts(std::span<const std::string_view> texts);
  /// Table of strings; id i is bytes[offsets[i], offsets[i+1]).
  /// @throws Error if an id occurs twice or the offsets do not ascend within the bytes.
  static IdTable from_bytes(std::vector<uint8_t> bytes, std::vector<int64_t> offsets);
  /// Table of the ids 0..n-1.
  static IdTable identity(int64_t n);

  int64_t size() const { return static_cast<int64_t>(order_.size()); }
  bool numeric() const { return offsets_.empty(); }
  /// Returns the id with number i, as text.
  std::string text(int64_t i) const;
  /// Returns the number of the id with this text, if there is one. O(log n).
  std::optional<int32_t> find(std::string_view text) const;

  /// Integers [n]; empty unless numeric().
  const std::vector<int64_t>& numbers() const { return numbers_; }
  /// Strings back to back, and the offsets [n+1] where they start; empty if numeric().
  const std::vector<uint8_t>& bytes() const { return bytes_; }
  const std::vector<int64_t>& offsets() const { return offsets_; }

  /// Table of the ids `selection[0], selection[1], ...` of this one.
  IdTable select(std::span<const int32_t> selection) const;

 private:
  std::string_view string(int64_t i) const;
  void sort();

  std::vector<int64_t> numbers_;
  std::vector<uint8_t> bytes_;
  std::vector<int64_t> offsets_;
  std::vector<int32_t> order_;  // numbers in ascending order of their ids, for find()
};

/// A data set's figures of Table 1, for all parts together and for the training part alone.
struct Statistics {
  int64_t users = 0;
  int64_t items = 0;
  int64_t interactions = 0;  ///< training, validation and test together
  int64_t train_interactions = 0;
  int64_t valid_interactions = 0;
  int64_t test_interactions = 0;
  int64_t valid_users = 0;  ///< users with a validation item
  int64_t test_users = 0;   ///< users with a test item

  /// 1 - interactions / (users * items); 1 for an empty set.
  double sparsity() const;
  double train_sparsity() const;
};

/// Data set in three parts: what training and evaluation need, and the original ids.
struct Dataset {
  InteractionRows train;  ///< training items of each user
  InteractionRows valid;  ///< validation items of each user
  InteractionRows test;   ///< test items of each user
  /// [U,C] row-major: distinct items that the user never interacted with; a row with fewer than C
  /// of them is padded with -1 at its end.
  std::vector<int32_t> candidates;
  int64_t num_candidates = 0;  ///< C
  IdTable user_ids;            ///< [U]
  IdTable item_ids;            ///< [I]

  uint64_t seed = 0;           ///< seed of the split and the candidates
  std::string options = "{}";  ///< JSON: the options that made it
  std::string version;         ///< version of the program that wrote it; set by load_dataset
  std::string hash;            ///< hash of its tensors; set by load_dataset

  int64_t num_users() const { return train.num_rows(); }
  int64_t num_items() const { return item_ids.size(); }
  std::span<const int32_t> candidates_of(int64_t u) const {
    return std::span(candidates).subspan(u * num_candidates, num_candidates);
  }
  bool has_candidates(int64_t u) const {
    return num_candidates > 0 && candidates[u * num_candidates] >= 0;
  }
};

/// Checks that every field is as documented: sizes agree, items are in range, rows ascend, parts
/// are disjoint, candidates distinct and never interacted with.
/// @throws Error that names `name` and the first user concerned.
void validate(const Dataset& dataset, std::string_view name);

/// Counts of a data set.
Statistics statistics(const Dataset& dataset);
/// Number of candidates of a user, in words: "499 candidates", "12 to 20 candidates".
std::string describe_candidates(const Dataset& dataset);
/// Statistics as a few lines of text, like the paper's Table 1, with a newline at the end.
std::string format_statistics(const Statistics& statistics);

/// Hash of the tensors, as save_dataset writes it.
std::string hash_dataset(const Dataset& dataset);

/// Writes the data set atomically and returns its hash; data/README.md documents the tensors.
/// @throws Error if it isn't valid or can't be written.
std::string save_dataset(const Dataset& dataset, const std::filesystem::path& path);

/// Reads and validates a data set. @throws Error if the file is no data set, its contents aren't
/// valid, or differ from the hash in its metadata.
Dataset load_dataset(const std::filesystem::path& path);
/// Reads and validates a data set that is in memory. @throws Error as above.
Dataset load_dataset(const SafetensorsFile& file);

/// Ids of a kind ("user" or "item") in a file: the tensor user_ids, or user_id_bytes and
/// user_id_offsets. @throws Error that names the file.
IdTable read_ids(const SafetensorsFile& file, const std::string& kind);
/// Adds ids of a kind to the tensors of a file, as views of `ids`.
void add_ids(TensorMap& tensors, const std::string& kind, const IdTable& ids);
/// Returns true if the file has ids of a kind.
bool has_ids(const SafetensorsFile& file, const std::string& kind);
/// Returns true if a tensor of this name holds ids.
bool is_id_tensor(std::string_view name);

}  // namespace derrd
