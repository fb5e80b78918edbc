#include "data/table_readers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <deque>
#include <utility>

#include "data/error.h"
#include "data/joined.h"
#include "data/printable.h"

namespace derrd {

namespace {

using Cells = std::vector<std::string_view>;

std::optional<double> number_of(std::string_view text) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || std::isnan(value)) {
    return std::nullopt;
  }
  return value;
}

/// Splitter of lines into cells. A cell is a view of the line, or of this object if it holds
/// doubled quotes.
class CellSplitter {
 public:
  explicit CellSplitter(Format format)
      : separator_(format == Format::kCsv         ? ","
                   : format == Format::kMovielens ? "::"
                                                  : "\t"),
        quotes_(format == Format::kCsv) {}

  void split(const LineReader& lines, Cells& cells) {
    cells.clear();
    std::string_view rest = lines.line();
    for (;;) {
      if (quotes_ && trim(rest).starts_with('"')) {
        rest.remove_prefix(rest.find('"') + 1);
        cells.push_back(take_quoted(lines, rest));
      } else {
        const size_t end = rest.find(separator_);
        cells.push_back(trim(rest.substr(0, end)));
        rest.remove_prefix(std::min(end, rest.size()));
      }
      if (rest.empty()) return;
      rest.remove_prefix(separator_.size());
    }
  }

 private:
  /// Takes a cell off `rest`, which begins after its opening quote. What is left is empty or begins
  /// with a separator.
  std::string_view take_quoted(const LineReader& lines, std::string_view& rest) {
    const std::string_view whole = rest;
    size_t end = 0;
    bool doubled = false;
    for (;; end += 2) {
      end = whole.find('"', end);
      if (end == std::string_view::npos) {
        lines.fail("has a quote that is not closed on the line; close it");
      }
      if (end + 1 == whole.size() || whole[end + 1] != '"') break;
      doubled = true;
    }
    rest = whole.substr(end + 1);
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
    if (!rest.empty() && !rest.starts_with(separator_)) {
      lines.fail("has text behind a closing quote; double the quotes within a cell");
    }
    const std::string_view cell = whole.substr(0, end);
    if (!doubled) return cell;
    std::string& unquoted = unquoted_.emplace_back();
    for (size_t k = 0; k < cell.size(); ++k) {
      unquoted += cell[k];
      if (cell[k] == '"') ++k;  // the second of a pair
    }
    return unquoted;
  }

  std::string_view separator_;
  bool quotes_;
  std::deque<std::string> unquoted_;  // ids stay views of these until the file is read
};

/// Column that is chosen by number or by name.
struct Column {
  std::string option;    // option that chooses it, for messages
  std::string wanted;    // number from 1, or name
  bool required = true;  // the rating column only if there is a minimum rating
  size_t index = 0;

  std::optional<size_t> number() const {
    size_t value = 0;
    const auto [end, error] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), value);
    if (error != std::errc() || end != wanted.data() + wanted.size()) return std::nullopt;
    return value;
  }
};

class TableParser {
 public:
  TableParser(LineReader lines, const ReadOptions& options)
      : lines_(lines),
        options_(options),
        splitter_(options.format),
        columns_(columns_of(options)),
        has_header_(options.format == Format::kInter || options.header == Header::kYes) {}

  Interactions parse() {
    int64_t below_rating = 0;
    bool header = false;
    Cells cells;
    for (bool first = true; lines_.next_filled(); first = false) {
      splitter_.split(lines_, cells);
      if (first) {
        header = is_header(cells);
        resolve(cells, header);
        if (header) continue;
      }
      if (options_.min_rating && rating(cells) < *options_.min_rating) {
        ++below_rating;
        continue;
      }
      const std::string_view user = id(cells, user_column(), "user");
      const std::string_view item = id(cells, item_column(), "item");
      builder_.add(builder_.users.number(user), builder_.items.number(item), lines_.number());
    }
    Interactions result = builder_.finish();
    result.below_rating = below_rating;
    result.skipped_header = header;
    return result;
  }

 private:
  static std::array<Column, 3> columns_of(const ReadOptions& options) {
    const bool inter = options.format == Format::kInter;
    const auto choose = [](const std::string& given, const char* fallback) {
      return given.empty() ? std::string(fallback) : given;
    };
    return {Column{"--user-column", choose(options.user_column, inter ? "user_id" : "1")},
            Column{"--item-column", choose(options.item_column, inter ? "item_id" : "2")},
            Column{"--rating-column", choose(options.rating_column, inter ? "rating" : "3"),
                   options.min_rating.has_value()}};
  }

