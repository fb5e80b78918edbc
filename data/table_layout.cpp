#include "data/table_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "data/cells.h"
#include "data/column_names.h"
#include "data/error.h"
#include "data/joined.h"
#include "data/parse_number.h"
#include "data/printable.h"
#include "data/text_sample.h"

namespace derrd {

namespace {

using Names = std::vector<std::string>;

struct SampleRow {
  int64_t line;
  Names cells;
};

bool is_number(std::string_view text) { return parse_real(text).has_value(); }

/// Tells whether a text begins as 2020-12-31 or 2020/12/31 does.
bool begins_with_date(std::string_view text) {
  constexpr std::string_view kPattern = "0000-00-00";
  if (text.size() < kPattern.size()) return false;
  for (size_t k = 0; k < kPattern.size(); ++k) {
    const bool digit = text[k] >= '0' && text[k] <= '9';
    if (kPattern[k] == '0' ? !digit : text[k] != '-' && text[k] != '/') return false;
  }
  return true;
}

/// First rows of a text, from a line on.
std::vector<SampleRow> first_rows(std::string_view head, int64_t first_line,
                                  const std::string& separator) {
  constexpr size_t kMaxRows = 200;
  std::vector<SampleRow> rows;
  LineReader lines(head, "");
  CellSplitter splitter(separator);
  std::vector<std::string_view> cells;
  while (rows.size() < kMaxRows) {
    try {
      if (!lines.next_filled()) break;
      if (lines.number() < first_line) continue;
      splitter.split(lines, cells);
      rows.push_back({lines.number(), Names(cells.begin(), cells.end())});
    } catch (const LineError&) {
      // The reader reports it.
    }
  }
  return rows;
}

/// Text in backticks, safe to show.
std::string ticked(std::string_view text) {
  std::string shown = printable(text);
  shown.front() = shown.back() = '`';
  return shown;
}

class LayoutFinder {
 public:
  LayoutFinder(const LineReader& lines, const ReadOptions& options)
      : file_(lines.file()), options_(options), sample_(sample_text(lines.head())) {
    layout_.separator = separator();
    if (sample_.lines.empty()) return;
    usual_width_ = widths_of(sample_.lines, layout_.separator).usual;
    rows_ = first_rows(lines.head(), sample_.lines[0].number, layout_.separator);
    skip_counts();
    if (!rows_.empty()) layout_.first_line = rows_[0].line;
    take_commented_header();
  }

  TableLayout find() {
    if (rows_.empty()) return std::move(layout_);
    layout_.header = is_header();
    if (layout_.header) take_names();
    find_columns();
    describe();
    return std::move(layout_);
  }

 private:
  std::string separator() const {
    if (options_.separator) return *options_.separator;
    if (options_.format == Format::kCsv) return ",";
    if (options_.format == Format::kMovielens) return "::";
    if (options_.format != Format::kTable) return "\t";
    return agreed_separator(sample_.lines).value_or("");
  }

  /// Skips numbers of users, items and interactions above the table.
  void skip_counts() {
    const bool matrix_market = !sample_.comments.empty() &&
                               sample_.comments[0].text.starts_with("%%MatrixMarket matrix coord");
    const auto is_counts = [&](const SampleRow& row) {
      std::vector<std::string_view> words;
      split_words(row.cells[0], words);
      return row.cells.size() == 1 && usual_width_ > 1 && !words.empty() &&
             std::ranges::all_of(words, is_number);
    };
    auto end = std::ranges::find_if_not(rows_, is_counts);
    if (matrix_market && end == rows_.begin() && end != rows_.end()) ++end;
    counts_.assign(rows_.begin(), end);
    rows_.erase(rows_.begin(), end);
    if (rows_.size() < 3 || rows_[0].cells.size() >= usual_width_) return;
    const auto usual = [&](const SampleRow& row) { return row.cells.size() == usual_width_; };
    if (std::ranges::all_of(rows_[0].cells, is_number) &&
        std::all_of(rows_.begin() + 1, rows_.end(), usual)) {
      layout_.first_line = rows_[0].line;
      refuse(
          fmt::format("has {} numbers above rows of {}; complete the row, or remove the line if "
                      "it counts users and items",
                      rows_[0].cells.size(), usual_width_));
    }
  }

  /// A comment right above the table may hold its names.
  void take_commented_header() {
    if (sample_.comments.empty() || !counts_.empty() || options_.header == Header::kNo) return;
    const SampleLine& line = sample_.comments.back();
    const std::vector<SampleRow> row =
        first_rows(line.text.substr(std::min(line.text.find_first_not_of("#% "), line.text.size())),
                   1, layout_.separator);
    if (row.size() != 1 || row[0].cells.size() != usual_width_) return;
    const auto names = [&](ColumnRole role) {
      return std::ranges::count(row[0].cells, role, role_of_name) == 1;
    };
    if (!names(ColumnRole::kUser) || !names(ColumnRole::kItem)) return;
    rows_.insert(rows_.begin(), {line.number, row[0].cells});
    layout_.first_line = line.number;
    sample_.comments.pop_back();
  }

