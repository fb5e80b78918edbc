#include "data/list_readers.h"

#include <fmt/format.h>

#include <charconv>

#include "data/printable.h"

namespace derrd {

Interactions parse_citeulike(LineReader lines) {
  InteractionsBuilder builder;
  std::vector<std::string_view> words;
  while (lines.next()) {
    split_words(lines.line(), words);
    if (words.empty()) lines.fail("is empty; write 0 for a user without items, or remove the line");
    size_t count = 0;
    const std::string_view first = words[0];
    const auto [end, error] = std::from_chars(first.data(), first.data() + first.size(), count);
    if (error != std::errc() || end != first.data() + first.size()) {
      lines.fail(fmt::format(
          "begins with {} instead of the number of items; correct it, or name another --format",
          printable(first)));
    }
    if (count != words.size() - 1) {
      lines.fail(
          fmt::format("announces {} items and has {}; correct the line, or name another --format",
                      count, words.size() - 1));
    }
    const int32_t user = builder.users.number_copy(std::to_string(lines.number() - 1));
    for (size_t k = 1; k < words.size(); ++k) {
      builder.add(user, builder.items.number(words[k]), lines.number());
    }
  }
  return builder.finish();
}

Interactions parse_adjacency(LineReader lines) {
  InteractionsBuilder builder;
  std::vector<std::string_view> words;
  while (lines.next_filled()) {
    split_words(lines.line(), words);
    const int32_t user = builder.users.number(words[0]);
    for (size_t k = 1; k < words.size(); ++k) {
      builder.add(user, builder.items.number(words[k]), lines.number());
    }
  }
  return builder.finish();
}

}  // namespace derrd
