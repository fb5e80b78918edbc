#include "data/table_readers.h"

#include <fmt/format.h>

#include <vector>

#include "data/bad_lines.h"
#include "data/cells.h"
#include "data/parse_number.h"
#include "data/printable.h"
#include "data/table_layout.h"

namespace derrd {

namespace {

class TableParser {
 public:
  TableParser(LineReader& lines, const ReadOptions& options)
      : lines_(lines),
        bad_lines_(options),
        min_rating_(options.min_rating),
        times_(options.times),
        layout_(find_layout(lines, options)),
        splitter_(layout_.separator) {
    if (options.remark && !layout_.remark.empty()) options.remark(layout_.remark);
  }

  Interactions parse() {
    for (bool more = true; more;) {
      bad_lines_.guard([&] {
        more = lines_.next_filled();
        if (!more || lines_.number() < layout_.first_line) return;
        splitter_.split(lines_, cells_);
        if (!layout_.header || lines_.number() > layout_.first_line) add();
      });
    }
    bad_lines_.report(lines_.file());
    Interactions result = builder_.finish();
    result.below_rating = below_rating_;
    result.time_kind = time_kind_.value_or(TimeKind::kNumber);
    return result;
  }

 private:
  void add() {
    const std::string_view user = id(layout_.user_column, "user");
    const std::string_view item = id(layout_.item_column, "item");
    if (user == layout_.user_name && item == layout_.item_name) {
      lines_.fail("repeats the header; remove it, or skip it with --on-bad-line skip");
    }
    if (min_rating_ && rating() < *min_rating_) {
      ++below_rating_;
      return;
    }
    const WrittenTime written = times_ ? time() : WrittenTime{};
    const int32_t user_number =
        number_id(builder_.users, user, lines_, "user", layout_.user_column);
    const int32_t item_number =
        number_id(builder_.items, item, lines_, "item", layout_.item_column);
    if (!times_) return builder_.add(user_number, item_number, lines_);
    time_kind_ = written.kind;
    builder_.add(user_number, item_number, lines_, written.time);
  }

  std::string_view id(size_t column, std::string_view what) const {
    const std::string_view text = cell(column, what);
    const auto refuse = [&](std::string_view why) {
      lines_.fail(
          fmt::format("has {} {} in column {}; correct or remove the line, or skip such lines with "
                      "--on-bad-line skip",
                      why, what, column + 1));
    };
    if (text.empty()) refuse("an empty");
    if (text.find('\n') != std::string_view::npos) refuse("a line end within the");
    return text;
  }

  double rating() const {
    const std::string_view text = cell(layout_.rating_column, "rating");
    const std::optional<double> value = parse_real(text);
    if (!value) {
      lines_.fail(fmt::format(
          "the rating {} in column {} is not a number; correct it or choose --rating-column",
          printable(text), layout_.rating_column + 1));
    }
    return *value;
  }

  WrittenTime time() const {
    const std::string_view text = cell(layout_.time_column, "time");
    const auto refuse = [&](std::string_view why) {
      lines_.fail(
          fmt::format("the time {} in column {} {}; correct it, choose --time-column, or skip such "
                      "lines with --on-bad-line skip",
                      printable(text), layout_.time_column + 1, why));
    };
    const std::optional<WrittenTime> written = parse_time(text);
    if (!written) {
      refuse(
          "is neither a number, with at most 9 decimals, nor a date such as 2015-01-31 or "
          "2015-01-31T13:45:10Z");
    }
    if (time_kind_ && written->kind != *time_kind_) {
      refuse(written->kind == TimeKind::kDate ? "is a date, and those above are numbers"
                                              : "is a number, and those above are dates");
    }
    return *written;
  }

  std::string_view cell(size_t column, std::string_view what) const {
    if (column >= cells_.size()) {
      lines_.fail(fmt::format(
          "has {} column{}, and the {} should be in column {}; correct the line, or give the right "
          "--separator, --{}-column or --format",
          cells_.size(), cells_.size() == 1 ? "" : "s", what, column + 1, what));
    }
    return cells_[column];
  }

  LineReader& lines_;
  BadLines bad_lines_;
  std::optional<double> min_rating_;
  bool times_;
  TableLayout layout_;
  CellSplitter splitter_;
  std::vector<std::string_view> cells_;
  InteractionsBuilder builder_;
  std::optional<TimeKind> time_kind_;  // of the times so far
  int64_t below_rating_ = 0;
};

}  // namespace

Interactions parse_table(LineReader& lines, const ReadOptions& options) {
  return TableParser(lines, options).parse();
}

}  // namespace derrd
