#include "data/parse_time.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "data/parse_number.h"

namespace derrd {

namespace {

constexpr size_t kNanoDigits = 9;
constexpr int32_t kNanosInOne = 1'000'000'000;
constexpr int64_t kSecondsPerDay = 86'400;

/// Takes the decimal digits off the front of a text.
std::string_view take_digits(std::string_view& text) {
  const std::string_view digits = text.substr(0, text.find_first_not_of("0123456789"));
  text.remove_prefix(digits.size());
  return digits;
}

bool take(std::string_view& text, std::string_view part) {
  if (!text.starts_with(part)) return false;
  text.remove_prefix(part.size());
  return true;
}

/// Billionths that digits behind a point say; nothing if they say less than a billionth.
std::optional<int32_t> billionths(std::string_view digits) {
  std::string kept(digits.substr(0, kNanoDigits));
  if (digits.find_first_not_of('0', kept.size()) != std::string_view::npos) return std::nullopt;
  kept.resize(kNanoDigits, '0');
  return parse_number<int32_t>(kept);
}

std::optional<Time> parse_number_time(std::string_view text) {
  if (const std::optional<int64_t> whole = parse_number<int64_t>(text)) return Time{*whole, 0};
  const bool negative = take(text, "-");
  std::string digits(take_digits(text));
  auto point = static_cast<int64_t>(digits.size());
  if (take(text, ".")) digits += take_digits(text);
  if (digits.empty()) return std::nullopt;
  if (take(text, "e") || take(text, "E")) {
    constexpr int64_t kMaxExponent = 40;
    if (take(text, "+") && text.starts_with('-')) return std::nullopt;
    const std::optional<int64_t> exponent = parse_number<int64_t>(text);
    if (!exponent || *exponent > kMaxExponent || *exponent < -kMaxExponent) return std::nullopt;
    point += *exponent;
    if (point < 0) digits.insert(0, static_cast<size_t>(-point), '0');
    point = std::max<int64_t>(point, 0);
    if (digits.size() < static_cast<size_t>(point)) digits.resize(static_cast<size_t>(point), '0');
  } else if (!text.empty()) {
    return std::nullopt;
  }
  const std::string_view all = digits;
  const std::optional<int32_t> nano = billionths(all.substr(static_cast<size_t>(point)));
  const std::optional<int64_t> whole = parse_number<int64_t>(
      (negative ? "-0" : "0") + std::string(all.substr(0, static_cast<size_t>(point))));
  if (!nano || !whole) return std::nullopt;
  if (!negative || *nano == 0) return Time{*whole, *nano};
  if (*whole == std::numeric_limits<int64_t>::min()) return std::nullopt;
  return Time{*whole - 1, kNanosInOne - *nano};
}

/// Reader of a date from the front of a text. After a failure all that it returns is void.
class DateParser {
 public:
  explicit DateParser(std::string_view text) : text_(text) {}

  std::optional<Time> parse() {
    Time time{day() * kSecondsPerDay, 0};
    if (!text_.empty()) {
      expect(take(text_, "T") || take(text_, " "));
      time.whole += 3600 * field(2, 23);
      expect(take(text_, ":"));
      time.whole += 60 * field(2, 59);
      if (take(text_, ":")) {
        time.whole += field(2, 59);
        if (take(text_, ".")) time.nano = fraction();
      }
      if (!text_.empty()) time.whole -= zone();
    }
    return good_ && text_.empty() ? std::optional(time) : std::nullopt;
  }

 private:
  void expect(bool condition) { good_ = good_ && condition; }

  /// Number of exactly `count` digits, at most `high`.
  int field(size_t count, int high) {
    const std::string_view digits = text_.substr(0, count);
    const int value = parse_number<int>(digits).value_or(-1);
    expect(digits.size() == count && value <= high &&
           digits.find_first_not_of("0123456789") == std::string_view::npos);
    if (!good_) return 0;
    text_.remove_prefix(count);
    return value;
  }

  /// Days since 1970.
  int64_t day() {
    const int year = field(4, 9999);
    const std::string_view separator = text_.starts_with('/') ? "/" : "-";
    expect(take(text_, separator));
    const int month = field(2, 12);
    expect(take(text_, separator));
    const std::chrono::year_month_day date{std::chrono::year(year),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(field(2, 31)))};
    expect(date.ok());
    return good_ ? std::chrono::sys_days(date).time_since_epoch().count() : 0;
  }

  int32_t fraction() {
    const std::string_view digits = take_digits(text_);
    const std::optional<int32_t> nano = billionths(digits);
    expect(!digits.empty() && nano);
    return nano.value_or(0);
  }

  /// Seconds by which the zone is ahead of UTC.
  int64_t zone() {
    take(text_, " ");
    if (take(text_, "Z") || take(text_, "UTC")) return 0;
    const int sign = take(text_, "-") ? -1 : 1;
    if (sign > 0) expect(take(text_, "+"));
    int64_t seconds = int64_t{3600} * field(2, 23);
    if (!text_.empty()) {
      take(text_, ":");
      seconds += int64_t{60} * field(2, 59);
    }
    return sign * seconds;
  }

  std::string_view text_;
  bool good_ = true;
};

std::string fraction_text(int32_t nano) {
  if (nano == 0) return "";
  std::string text = fmt::format(".{:09}", nano);
  text.erase(text.find_last_not_of('0') + 1);
  return text;
}

}  // namespace

std::optional<WrittenTime> parse_time(std::string_view text) {
  if (const std::optional<Time> number = parse_number_time(text)) {
    return WrittenTime{*number, TimeKind::kNumber};
  }
  if (const std::optional<Time> date = DateParser(text).parse()) {
    return WrittenTime{*date, TimeKind::kDate};
  }
  return std::nullopt;
}

std::string format_time(Time time, TimeKind kind) {
  if (kind == TimeKind::kNumber) {
    if (time.whole >= 0 || time.nano == 0) {
      return std::to_string(time.whole) + fraction_text(time.nano);
    }
    return fmt::format("-{}{}", -(time.whole + 1), fraction_text(kNanosInOne - time.nano));
  }
  const std::chrono::sys_seconds seconds{std::chrono::seconds(time.whole)};
  const auto days = std::chrono::floor<std::chrono::days>(seconds);
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss clock(seconds - days);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     fraction_text(time.nano));
}

}  // namespace derrd