  /// Tells whether the first row names the columns; false in doubt.
  bool is_header() const {
    if (options_.format == Format::kInter || options_.header == Header::kYes) return true;
    if (options_.header == Header::kNo) return false;
    const auto by_name = [](const std::string& column) {
      return !column.empty() && !parse_number<size_t>(column);
    };
    if (by_name(options_.user_column) || by_name(options_.item_column) ||
        (options_.min_rating && by_name(options_.rating_column)) ||
        (options_.times && by_name(options_.time_column))) {
      return true;
    }
    const Names& first = rows_[0].cells;
    if (std::ranges::any_of(first, is_number)) return false;
    const auto has = [&](ColumnRole role) {
      return std::ranges::find(first, role, role_of_name) != first.end();
    };
    if (has(ColumnRole::kUser) && has(ColumnRole::kItem)) return true;
    if (std::ranges::any_of(first, is_telling_name)) return true;
    for (size_t column = 0; column < first.size(); ++column) {
      if (!first[column].empty() && has_numbers_only(column)) return true;  // below a word
    }
    return false;
  }

  /// Tells whether the rows below the first have numbers in a column, and nothing else.
  bool has_numbers_only(size_t column) const {
    bool some = false;
    for (size_t k = 1; k < rows_.size(); ++k) {
      if (column >= rows_[k].cells.size() || rows_[k].cells[column].empty()) continue;
      if (!is_number(rows_[k].cells[column])) return false;
      some = true;
    }
    return some;
  }

  /// Takes the names off the header, and finds the column that numbers rows.
  void take_names() {
    names_ = rows_[0].cells;
    if (options_.format == Format::kInter &&
        std::ranges::any_of(
            names_, [](const std::string& name) { return name.find(':') == std::string::npos; })) {
      refuse(
          "is not a RecBole header such as user_id:token<tab>item_id:token; add it, or use "
          "--format tsv");
    }
    // R names all columns but the row numbers. Otherwise all rows end with a separator.
    const auto longer = [&](const SampleRow& row) { return row.cells.size() == names_.size() + 1; };
    const auto ends_empty = [](const SampleRow& row) { return row.cells.back().empty(); };
    if (rows_.size() > 1 && std::all_of(rows_.begin() + 1, rows_.end(), longer) &&
        !std::all_of(rows_.begin() + 1, rows_.end(), ends_empty)) {
      names_.insert(names_.begin(), "");
    }
    row_numbers_ = names_.size() > 1 && numbers_rows(names_[0]);
  }

  void find_columns() {
    const std::optional<size_t> user = given(options_.user_column, "--user-column");
    const std::optional<size_t> item = given(options_.item_column, "--item-column");
    layout_.user_column = user ? *user : named(ColumnRole::kUser, item, 0);
    layout_.item_column = item ? *item : named(ColumnRole::kItem, user, 1);
    if (layout_.user_column < names_.size()) layout_.user_name = names_[layout_.user_column];
    if (layout_.item_column < names_.size()) layout_.item_name = names_[layout_.item_column];
    if (options_.min_rating) {
      const std::optional<size_t> rating = given(options_.rating_column, "--rating-column");
      layout_.rating_column = rating ? *rating : named(ColumnRole::kRating, std::nullopt, 2);
    }
    refuse_same(layout_.user_column, "user", layout_.item_column, "item");
    if (!options_.times) return;
    const std::optional<size_t> time = given(options_.time_column, "--time-column");
    layout_.time_column = time ? *time : unchosen_time();
    refuse_same(layout_.user_column, "user", layout_.time_column, "time");
    refuse_same(layout_.item_column, "item", layout_.time_column, "time");
  }

  void refuse_same(size_t column, std::string_view what, size_t other,
                   std::string_view other_what) {
    if (column != other) return;
    refuse(fmt::format(
        "column {} would be both {} and {}; choose two with --{}-column and --{}-column",
        column + 1, what, other_what, what, other_what));
  }

  /// Index of the column of times where no option chooses it. Without a header it is known in the
  /// usual order of columns only.
  size_t unchosen_time() const {
    if (layout_.header) return named(ColumnRole::kTime, std::nullopt, 3);
    constexpr size_t kRating = 2, kTime = 3;
    if (usual_width_ <= kTime || layout_.user_column != 0 || layout_.item_column != 1 ||
        holds_dates(kRating)) {
      refuse(
          fmt::format("there is no header, and only columns user, item, rating, time in this order "
                      "can be told without; the first row is {}; choose one with --time-column",
                      first_row()));
    }
    return kTime;
  }

