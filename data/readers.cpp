#include "data/readers.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "data/error.h"
#include "data/formats/file_bytes.h"
#include "data/formats/text_lines.h"
#include "data/list_readers.h"
#include "data/table_readers.h"

namespace derrd {

namespace {

bool is_table(Format format) {
  return format != Format::kCiteulike && format != Format::kAdjacency;
}

/// Format of a file with one line per user: in kCiteulike the first word counts the others, in
/// kAdjacency it names the user.
Format guess_list_format(LineReader lines) {
  constexpr int64_t kMaxLines = 1000;
  int64_t sampled = 0, counted = 0;
  bool same_width = true;
  size_t width = 0;
  std::vector<std::string_view> words;
  while (sampled < kMaxLines && lines.next_filled()) {
    split_words(lines.line(), words);
    size_t count = 0;
    const auto parsed = std::from_chars(words[0].data(), words[0].data() + words[0].size(), count);
    counted += parsed.ec == std::errc() && count == words.size() - 1;
    same_width &= sampled == 0 || words.size() == width;
    width = words.size();
    ++sampled;
  }
  // Lines of equal width may also be a table whose columns are separated by spaces.
  if (same_width) {
    throw Error(fmt::format("{}: the format can't be told from the contents; name it with --format",
                            lines.file()));
  }
  return 2 * counted > sampled ? Format::kCiteulike : Format::kAdjacency;
}

}  // namespace

Format guess_format(std::string_view text, std::string_view name) {
  for (const auto& [ending, format] :
       {std::pair{".inter", Format::kInter}, {".tsv", Format::kTsv}, {".csv", Format::kCsv}}) {
    if (name.ends_with(ending)) return format;
  }
  LineReader lines(text, name);
  LineReader first = lines;
  if (!first.next_filled()) {
    throw Error(fmt::format("{}: is empty; check that it is the right file", name));
  }
  const auto has = [&](std::string_view mark) {
    return first.line().find(mark) != std::string_view::npos;
  };
  if (has("::")) return Format::kMovielens;
  if (has(":token")) return Format::kInter;
  if (has("\t")) return Format::kTsv;
  if (has(",")) return Format::kCsv;
  return guess_list_format(lines);
}

namespace {

Interactions parse_as_chosen(LineReader lines, const ReadOptions& options) {
  if (is_table(options.format)) return parse_table(lines, options);
  if (!(options.user_column + options.item_column + options.rating_column).empty() ||
      options.min_rating || options.header != Header::kAuto) {
    throw Error(
        fmt::format("{}: the format {} has no columns, ratings or header; leave these options out",
                    lines.file(), format_name(options.format)));
  }
  return options.format == Format::kCiteulike ? parse_citeulike(lines) : parse_adjacency(lines);
}

}  // namespace

Interactions parse_interactions(std::string_view text, std::string_view name,
                                const ReadOptions& options) {
  ReadOptions chosen = options;
  if (chosen.format == Format::kAuto) chosen.format = guess_format(text, name);
  Interactions result = parse_as_chosen(LineReader(text, name), chosen);
  result.format = format_name(chosen.format);
  return result;
}

Interactions read_interactions(const std::filesystem::path& path, const ReadOptions& options) {
  return parse_interactions(read_text(path), path.string(), options);
}

}  // namespace derrd
