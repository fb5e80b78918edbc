#include "data/readers.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>
#include <unordered_set>
#include <vector>

#include "data/column_names.h"
#include "data/error.h"
#include "data/formats/text_input.h"
#include "data/formats/text_lines.h"
#include "data/list_readers.h"
#include "data/table_readers.h"
#include "data/text_sample.h"

namespace derrd {

namespace {

bool is_table(Format format) {
  return format != Format::kCiteulike && format != Format::kAdjacency;
}

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// Refuses what is no list of interactions although it looks like a table.
void refuse_others(std::string_view file, const SampleLine& first, Format format) {
  const auto refuse = [&](std::string_view what) {
    throw Error(fmt::format("{}:{}: {}", file, first.number, what));
  };
  const std::string_view text = trim(first.text);
  if (text.ends_with(':') && is_digits(text.substr(0, text.size() - 1))) {
    refuse(
        "is the head of an item's block, as in Netflix's files; write every line as user,item,"
        "rating,date");
  }
  if (format == Format::kAuto && ncf_user(text) && text.find('\t') != std::string_view::npos) {
    refuse("is a list of candidates, as NCF writes it; name the file with --candidates");
  }
  if (text.starts_with("{\"") || text.starts_with("[{")) {
    refuse("is JSON; convert the file to a table, such as csv with a header");
  }
}

/// Format of a file whose lines are words between blanks.
Format guess_words_format(std::string_view file, std::span<const SampleLine> lines) {
  const Widths widths = widths_of(lines, "");
  size_t counted = 0;
  std::unordered_set<std::string_view> first_words;
  std::vector<std::string_view> words;
  for (size_t k = 0; k < lines.size(); ++k) {
    split_words(lines[k].text, words);
    counted += words[0] == std::to_string(words.size() - 1);
    first_words.insert(words[0]);
  }
  const size_t agreeing = widths.usual_lines;
  if (agreeing < lines.size() && 2 * counted > lines.size()) return Format::kCiteulike;
  split_words(lines[0].text, words);
  const auto names = [&](ColumnRole role) {
    return std::ranges::find(words, role, role_of_name) != words.end();
  };
  if (widths.agree() && 2 * counted <= lines.size()) {
    // Equal pairs are the same as a table and as lists. In a table users come again.
    const bool pairs = widths.usual == 2 && agreeing == lines.size();
    const bool repeated = 5 * first_words.size() <= 4 * lines.size();
    if (pairs || repeated || (names(ColumnRole::kUser) && names(ColumnRole::kItem))) {
      return Format::kTable;
    }
  }
  if (10 * agreeing > 9 * lines.size() || widths.usual == 1) {
    throw Error(fmt::format(
        "{}: the format can't be told from the contents; name it with --format: table (with "
        "--separator), adjacency (a line per user: user, items) or citeulike (count, items)",
        file));
  }
  return Format::kAdjacency;
}

Format guess(const LineReader& text) {
  std::string_view name = text.file();
  if (name.ends_with(".gz")) name.remove_suffix(3);
  if (name.ends_with(".inter")) return Format::kInter;
  const std::optional<Format> by_ending = name.ends_with(".tsv")   ? std::optional(Format::kTsv)
                                          : name.ends_with(".csv") ? std::optional(Format::kCsv)
                                                                   : std::nullopt;
  const TextSample sample = sample_text(text.head());
  if (sample.lines.empty()) {
    if (by_ending) return *by_ending;
    throw Error(fmt::format("{}: is empty; check that it is the right file", text.file()));
  }
  const std::string_view first = sample.lines[0].text;
  if (first.find(":token") != std::string_view::npos && first.find(',') == std::string_view::npos) {
    return Format::kInter;
  }
  if (const std::optional<std::string> separator = agreed_separator(sample.lines)) {
    return *separator == "\t"   ? Format::kTsv
           : *separator == ","  ? Format::kCsv
           : *separator == "::" ? Format::kMovielens
                                : Format::kTable;
  }
  if (by_ending) return *by_ending;
  for (const SampleLine& line : sample.lines) {
    if (line.text.find('\t') == std::string_view::npos) continue;
    throw Error(fmt::format(
        "{}:{}: has tabs, but the lines differ in their number; name the --format: tsv, or "
        "adjacency (a line per user: user, items)",
        text.file(), line.number));
  }
  return guess_words_format(text.file(), sample.lines);
}

}  // namespace

Format guess_format(std::string_view text, std::string_view name) {
  return guess(LineReader(text, name));
}

namespace {

/// Prints the guess of a format that is no table.
void remark_guess(std::string_view file, const ReadOptions& options) {
  if (!options.remark || is_table(options.format)) return;
  options.remark(fmt::format("{}: each line is taken for {}; if not, name the --format", file,
                             options.format == Format::kCiteulike
                                 ? "a user's number of items and the items, as in format citeulike"
                                 : "a user and its items, as in format adjacency"));
}

Interactions parse(LineReader& lines, const ReadOptions& options) {
  const TextSample sample = sample_text(lines.head());
  if (!sample.lines.empty()) refuse_others(lines.file(), sample.lines[0], options.format);
  ReadOptions chosen = options;
  if (options.separator && options.format == Format::kAuto) chosen.format = Format::kTable;
  if (chosen.format == Format::kAuto) {
    chosen.format = guess(lines);
    remark_guess(lines.file(), chosen);
  }
  const auto read = [&] {
    if (is_table(chosen.format)) return parse_table(lines, chosen);
    if (options.times) {
      throw Error(
          fmt::format("{}: the format {} has no times; split by `--split random`, or convert the "
                      "file to a table with a column of times",
                      lines.file(), format_name(chosen.format)));
    }
    if (!(options.user_column + options.item_column + options.rating_column).empty() ||
        options.min_rating || options.separator || options.header != Header::kAuto) {
      throw Error(fmt::format(
          "{}: the format {} has no columns, ratings or header; leave these options out",
          lines.file(), format_name(chosen.format)));
    }
    return chosen.format == Format::kCiteulike ? parse_citeulike(lines, chosen)
                                               : parse_adjacency(lines, chosen);
  };
  Interactions result = read();
  result.format = format_name(chosen.format);
  return result;
}

}  // namespace

Interactions parse_interactions(std::string_view text, std::string_view name,
                                const ReadOptions& options) {
  LineReader lines(text, name);
  return parse(lines, options);
}

Interactions read_interactions(const std::filesystem::path& path, const ReadOptions& options) {
  TextInput input(path);
  LineReader lines(input);
  return parse(lines, options);
}

Interactions read_candidates(const std::filesystem::path& path, const ReadOptions& options) {
  TextInput input(path);
  LineReader lines(input);
  const TextSample sample = sample_text(lines.head());
  if (sample.lines.empty() || !ncf_user(sample.lines[0].text)) return parse(lines, options);
  if (options.remark) {
    options.remark(
        fmt::format("{}: each line is taken for (user,item) and the user's candidates, "
                    "as NCF writes them",
                    lines.file()));
  }
  return parse_ncf_candidates(lines, options);
}

}  // namespace derrd
