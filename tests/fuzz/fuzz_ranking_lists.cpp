// Feeds arbitrary input to the readers of ranking lists and of ids. The first byte chooses: text,
// ids, or a safetensors file.

#include <cstddef>
#include <cstdint>
#include <set>
#include <string_view>
#include <vector>

#include "data/error.h"
#include "data/ranking_lists.h"

namespace {

derrd::Dataset small_dataset() {
  derrd::Dataset dataset;
  dataset.train.offsets = {0, 0, 1, 6, 8};
  dataset.train.items = {0, 0, 1, 2, 3, 4, 1, 3};
  dataset.valid.offsets = dataset.test.offsets = {0, 0, 0, 0, 0};
  const std::vector<std::string_view> items{"a", "b", "c", "d", "e"};
  dataset.user_ids = derrd::IdTable::identity(4);
  dataset.item_ids = derrd::IdTable::from_texts(items);
  return dataset;
}

/// Whatever was accepted is a ranking of unobserved items.
void check(const derrd::RankingLists& lists, const derrd::Dataset& dataset) {
  if (lists.num_users() != dataset.num_users()) __builtin_trap();
  for (int64_t u = 0; u < dataset.num_users(); ++u) {
    std::set<int32_t> seen;
    for (int64_t k = lists.offsets[u]; k < lists.offsets[u + 1]; ++k) {
      const int32_t item = lists.items.at(k);
      if (item < 0 || item >= dataset.num_items() || dataset.train.contains(u, item) ||
          !seen.insert(item).second) {
        __builtin_trap();
      }
      const bool scored = !lists.scores.empty() && k > lists.offsets[u];
      if (scored && !(lists.scores.at(k) <= lists.scores.at(k - 1))) __builtin_trap();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const derrd::Dataset dataset = small_dataset();
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    if (data[0] % 3 == 0) {
      check(derrd::parse_ranking_lists(text, "input", dataset), dataset);
    } else if (data[0] % 3 == 1) {
      const auto alignment =
          derrd::align_by_ids(dataset.item_ids, derrd::parse_id_file(text, "input"));
      for (size_t i = 0; i < alignment.row.size(); ++i) {
        const int32_t row = alignment.row[i];
        if (row >= 0 && alignment.number[row] != static_cast<int32_t>(i)) __builtin_trap();
      }
    } else {
      const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
      const auto file = derrd::SafetensorsFile::parse({bytes, bytes + text.size()}, "input");
      check(derrd::ranking_lists(file, derrd::align_in_order(4), derrd::align_in_order(5), dataset),
            dataset);
    }
  } catch (const derrd::Error&) {
  }
  return 0;
}
