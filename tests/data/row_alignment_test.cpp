#include "data/row_alignment.h"

#include <gtest/gtest.h>

#include "tests/files.h"

namespace derrd::test::row_alignment_test {
namespace {

IdTable strings(const std::vector<std::string_view>& texts) { return IdTable::from_texts(texts); }

void refused(const std::string& text, std::string_view part) {
  expect_error([&] { parse_id_file(text, "some.ids"); }, part);
}

TEST(RowAlignment, ByIds) {
  const RowAlignment a =
      align_by_ids(strings({"anna", "bob", "carl"}), strings({"zoe", "carl", "anna", "yves"}));
  EXPECT_EQ(a.row, (std::vector<int32_t>{2, -1, 1}));
  EXPECT_EQ(a.number, (std::vector<int32_t>{-1, 2, 0, -1}));
  EXPECT_EQ(a.matched, 2);
  EXPECT_EQ(a.absent, (std::vector<std::string>{"bob"}));
  EXPECT_EQ(a.unknown, (std::vector<std::string>{"zoe", "yves"}));
}

TEST(RowAlignment, IntegersAndStringsAreComparedAsText) {
  const IdTable ours(std::vector<int64_t>{-5, 7, 1LL << 40});
  ASSERT_TRUE(ours.numeric());
  const IdTable theirs = strings({"7", "007", "1099511627776", "+7", "x"});
  ASSERT_FALSE(theirs.numeric());
  EXPECT_EQ(align_by_ids(ours, theirs).row, (std::vector<int32_t>{-1, 0, 2}));
  EXPECT_EQ(align_by_ids(theirs, ours).row, (std::vector<int32_t>{1, -1, 2, -1, -1}));
}

TEST(RowAlignment, InOrder) {
  const RowAlignment a = align_in_order(3);
  EXPECT_EQ(a.row, (std::vector<int32_t>{0, 1, 2}));
  EXPECT_EQ(a.number, a.row);
  EXPECT_EQ(a.matched, 3);
  EXPECT_EQ(align_in_order(0).numbers(), 0);
}

TEST(RowAlignment, NothingInCommon) {
  const RowAlignment a = align_by_ids(IdTable::identity(5), strings({"a"}));
  EXPECT_EQ(a.matched, 0);
  EXPECT_EQ(a.row, std::vector<int32_t>(5, -1));
  EXPECT_EQ(a.absent, (std::vector<std::string>{"0", "1", "2"}));  // examples, not all
  EXPECT_EQ(align_by_ids(IdTable(), IdTable()).matched, 0);
}

TEST(RowAlignment, IdFiles) {
  const TestFolder folder;
  const IdTable ids = read_id_file(folder.write("ids", "\xEF\xBB\xBF 3 \r\n-1\r\n12"));
  EXPECT_EQ(ids.numbers(), (std::vector<int64_t>{3, -1, 12}));
  const IdTable words = parse_id_file("a b\nc,d\n", "some.ids");
  EXPECT_EQ(words.text(0), "a b");
  EXPECT_EQ(words.text(1), "c,d");
  EXPECT_EQ(parse_id_file("", "some.ids").size(), 0);
}

TEST(RowAlignment, RejectsIdFilesWithHolesOrRepetitions) {
  refused("a\n\nb\n", "some.ids:2: is empty");
  refused("a\n \t\n", "some.ids:2: is empty");
  refused("a\nb\n a\n", "some.ids:3: the id \"a\" stands on line 1 already");
}

TEST(RowAlignment, IdsInASafetensorsFile) {
  const TestFolder folder;
  const std::vector<int64_t> users{4, 2};
  const std::vector<uint8_t> bytes{'a', 'b', 'c'};
  const std::vector<int64_t> offsets{0, 1, 3};
  write_safetensors(folder / "f",
                    {{"user_ids", tensor_view(users)},
                     {"item_id_bytes", tensor_view(bytes)},
                     {"item_id_offsets", tensor_view(offsets)}},
                    {});
  const SafetensorsFile file = SafetensorsFile::read(folder / "f");
  EXPECT_TRUE(has_ids(file, "user"));
  EXPECT_TRUE(has_ids(file, "item"));
  EXPECT_FALSE(has_ids(file, "other"));
  EXPECT_EQ(read_ids(file, "user").numbers(), users);
  EXPECT_EQ(read_ids(file, "item").text(1), "bc");
  expect_error([&] { read_ids(file, "other"); }, "other ids");
}

}  // namespace
}  // namespace derrd::test::row_alignment_test
