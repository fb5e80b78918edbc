#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace derrd {

/// Exact moment `whole + nano / 10^9`, in a unit that the file's writer chose.
struct Time {
  int64_t whole = 0;
  int32_t nano = 0;  ///< 0 to 10^9 - 1, also where `whole` is negative

  auto operator<=>(const Time&) const = default;
};

/// Way in which times are written. Numbers have any unit and origin; dates count seconds since
/// 1970 in UTC.
enum class TimeKind { kNumber, kDate };

/// Time as it was written.
struct WrittenTime {
  Time time;
  TimeKind kind = TimeKind::kNumber;
};

/// Time that the whole text is; nothing for any other text. A time is one of
/// - a decimal number within int64, maybe with a fraction or an exponent: `-12`, `1.5`, `1.5e9`
/// - a date `2015-01-31` or `2015/01/31`, maybe followed by `T` or a blank and `13:45`, `13:45:10`
///   or `13:45:10.25`, and then maybe by a zone `Z`, `UTC`, `+02`, `+0200` or `+02:00`. Without a
///   zone it is UTC.
/// A fraction may have nine digits, and zeros behind them.
std::optional<WrittenTime> parse_time(std::string_view text);

/// Text of a time, as parse_time() reads it; dates end with `Z`.
std::string format_time(Time time, TimeKind kind);

}  // namespace derrd
