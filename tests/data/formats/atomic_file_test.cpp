#include "data/formats/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <thread>

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

TEST(AtomicFile, TwoOfOnePathAreWrittenApart) {
  const TestFolder folder;
  AtomicFile first(folder / "result"), second(folder / "result");
  first.write("of the first");
  second.write("and this of the second");
  EXPECT_EQ(folder.names().size(), 2u);
  second.commit();
  EXPECT_EQ(read_text(folder / "result"), "and this of the second");
  first.commit();
  EXPECT_EQ(read_text(folder / "result"), "of the first");
  EXPECT_EQ(folder.names(), std::vector<std::string>{"result"});
}

/// Name of the temporary file that a process leaves in a folder when it is killed.
std::string left_by_a_killed_process(const TestFolder& folder) {
  const pid_t child = ::fork();
  if (child == 0) {
    AtomicFile file(folder / "result");
    file.write("half");
    ::raise(SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(folder.names().size(), 1u);
  return folder.names().front();
}

TEST(AtomicFile, TheNextProcessRemovesWhatAKilledOneLeft) {
  const TestFolder folder;
  left_by_a_killed_process(folder);
  AtomicFile file(folder / "other");
  file.write("new");
  file.commit();
  EXPECT_EQ(folder.names(), std::vector<std::string>{"other"});
}

TEST(RemoveLeftovers, KeepsFilesOfLivingProcessesAndOtherFiles) {
  const TestFolder folder;
  const std::string left = left_by_a_killed_process(folder);
  std::vector<std::string> kept = {folder.write("result.tmp-1", "x"),
                                   folder.write("derrd-0123456789abcde.tmp", "x"),
                                   folder.write("derrd-0123456789ABCDEF.tmp", "x"),
                                   folder.write("derrd-0123456789abcdef.tmp.gz", "x"),
                                   folder.write("my-derrd-0123456789abcdef.tmp", "x"),
                                   folder / "derrd-0000000000000000.tmp",
                                   folder / "derrd-1111111111111111.tmp",
                                   folder / "derrd-2222222222222222.tmp"};
  std::filesystem::create_directory(folder / "derrd-0000000000000000.tmp");
  std::filesystem::create_symlink(kept.front(), folder / "derrd-1111111111111111.tmp");
  ASSERT_EQ(::mkfifo((folder / "derrd-2222222222222222.tmp").c_str(), 0600), 0);

  AtomicFile living(folder / "living");
  living.write("half");
  folder.write(left, "left again");
  remove_leftovers(folder.path());
  EXPECT_FALSE(std::filesystem::exists(folder / left));
  EXPECT_EQ(folder.names().size(), kept.size() + 1);
  for (const std::string& path : kept) {
    EXPECT_TRUE(std::filesystem::exists(std::filesystem::symlink_status(path))) << path;
  }
  living.commit();
  EXPECT_EQ(read_text(folder / "living"), "half");
  remove_leftovers(folder / "none");
}

// The moment between creating a file and locking it.
TEST(RemoveLeftovers, TakesNoFileFromOneWhoWritesIt) {
  const TestFolder folder;
  std::atomic<bool> done = false;
  std::thread remover([&] {
    while (!done) remove_leftovers(folder.path());
  });
  for (int n = 0; n < 3000; ++n) {
    AtomicFile file(folder / "result");
    file.write("new");
    EXPECT_NO_THROW(file.commit());
  }
  done = true;
  remover.join();
  EXPECT_EQ(folder.names(), std::vector<std::string>{"result"});
}

TEST(AtomicFile, TakesNamesAsLongAsTheFileSystemDoes) {
  const TestFolder folder;
  const std::string longest(255, 'x');
  AtomicFile file(folder / longest);
  file.commit();
  EXPECT_EQ(folder.names(), std::vector<std::string>{longest});
  expect_error([&] { AtomicFile longer(folder / std::string(256, 'x')); }, "a shorter name");
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
  EXPECT_TRUE(contains(message, "ulimit -f"));
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
