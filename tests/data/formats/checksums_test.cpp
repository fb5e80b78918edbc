#include "data/formats/checksums.h"

#include <gtest/gtest.h>

#include <fstream>

#include "data/formats/npy.h"
#include "data/row_alignment.h"
#include "tests/files.h"

namespace derrd::test::checksums_test {
namespace {

class Checksums : public testing::Test {
 protected:
  Checksums() { write({1, 2}, "a\nb\n"); }

  /// Writes a group of an array and ids.
  void write(const std::vector<float>& values, std::string_view ids) const {
    FileGroup group(list_);
    add(group, values, ids);
    group.commit();
  }
  void add(FileGroup& group, const std::vector<float>& values, std::string_view ids) const {
    const std::string header = npy_header({static_cast<int64_t>(values.size()), 1});
    group.add(array_, {std::as_bytes(std::span(header)), std::as_bytes(std::span(values))});
    group.add(ids_, {std::as_bytes(std::span(ids))});
  }
  void expect_refusal(const std::string& file) const {
    const std::string message = error_of([&] {
      if (file == ids_) {
        read_id_file(file);
      } else {
        read_npy(file);
      }
    });
    expect_contains(message,
                    {file + ": " + list_ + " has no line for it", "remove " + list_ + " if"});
  }

  const TestFolder folder_;
  const std::string list_ = folder_ / "m.xxh128", array_ = folder_ / "m.user.npy",
                    ids_ = folder_ / "m.user_ids.txt";
};

TEST_F(Checksums, AGroupComesBack) {
  EXPECT_EQ(read_npy(array_).values, (std::vector<float>{1, 2}));
  EXPECT_EQ(read_id_file(ids_).text(1), "b");
  EXPECT_EQ(folder_.names(),
            (std::vector<std::string>{"m.user.npy", "m.user_ids.txt", "m.xxh128"}));
  // By `xxh128sum` of Debian's package xxhash.
  EXPECT_TRUE(contains(read_text(list_), "895ce4f567238372b6307d6feb690ac7  m.user_ids.txt\n"));
  EXPECT_EQ(checksum_list_of("x/m.item_ids.txt"), "x/m.xxh128");
  EXPECT_EQ(checksum_list_of("x/m.item.npy"), "x/m.xxh128");
  EXPECT_EQ(checksum_list_of("x/m.npy"), "");
}

TEST_F(Checksums, TheToolChecksThem) {
  if (std::system("xxh128sum --version >/dev/null 2>&1") != 0) {
    GTEST_SKIP() << "apt-get install xxhash";
  }
  const std::string command =
      "cd '" + folder_.path() + "' && xxh128sum -c m.xxh128 >/dev/null 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0);
  write_text(ids_, "a\nc\n");
  EXPECT_NE(std::system(command.c_str()), 0);
}

TEST_F(Checksums, EveryFlippedBitIsNoticed) {
  for (const std::string& path : {array_, ids_}) {
    const std::string whole = read_text(path);
    for (size_t bit = 0; bit < 8 * whole.size(); ++bit) {
      write_text(path, flipped(whole, bit));
      expect_refusal(path);
    }
    write_text(path, whole);
  }
  const std::string list = read_text(list_);
  for (size_t bit = 0; bit < 8 * list.size(); ++bit) {
    write_text(list_, flipped(list, bit));
    const bool of_the_array = bit / 8 <= list.find('\n');
    expect_refusal(of_the_array ? array_ : ids_);
  }
}

TEST_F(Checksums, FilesWithoutAListAreReadAsTheyAre) {
  write_text(ids_, "a\nc\n");
  std::filesystem::remove(list_);
  EXPECT_EQ(read_id_file(ids_).text(1), "c");
}

TEST_F(Checksums, AFileThatTheListLacksIsRefused) {
  const std::string item = folder_ / "m.item.npy";
  std::filesystem::copy_file(array_, item);
  expect_refusal(item);
}

// A process may be killed between any two of the renames.
TEST_F(Checksums, OldAndNewFilesTogetherAreRefused) {
  const TestFolder older;
  for (const char* name : {"m.user.npy", "m.user_ids.txt", "m.xxh128"}) {
    std::filesystem::copy_file(folder_ / name, older / name);
  }
  write({3, 4}, "c\nd\n");
  std::filesystem::copy_file(older / "m.user_ids.txt", ids_,
                             std::filesystem::copy_options::overwrite_existing);
  expect_refusal(ids_);
  EXPECT_EQ(read_npy(array_).values, (std::vector<float>{3, 4}));
}

TEST_F(Checksums, TheListIsTheFirstToGetItsName) {
  // A folder in a file's place stops the group there.
  FileGroup group(list_);
  add(group, {3, 4}, "c\nd\n");
  std::filesystem::remove(array_);
  std::filesystem::create_directory(array_);
  EXPECT_THROW(group.commit(), Error);
  expect_refusal(ids_);  // still the old one
}

TEST_F(Checksums, WithoutCommitTheOldGroupStays) {
  {
    FileGroup group(list_);
    add(group, {3, 4}, "c\nd\n");
  }
  EXPECT_EQ(read_npy(array_).values, (std::vector<float>{1, 2}));
  EXPECT_EQ(read_id_file(ids_).text(1), "b");
  EXPECT_EQ(folder_.names().size(), 3u);
}

TEST_F(Checksums, NamesThatAListCannotHoldAreRefused) {
  FileGroup group(list_);
  for (const char* name : {"a\nb.user.npy", "a\\b.user.npy"}) {
    expect_error([&] { group.add(folder_ / name, {}); }, "choose a name without");
  }
}

}  // namespace
}  // namespace derrd::test::checksums_test
