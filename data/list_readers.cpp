#include "data/list_readers.h"

#include <fmt/format.h>

#include "data/bad_lines.h"
#include "data/cells.h"
#include "data/parse_number.h"
#include "data/printable.h"
#include "data/text_sample.h"

namespace derrd {

namespace {

/// Adds the interactions of a user with the items of a line, which are its words from the second
/// on.
void add_items(InteractionsBuilder& builder, const LineReader& lines, std::string_view user,
               const std::vector<std::string_view>& words) {
  const int32_t number = number_id(builder.users, user, lines, "user", 0);
  for (size_t k = 1; k < words.size(); ++k) {
    builder.add(number, number_id(builder.items, words[k], lines, "item", k), lines);
  }
}

}  // namespace

Interactions parse_citeulike(LineReader& lines, const ReadOptions& options) {
  InteractionsBuilder builder;
  BadLines bad_lines(options);
  std::vector<std::string_view> words;
  const auto take = [&] {
    split_words(lines.line(), words);
    if (words.empty()) lines.fail("is empty; write 0 for a user without items, or remove the line");
    const auto count = parse_number<size_t>(words[0]);
    if (!count) {
      lines.fail(fmt::format(
          "begins with {} instead of the number of items; correct it, or name another --format",
          printable(words[0])));
    }
    if (*count != words.size() - 1) {
      lines.fail(
          fmt::format("announces {} items and has {}; correct the line, or name another --format",
                      *count, words.size() - 1));
    }
    add_items(builder, lines, std::to_string(lines.number() - 1), words);
  };
  for (bool more = true; more;) {
    bad_lines.guard([&] {
      more = lines.next();
      if (more) take();
    });
  }
  bad_lines.report(lines.file());
  return builder.finish();
}

Interactions parse_adjacency(LineReader& lines, const ReadOptions& options) {
  InteractionsBuilder builder;
  BadLines bad_lines(options);
  const auto comments = static_cast<int64_t>(sample_text(lines.head()).comments.size());
  if (comments > 0 && options.remark) {
    options.remark(fmt::format("{}: skipped {} lines of comments", lines.file(), comments));
  }
  std::vector<std::string_view> words;
  int64_t filled = 0;
  for (bool more = true; more;) {
    bad_lines.guard([&] {
      more = lines.next_filled();
      if (!more || ++filled <= comments) return;
      split_words(lines.line(), words);
      add_items(builder, lines, words[0], words);
    });
  }
  bad_lines.report(lines.file());
  return builder.finish();
}

std::optional<std::string_view> ncf_user(std::string_view line) {
  line = trim(line.substr(0, line.find('\t')));
  const size_t comma = line.find(',');
  if (!line.starts_with('(') || !line.ends_with(')') || comma == std::string_view::npos) {
    return std::nullopt;
  }
  return trim(line.substr(1, comma - 1));
}

Interactions parse_ncf_candidates(LineReader& lines, const ReadOptions& options) {
  InteractionsBuilder builder;
  BadLines bad_lines(options);
  std::vector<std::string_view> cells;
  CellSplitter splitter("\t");
  for (bool more = true; more;) {
    bad_lines.guard([&] {
      more = lines.next_filled();
      if (!more) return;
      const std::optional<std::string_view> user = ncf_user(lines.line());
      if (!user) lines.fail("does not begin with (user,item) and a tab; correct it");
      splitter.split(lines, cells);
      while (cells.size() > 1 && cells.back().empty()) cells.pop_back();  // a tab at the end
      add_items(builder, lines, *user, cells);
    });
  }
  bad_lines.report(lines.file());
  return builder.finish();
}

}  // namespace derrd
