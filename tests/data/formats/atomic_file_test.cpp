#include "data/formats/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include "tests/files.h"

namespace derrd::test::atomic_file_test {
namespace {

TEST(AtomicFile, AppearsWithCommitOnly) {
  const TestFolder folder;
  AtomicFile file(folder / "result");
  file.write("half ");
  EXPECT_FALSE(std::filesystem::exists(folder / "result"));
  file.write("and half");
  file.commit();
  EXPECT_EQ(read_text(folder / "result"), "half and half");
  EXPECT_EQ(folder.names(), std::vector<std::string>{"result"});
}

TEST(AtomicFile, WithoutCommitTheOldFileStaysAndNothingElse) {
  const TestFolder folder;
  folder.write("result", "old");
  {
    AtomicFile file(folder / "result");
    file.write("new");
    EXPECT_EQ(folder.names().size(), 2u);  // the temporary file is in the same folder
  }
  EXPECT_EQ(read_text(folder / "result"), "old");
  EXPECT_EQ(folder.names(), std::vector<std::string>{"result"});
}

TEST(AtomicFile, ReplacesAnOldFileAndALeftOverTemporaryOne) {
  const TestFolder folder;
  folder.write("result", "old and longer");
  folder.write("result.tmp-" + std::to_string(::getpid()),
               "left over by a killed process, and longer");
  AtomicFile file(folder / "result");
  file.write("new");
  file.commit();
  EXPECT_EQ(read_text(folder / "result"), "new");
  EXPECT_EQ(folder.names(), std::vector<std::string>{"result"});
}

TEST(AtomicFile, AFullDiskLeavesNothingBehind) {
  const TestFolder folder;
  // A limit on the size of files fails like a full disk does, at the write.
  rlimit old_limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1000, old_limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string message = error_of([&] {
    AtomicFile file(folder / "result");
    file.write(std::string(5000, 'x'));
    file.commit();
  });
  ::setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_TRUE(contains(message, folder / "result"));
  EXPECT_TRUE(folder.names().empty());
}

TEST(AtomicFile, WritesThroughASymbolicLink) {
  const TestFolder folder;
  folder.write("target", "old");
  std::filesystem::create_symlink(folder / "target", folder / "link");
  AtomicFile file(folder / "link");
  file.write("new");
  file.commit();
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
  EXPECT_EQ(read_text(folder / "target"), "new");
}

TEST(AtomicFile, RejectsWhatIsNoFile) {
  const TestFolder folder;
  expect_error([&] { AtomicFile file(folder.path()); }, "not a regular file");
  expect_error([] { AtomicFile file("/dev/null"); }, "not a regular file");
  expect_error([&] { AtomicFile file(folder / "none/result"); }, "create the folder first");
}

}  // namespace
}  // namespace derrd::test::atomic_file_test
