#include "data/parse_time.h"

#include <gtest/gtest.h>

namespace derrd::test::parse_time_test {
namespace {

/// The time in a text, of this kind.
Time parsed(std::string_view text, TimeKind kind) {
  const std::optional<WrittenTime> written = parse_time(text);
  EXPECT_TRUE(written) << text;
  if (!written) return {};
  EXPECT_EQ(written->kind, kind) << text;
  return written->time;
}
Time number(std::string_view text) { return parsed(text, TimeKind::kNumber); }
Time date(std::string_view text) { return parsed(text, TimeKind::kDate); }

TEST(ParseTime, NumbersAreExact) {
  EXPECT_EQ(number("978300760"), (Time{978300760, 0}));
  EXPECT_EQ(number("0"), (Time{0, 0}));
  EXPECT_EQ(number("-7"), (Time{-7, 0}));
  EXPECT_EQ(number("1700000000123456789"), (Time{1700000000123456789, 0})) << "no double holds it";
  EXPECT_EQ(number("9223372036854775807"), (Time{INT64_MAX, 0}));
  EXPECT_EQ(number("-9223372036854775808"), (Time{INT64_MIN, 0}));
  EXPECT_EQ(number("9223372036854775807.999999999"), (Time{INT64_MAX, 999999999}));
  EXPECT_EQ(number("978300760.0"), (Time{978300760, 0}));
  EXPECT_EQ(number("1.5"), (Time{1, 500000000}));
  EXPECT_EQ(number("0.000000001"), (Time{0, 1}));
  EXPECT_EQ(number("1.1234567890000"), (Time{1, 123456789}));
  EXPECT_EQ(number(".25"), (Time{0, 250000000}));
  EXPECT_EQ(number("3."), (Time{3, 0}));
  EXPECT_EQ(number("-0.25"), (Time{-1, 750000000}));
  EXPECT_EQ(number("-1.5"), (Time{-2, 500000000}));
}

TEST(ParseTime, NumbersMayHaveExponents) {
  EXPECT_EQ(number("8.812509490000000000e+08"), (Time{881250949, 0}));
  EXPECT_EQ(number("1.5E9"), (Time{1500000000, 0}));
  EXPECT_EQ(number("12345e-3"), (Time{12, 345000000}));
  EXPECT_EQ(number("-5e-4"), (Time{-1, 999500000}));
  EXPECT_EQ(number("0e40"), (Time{0, 0}));
}

TEST(ParseTime, RefusesNumbersThatItCannotHold) {
  for (const char* text : {"9223372036854775808", "-9223372036854775809", "-9223372036854775808.1",
                           "1.0000000001", "1e20", "1e-10", "1e99999999999", "0e41", "1e+-0"}) {
    EXPECT_FALSE(parse_time(text)) << text;
  }
}

TEST(ParseTime, DatesAreSecondsSince1970) {
  EXPECT_EQ(date("1970-01-01"), (Time{0, 0}));
  EXPECT_EQ(date("2015-01-31"), (Time{1422662400, 0}));
  EXPECT_EQ(date("2015/01/31"), (Time{1422662400, 0}));
  EXPECT_EQ(date("1969-12-31 23:59:59.5"), (Time{-1, 500000000}));
  EXPECT_EQ(date("0000-03-01"), (Time{-62162035200, 0}));
  EXPECT_EQ(date("9999-12-31T23:59:59"), (Time{253402300799, 0}));
  EXPECT_EQ(date("2015-01-31T13:45"), (Time{1422711900, 0}));
  EXPECT_EQ(date("2015-01-31 13:45:10"), (Time{1422711910, 0}));
  EXPECT_EQ(date("2015-01-31 13:45:10.25Z"), (Time{1422711910, 250000000}));
}

TEST(ParseTime, LeapDaysExist) {
  EXPECT_EQ(date("2016-02-29"), (Time{1456704000, 0}));
  EXPECT_EQ(date("2000-02-29"), (Time{951782400, 0}));
  for (const char* text : {"2015-02-29", "1900-02-29", "2100-02-29", "2016-02-30", "2015-04-31",
                           "2015-00-10", "2015-13-10", "2015-01-00", "2015-01-32"}) {
    EXPECT_FALSE(parse_time(text)) << text;
  }
}

TEST(ParseTime, ZonesAreTakenOff) {
  const Time noon = date("2015-01-31T12:00:00Z");
  for (const char* text :
       {"2015-01-31T14:00+02:00", "2015-01-31T14:00:00+0200", "2015-01-31 14:00:00+02",
        "2015-01-31 06:30:00.0-05:30", "2015-02-01T00:00:00 +1200", "2015-01-31 12:00:00 UTC"}) {
    EXPECT_EQ(date(text), noon) << text;
  }
}

TEST(ParseTime, RefusesAllOtherText) {
  for (const char* text : {"",
                           " ",
                           "x",
                           "-",
                           ".",
                           "-.",
                           "+5",
                           "1 ",
                           " 1",
                           "1,5",
                           "nan",
                           "inf",
                           "0x10",
                           "1e",
                           "1e+",
                           "e5",
                           "1.5.2",
                           "--1",
                           "01/02/2015",
                           "09 13, 2009",
                           "2015-1-2",
                           "15-01-02",
                           "2015-01/02",
                           "2015-01-02T",
                           "2015-01-02 ",
                           "2015-01-02T5:00",
                           "2015-01-02T05",
                           "2015-01-02T24:00",
                           "2015-01-02T05:60",
                           "2015-01-02T05:00:60",
                           "2015-01-02T05:00:00.",
                           "2015-01-02T05:00:00,5",
                           "2015-01-02T05:00:00.0000000001",
                           "2015-01-02T05:00 ",
                           "2015-01-02T05:00+",
                           "2015-01-02Z",
                           "2015-01-02T05:00+1",
                           "2015-01-02T05:00+24:00",
                           "2015-01-02T05:00+01:60",
                           "2015-01-02T05:00+01:0",
                           "2015-01-02T05:00+01:",
                           "2015-01-02T05:00ZZ",
                           "2015-01-02T05:00 EST",
                           "2015-01-02  05:00",
                           "-2015-01-02",
                           "2015-01-02x"}) {
    EXPECT_FALSE(parse_time(text)) << text;
  }
}

TEST(ParseTime, TimesAreInOrder) {
  const std::vector<Time> ascending = {number("-2"),  number("-1.75"), number("-1.5"),
                                       number("-1"),  number("-0.1"),  number("0"),
                                       number("0.1"), number("1")};
  for (size_t k = 1; k < ascending.size(); ++k) EXPECT_LT(ascending[k - 1], ascending[k]) << k;
}

TEST(FormatTime, IsWhatParseTimeReads) {
  for (const char* text : {"0", "-7", "1.5", "-1.5", "-0.25", "9223372036854775807.999999999",
                           "-9223372036854775808", "-9223372036854775807.5", "0.000000001"}) {
    EXPECT_EQ(format_time(number(text), TimeKind::kNumber), text);
  }
  for (const char* text : {"1970-01-01T00:00:00Z", "1969-12-31T23:59:59.5Z", "2016-02-29T13:45:10Z",
                           "0000-03-01T00:00:00Z", "9999-12-31T23:59:59.000000001Z"}) {
    EXPECT_EQ(format_time(date(text), TimeKind::kDate), text);
  }
}

}  // namespace
}  // namespace derrd::test::parse_time_test