  const Column& user_column() const { return columns_[0]; }
  const Column& item_column() const { return columns_[1]; }
  const Column& rating_column() const { return columns_[2]; }

  /// Tells whether the first line names the columns; false in doubt.
  bool is_header(const Cells& first) {
    if (has_header_) return true;
    if (options_.header == Header::kNo || options_.format == Format::kMovielens) return false;
    const auto by_name = [](const Column& column) { return column.required && !column.number(); };
    if (std::ranges::any_of(columns_, by_name)) return true;

    static constexpr std::array<std::string_view, 7> kUsualNames{
        "user", "userid", "uid", "item", "itemid", "iid", "movieid"};
    const auto cell = [](const Cells& cells, const Column& column) {
      const size_t number = column.number().value_or(0);
      return number >= 1 && number <= cells.size() ? cells[number - 1] : std::string_view();
    };
    const auto usual = [&](const Column& column) {
      std::string letters;
      for (char c : cell(first, column)) {
        if (c != '_' && c != ' ' && c != '-') {
          letters += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        }
      }
      return std::ranges::find(kUsualNames, letters) != kUsualNames.end();
    };
    if (usual(user_column()) || usual(item_column())) return true;

    // Words above numbers.
    LineReader ahead = lines_;
    if (!ahead.next_filled()) return false;
    Cells second;
    splitter_.split(ahead, second);
    const auto word_above_number = [&](const Column& column) {
      const std::string_view upper = cell(first, column);
      return !upper.empty() && !number_of(upper) && number_of(cell(second, column));
    };
    return (word_above_number(user_column()) && word_above_number(item_column())) ||
           word_above_number(rating_column());
  }

  /// Finds the columns' indices.
  void resolve(const Cells& first, bool header) {
    if (options_.format == Format::kInter && !std::ranges::all_of(first, [](std::string_view cell) {
          return cell.find(':') != std::string_view::npos;
        })) {
      lines_.fail(
          "is not a RecBole header such as user_id:token<tab>item_id:token; add it, or use "
          "--format tsv");
    }
    for (Column& column : columns_) {
      if (!column.required) continue;
      if (const std::optional<size_t> number = column.number()) {
        if (*number == 0) {
          throw Error(fmt::format("{}: columns are counted from 1; correct it", column.option));
        }
        column.index = *number - 1;
        continue;
      }
      if (!header) {
        lines_.fail(fmt::format("{} is {}, but the file has no header; give the column's number",
                                column.option, printable(column.wanted)));
      }
      const auto found = std::ranges::find_if(first, [&](std::string_view cell) {
        return cell == column.wanted || (options_.format == Format::kInter &&
                                         cell.substr(0, cell.find(':')) == column.wanted);
      });
      if (found == first.end()) {
        std::vector<std::string> names;
        for (std::string_view cell : first) names.push_back(printable(cell));
        if (names.size() > 20) names.resize(20);
        lines_.fail(fmt::format("has no column {}; choose {} among {}", printable(column.wanted),
                                column.option, joined(names)));
      }
      column.index = static_cast<size_t>(found - first.begin());
    }
  }

  std::string_view id(const Cells& cells, const Column& column, std::string_view what) const {
    const std::string_view text = trim(cell(cells, column, what));  // quotes may hold blanks
    if (text.empty()) {
      lines_.fail(fmt::format("has an empty {} in column {}; fill it or remove the line", what,
                              column.index + 1));
    }
    return text;
  }

  double rating(const Cells& cells) const {
    const std::string_view text = cell(cells, rating_column(), "rating");
    const std::optional<double> value = number_of(text);
    if (!value) {
      lines_.fail(fmt::format(
          "the rating {} in column {} is not a number; correct it or choose --rating-column",
          printable(text), rating_column().index + 1));
    }
    return *value;
  }

  std::string_view cell(const Cells& cells, const Column& column, std::string_view what) const {
    if (column.index >= cells.size()) {
      lines_.fail(fmt::format(
          "has {} column{}, and the {} should be in column {}; check --format and {}", cells.size(),
          cells.size() == 1 ? "" : "s", what, column.index + 1, column.option));
    }
    return cells[column.index];
  }

  LineReader lines_;
  const ReadOptions& options_;
  CellSplitter splitter_;
  std::array<Column, 3> columns_;
  bool has_header_;
  InteractionsBuilder builder_;
};

}  // namespace

Interactions parse_table(LineReader lines, const ReadOptions& options) {
  return TableParser(lines, options).parse();
}

}  // namespace derrd