  /// Index of the column that an option chooses, if it is given.
  std::optional<size_t> given(const std::string& wanted, std::string_view option) const {
    if (wanted.empty()) return std::nullopt;
    if (const std::optional<size_t> number = parse_number<size_t>(wanted)) {
      if (*number == 0) {
        throw Error(fmt::format("{}: columns are counted from 1; correct it", option));
      }
      return *number - 1;
    }
    if (!layout_.header) {
      refuse(fmt::format("{} is {}, but the file has no header; give the column's number", option,
                         printable(wanted)));
    }
    const auto found = std::ranges::find_if(names_, [&](const std::string& name) {
      return name == wanted || without_type(name) == wanted;
    });
    if (found == names_.end()) {
      refuse(fmt::format("has no column {}; choose {} among {}", printable(wanted), option,
                         joined(shown_names())));
    }
    return static_cast<size_t>(found - names_.begin());
  }

  /// Index of the only column with a role, other than `taken`; without a header `by_position`.
  size_t named(ColumnRole role, std::optional<size_t> taken, size_t by_position) const {
    const std::string_view word = role == ColumnRole::kUser   ? "user"
                                  : role == ColumnRole::kItem ? "item"
                                  : role == ColumnRole::kTime ? "time"
                                                              : "rating";
    if (!layout_.header) {
      if (role != ColumnRole::kRating && holds_no_ids(by_position)) {
        refuse(
            fmt::format("there is no header, and column {} holds dates or fractions instead of "
                        "{}s, such as {}; "
                        "choose one with --{}-column",
                        by_position + 1, word, printable(rows_[0].cells[by_position]), word));
      }
      return by_position;
    }
    std::vector<size_t> found;
    for (size_t column = 0; column < names_.size(); ++column) {
      if (column != taken && role_of_name(names_[column]) == role) found.push_back(column);
    }
    if (found.size() == 1) return found[0];
    refuse(fmt::format(
        "the header names {} {} column{}, so that it can't be told; the columns are {}; choose one "
        "with --{}-column{}",
        found.empty() ? "no" : "more than one", word, found.empty() ? "" : "s",
        joined(shown_names()), word,
        options_.header == Header::kAuto && options_.format != Format::kInter
            ? ", or say --header no if this line is data"
            : ""));
  }

  /// Tells whether all rows have a date in a column.
  bool holds_dates(size_t column) const {
    return std::ranges::all_of(rows_, [&](const SampleRow& row) {
      return column < row.cells.size() && begins_with_date(row.cells[column]);
    });
  }

  /// Tells whether all rows have a date in a column, or all numbers and some of them fractions.
  bool holds_no_ids(size_t column) const {
    bool numbers = true, fraction = false;
    for (const SampleRow& row : rows_) {
      if (column >= row.cells.size()) return false;
      const std::optional<double> value = parse_real(row.cells[column]);
      numbers = numbers && value;
      fraction = fraction || (value && *value != std::floor(*value));
    }
    return holds_dates(column) || (numbers && fraction);
  }

  std::vector<std::string> shown_names() const {
    constexpr size_t kMaxShown = 20;
    std::vector<std::string> shown;
    for (size_t k = 0; k < std::min(names_.size(), kMaxShown); ++k) {
      shown.push_back(fmt::format("{} {}", k + 1, printable(names_[k])));
    }
    if (names_.size() > kMaxShown) shown.push_back("...");
    return shown;
  }

  void describe() {
    const auto column = [&](size_t index) {
      return fmt::format("column {}{}", index + 1,
                         index < names_.size() ? " " + ticked(names_[index]) : "");
    };
    std::string& remark = layout_.remark;
    remark = fmt::format(
        "{}: separator {}, {}; user: {}, item: {}", file_, separator_name(layout_.separator),
        layout_.header ? fmt::format("header on line {}", layout_.first_line) : "no header",
        column(layout_.user_column), column(layout_.item_column));
    if (options_.min_rating) remark += ", rating: " + column(layout_.rating_column);
    if (options_.times) remark += ", time: " + column(layout_.time_column);
    if (row_numbers_) remark += "; column 1 numbers the rows and is skipped";
    const auto skipped = [&](size_t count, std::string_view what) {
      if (count > 0) {
        remark += fmt::format("; skipped {} line{} of {}", count, count == 1 ? "" : "s", what);
      }
    };
    skipped(sample_.comments.size(), "comments");
    skipped(counts_.size(), "counts");
    if (!layout_.header) remark += "; first row: " + first_row();
  }

  std::string first_row() const {
    std::vector<std::string> shown;
    for (const std::string& cell : rows_[0].cells) shown.push_back(printable(cell));
    if (shown.size() > 5) shown.resize(5);
    return joined(shown);
  }

  [[noreturn]] void refuse(std::string_view what) const {
    throw Error(fmt::format("{}:{}: {}", file_, layout_.first_line, what));
  }

  std::string_view file_;
  const ReadOptions& options_;
  TextSample sample_;
  TableLayout layout_;
  size_t usual_width_ = 0;
  std::vector<SampleRow> counts_;
  std::vector<SampleRow> rows_;  // the header first, if there is one
  Names names_;                  // as long as the rows; empty without a header
  bool row_numbers_ = false;
};

}  // namespace

TableLayout find_layout(const LineReader& lines, const ReadOptions& options) {
  return LayoutFinder(lines, options).find();
}

}  // namespace derrd
