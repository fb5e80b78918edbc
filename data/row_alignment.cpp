#include "data/row_alignment.h"

#include <fmt/format.h>

#include <numeric>
#include <optional>
#include <span>
#include <unordered_map>

#include "data/formats/checksums.h"
#include "data/formats/file_bytes.h"
#include "data/formats/text_lines.h"
#include "data/printable.h"

namespace derrd {

namespace {

void add_example(std::vector<std::string>& examples, const IdTable& ids, int64_t i) {
  if (examples.size() < kExampleIds) examples.push_back(ids.text(i));
}

}  // namespace

RowAlignment align_by_ids(const IdTable& ours, const IdTable& theirs) {
  RowAlignment result;
  result.row.assign(static_cast<size_t>(ours.size()), -1);
  result.number.assign(static_cast<size_t>(theirs.size()), -1);
  for (int64_t r = 0; r < theirs.size(); ++r) {
    if (const std::optional<int32_t> number = ours.find(theirs.text(r))) {
      result.number[r] = *number;
      result.row[*number] = static_cast<int32_t>(r);
      ++result.matched;
    } else {
      add_example(result.unknown, theirs, r);
    }
  }
  for (int64_t n = 0; n < ours.size(); ++n) {
    if (result.row[n] < 0) add_example(result.absent, ours, n);
  }
  return result;
}

RowAlignment align_in_order(int64_t numbers) {
  RowAlignment result;
  result.row.resize(static_cast<size_t>(numbers));
  std::iota(result.row.begin(), result.row.end(), 0);
  result.number = result.row;
  result.matched = numbers;
  return result;
}

IdTable read_id_file(const std::filesystem::path& path) {
  const std::string text = read_text(path);
  check_by_list(path, std::as_bytes(std::span(text)));
  return parse_id_file(text, path.string());
}

IdTable parse_id_file(std::string_view text, std::string_view name) {
  std::vector<std::string_view> ids;
  std::unordered_map<std::string_view, int64_t> line_of;
  LineReader lines(text, name);
  while (lines.next()) {
    const std::string_view id = trim(lines.line());
    if (id.empty()) {
      lines.fail("is empty, and every line is a row's id; give each row of the matrix its id");
    }
    const auto [first, inserted] = line_of.try_emplace(id, lines.number());
    if (!inserted) {
      lines.fail(fmt::format("the id {} stands on line {} already; give every row its own",
                             printable(id), first->second));
    }
    ids.push_back(id);
  }
  return IdTable::from_texts(ids);
}

}  // namespace derrd
