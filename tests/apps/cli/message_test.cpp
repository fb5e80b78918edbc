#include "apps/cli/message.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>

#include "tests/apps/program.h"

namespace derrd::test {

namespace {

TEST(Visible, ShowsControlCharactersAsEscapes) {
  EXPECT_EQ(visible("\x1b]0;x\x07"), "\\x1b]0;x\\x07");
  EXPECT_EQ(visible(std::string("\0\b\r\x7f", 4)), "\\x00\\x08\\x0d\\x7f");
  EXPECT_EQ(visible("\xc2\x80\xc2\x9b\xc2\x9f"), "\\u0080\\u009b\\u009f");
}

TEST(Visible, KeepsNewlinesTabsAndUtf8) {
  for (const char* text : {"", "a\tb\n", "~ \xc2\xa0", "K\xc3\xb6nig", "\xe2\x82\xac",
                           "\xf0\x9f\x8e\xb5", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(visible(text), text);
  }
}

TEST(Visible, ShowsBytesThatAreNoUtf8) {
  EXPECT_EQ(visible("\x9b\x33Jx"), "\\x9b3Jx");
  EXPECT_EQ(visible("\xc2"), "\\xc2");
  EXPECT_EQ(visible("\xc0\x9b"), "\\xc0\\x9b");
  EXPECT_EQ(visible("\xe0\x80\x9b"), "\\xe0\\x80\\x9b");
  EXPECT_EQ(visible("\xf0\x82\x82\x9b"), "\\xf0\\x82\\x82\\x9b");
  EXPECT_EQ(visible("\xe2\x82z"), "\\xe2\\x82z");
  EXPECT_EQ(visible("\xff\xf5\x80\x80\x80"), "\\xff\\xf5\\x80\\x80\\x80");
}

/// A training whose stderr is lost.
class LostMessages : public CommandTest {
 protected:
  void SetUp() override {
    write_small_dataset(folder_);
    succeed(train("whole"));
    model_ = read_text(path("whole"));
  }
  Arguments train(const char* output) const {
    return words("train --data @data --dim 4 --epochs 25 --threads 1 -o") + Arguments{path(output)};
  }
  /// Expects the model that a training with stderr gives.
  void expect_model(const std::function<void()>& prepare) {
    const Result result = derrd(train("model"), prepare);
    EXPECT_EQ(result.exit_code, 0) << "signal " << result.signal << "\n" << result.err;
    EXPECT_TRUE(read_text(path("model")) == model_);
  }

  std::string model_;
};

TEST_F(LostMessages, FullDisk) {
  expect_model([] { ::dup2(::open("/dev/full", O_WRONLY), STDERR_FILENO); });
}

TEST_F(LostMessages, NobodyReadsAndSigpipeIsIgnored) {
  expect_model([] {
    std::array<int, 2> ends;
    if (::pipe(ends.data()) != 0) ::_exit(126);
    ::close(ends[0]);
    ::dup2(ends[1], STDERR_FILENO);
    std::signal(SIGPIPE, SIG_IGN);
  });
}

TEST_F(LostMessages, NobodyReadsThemAnyMore) {
  std::array<int, 2> ends;
  ASSERT_EQ(::pipe(ends.data()), 0);
  ::close(ends[0]);
  expect_model([&] {
    std::signal(SIGPIPE, SIG_DFL);
    ::dup2(ends[1], STDERR_FILENO);
  });
  // A reader of results that ends is no reason to go on.
  const Result lists = derrd(words("recommend --data @data --model @whole"), [&] {
    std::signal(SIGPIPE, SIG_DFL);
    ::dup2(ends[1], STDOUT_FILENO);
  });
  EXPECT_EQ(lists.signal, SIGPIPE);
  const Result ignored = derrd(words("recommend --data @data --model @whole"), [&] {
    std::signal(SIGPIPE, SIG_IGN);
    ::dup2(ends[1], STDOUT_FILENO);
  });
  EXPECT_EQ(ignored.exit_code, kFailure);
  ::close(ends[1]);
}

TEST_F(LostMessages, TerminalThatWentAway) {
  expect_model([] {
    int master = -1, terminal = -1;
    if (::openpty(&master, &terminal, nullptr, nullptr, nullptr) != 0) ::_exit(126);
    std::signal(SIGHUP, SIG_IGN);
    ::setsid();
    ::ioctl(terminal, TIOCSCTTY, 0);
    ::dup2(terminal, STDERR_FILENO);
    ::close(master);
  });
}

TEST_F(LostMessages, ErrorKeepsItsExitCode) {
  const auto full = [] { ::dup2(::open("/dev/full", O_WRONLY), STDERR_FILENO); };
  EXPECT_EQ(derrd(words("info @none"), full).exit_code, kFailure);
  EXPECT_EQ(derrd(words("train"), full).exit_code, kUsageError);
  EXPECT_EQ(derrd(words("frobnicate"), full).exit_code, kUsageError);
}

}  // namespace

}  // namespace derrd::test
