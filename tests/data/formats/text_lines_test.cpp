// Lines of files, pipes and packed files; what the readers' tests do not see.

#include "data/formats/text_lines.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <thread>

#include "data/readers.h"
#include "tests/files.h"

namespace derrd::test::text_lines_test {
namespace {

/// Text of 3 MB, more than the reader's buffer holds, with lines of all lengths and one of 2 MB.
std::string long_text() {
  std::string text;
  for (int n = 0; text.size() < 1000000; ++n)
    text += std::string(n % 97, 'x') + std::to_string(n) + "\r\n";
  text += std::string(2000000, 'y') + "\nlast";
  return text;
}

void expect_same_lines(const std::string& path, const std::string& text) {
  TextInput input(path);
  LineReader file(input), memory(text, "f");
  while (memory.next()) {
    ASSERT_TRUE(file.next());
    ASSERT_EQ(file.line(), memory.line());
    ASSERT_EQ(file.number(), memory.number());
  }
  EXPECT_FALSE(file.next());
}

TEST(LineReader, ReadsAFileAsItReadsMemory) {
  const TestFolder folder;
  for (const std::string& text :
       {long_text(), std::string(), std::string("\n\n"), std::string("\xEF\xBB\xBFx\ny")}) {
    expect_same_lines(folder.write("text", text), text);
  }
}

TEST(LineReader, ReadsAPipe) {
  const TestFolder folder;
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  const std::string text = long_text();
  std::thread writer([&] { write_text(folder / "pipe", text); });
  expect_same_lines(folder / "pipe", text);
  writer.join();
}

TEST(LineReader, UnpacksGzipAndRefusesDamage) {
  const TestFolder folder;
  const std::string text = long_text();
  folder.write("text", text);
  ASSERT_EQ(std::system(("gzip -k '" + (folder / "text") + "'").c_str()), 0);
  expect_same_lines(folder / "text.gz", text);

  const std::string packed = read_text(folder / "text.gz");
  const auto read_all = [&](const std::string& bytes) {
    TextInput input(folder.write("damaged.gz", bytes));
    LineReader lines(input);
    while (lines.next()) {
    }
  };
  expect_error([&] { read_all(packed.substr(0, packed.size() / 2)); },
               "damaged.gz: can't be unpacked: ");
  std::string flipped = packed;
  flipped[packed.size() - 6] ^= 1;  // in the checksum
  expect_error([&] { read_all(flipped); }, "can't be unpacked");
}

TEST(LineReader, ExtendsALineAcrossItsBuffer) {
  const TestFolder folder;
  const std::string a(900000, 'a'), b(900000, 'b');
  TextInput input(folder.write("text", a + "\r\n" + b + "\n\nc\n"));
  LineReader lines(input);
  ASSERT_TRUE(lines.next());
  const size_t size = lines.line().size();
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(lines.line(), a);
    ASSERT_TRUE(lines.extend());
    EXPECT_EQ(lines.line(), a + "\r\n" + b);
    ASSERT_TRUE(lines.extend());
    EXPECT_EQ(lines.number(), 1);
    lines.shrink(size);
  }
  EXPECT_EQ(lines.line(), a);
  ASSERT_TRUE(lines.next());
  EXPECT_EQ(lines.line(), b);
  EXPECT_EQ(lines.number(), 2);
  ASSERT_TRUE(lines.extend());
  ASSERT_TRUE(lines.next());
  EXPECT_EQ(lines.line(), "c");
  EXPECT_EQ(lines.number(), 4);
  EXPECT_FALSE(lines.extend());
  EXPECT_EQ(lines.line(), "c");
}

TEST(LineReader, ShowsCompleteLinesAhead) {
  const TestFolder folder;
  const std::string line = std::string(999, 'x') + "\n";
  std::string text;
  for (int n = 0; n < 100; ++n) text += line;
  TextInput input(folder.write("text", text));
  EXPECT_EQ(LineReader(input).head().size(), 65000u);
  EXPECT_EQ(LineReader("a\nb", "f").head(), "a\nb");
  const std::string long_line = std::string(100000, 'x') + "\ny\n";
  EXPECT_EQ(LineReader(long_line, "f").head().size(), 100001u);
}

TEST(LineReader, RefusesFoldersAndWhatIsNoText) {
  const TestFolder folder;
  expect_error([&] { TextInput{folder.path()}; }, "is a folder; name a file");
  const auto refused = [&](const std::string& text, std::string_view part) {
    TextInput input(folder.write("text", text));
    expect_error(
        [&] {
          for (LineReader lines(input); lines.next();) {
          }
        },
        part);
  };
  refused(long_text() + std::string(1, '\0'), "text: is not plain text; unpack it");
  for (const char* mark : {"\xFF\xFE", "\xFE\xFF"}) {
    refused(mark + std::string("1\0", 2), "convert it from UTF-16");
  }
}

TEST(Readers, ReadRowsAcrossTheBuffer) {
  const TestFolder folder;
  std::string text = "user,item,text\n";
  for (int n = 0; n < 60000; ++n) {
    text += "u" + std::to_string(n % 100) + ",i" + std::to_string(n) + ",\"so\ngood, " +
            std::string(n % 50, 'x') + "\"\n";
  }
  const Interactions read = read_interactions(folder.write("r.csv", text), {});
  ASSERT_EQ(read.size(), 60000);
  for (int64_t n = 0; n < read.size(); ++n) {
    ASSERT_EQ(read.lines[n], 2 + 2 * n);
    ASSERT_EQ(read.user_ids.text(read.users[n]), "u" + std::to_string(n % 100));
    ASSERT_EQ(read.item_ids.text(read.items[n]), "i" + std::to_string(n));
  }
}

}  // namespace
}  // namespace derrd::test::text_lines_test
