#include "data/formats/checked_line.h"

#include <gtest/gtest.h>

#include "data/formats/hash.h"
#include "tests/files.h"

namespace derrd::test::checked_line_test {
namespace {

TEST(CheckedLine, ComesBack) {
  for (const char* text : {"{}", R"({"epoch":3,"loss":{"base":0.5}})", R"({"check":"mine"})"}) {
    EXPECT_EQ(read_checked_line(checked_line(text)), text);
  }
  // The definition, so that it can't change unnoticed: XXH3-64 of the text without the key.
  EXPECT_EQ(checked_line(R"({"epoch":3})"), R"({"epoch":3,"check":"088b00e36572b0da"})");
  EXPECT_EQ(checked_line("{}"), "{\"check\":\"" + hash_of_text("{}") + "\"}");
  EXPECT_EQ(hash_of_text(""), "2d06800538d394c2");  // XXH3-64 of nothing
}

TEST(CheckedLine, NoOtherLineIsRead) {
  const std::string line = checked_line(R"({"best":true,"epoch":3})");
  for (size_t bit = 0; bit < 8 * line.size(); ++bit) {
    EXPECT_FALSE(read_checked_line(flipped(line, bit))) << bit;
  }
  for (size_t size = 0; size < line.size(); ++size) {
    EXPECT_FALSE(read_checked_line(line.substr(0, size))) << size;
  }
  for (const std::string& other :
       {line + "}", line + " ", " " + line, std::string(R"({"best":true,"epoch":3})"),
        R"("check":")" + hash_of_text("}") + R"("})", std::string(27, 'x'),
        std::string(100, '"')}) {
    EXPECT_FALSE(read_checked_line(other)) << other;
  }
}

}  // namespace
}  // namespace derrd::test::checked_line_test
