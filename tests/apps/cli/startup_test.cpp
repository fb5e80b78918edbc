#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <set>
#include <string>
#include <tuple>

#include "apps/startup/instruction_sets.h"
#include "data/version.h"
#include "tests/apps/program.h"

namespace derrd::test {

namespace {

namespace fs = std::filesystem;

/// A processor with everything, whose system saves all registers.
ProcessorFacts whole_processor() {
  ProcessorFacts facts;
  for (auto& leaf : facts.cpuid) {
    for (uint32_t& bits : leaf) bits = ~uint32_t{0};
  }
  facts.saved_registers = ~uint64_t{0};
  return facts;
}

TEST(InstructionSets, AreThereWithTheirBitAndTheirRegisters) {
  std::set<std::tuple<int, int, int>> places;
  for (size_t s = 0; s < kNumInstructionSets; ++s) {
    const InstructionSet& set = kInstructionSets[s];
    SCOPED_TRACE(set.name);
    EXPECT_TRUE(places.emplace(set.leaf, set.place, set.bit).second);
    ProcessorFacts facts = whole_processor();
    EXPECT_TRUE(has(facts, set));
    facts.cpuid[set.leaf][set.place] ^= uint32_t{1} << set.bit;
    EXPECT_FALSE(has(facts, set));
    facts = whole_processor();
    facts.saved_registers = kAvxRegisters;
    EXPECT_EQ(has(facts, set), set.registers != kAvx512Registers);
    facts.saved_registers = 0;
    EXPECT_EQ(has(facts, set), set.registers == 0);
  }
}

#if defined(__x86_64__)
TEST(InstructionSets, AreNeededIfTheCompilerUsesThem) {
  for (size_t s = 0; s < kNumInstructionSets; ++s) {
    const InstructionSet& set = kInstructionSets[s];
    if (set.name == std::string("AVX2")) {
#if defined(__AVX2__)
      EXPECT_TRUE(set.needed);
#else
      EXPECT_FALSE(set.needed);
#endif
    }
  }
}
#endif

class ClosedStreams : public CommandTest {
 protected:
  void SetUp() override { write_small_dataset(folder_); }
  Arguments train() const {
    return words("train --data @data --dim 4 --epochs 12 --threads 1 --log @log -o @model");
  }
};

TEST_F(ClosedStreams, StandardErrorIsNoFileOfTheProgram) {
  succeed(train());
  const std::string model = read_text(path("model"));
  const Result result = derrd(train(), [] { ::close(STDERR_FILENO); });
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(read_log(path("log")).size(), 12u);
  EXPECT_TRUE(read_text(path("model")) == model);
}

TEST_F(ClosedStreams, StandardOutputIsAnErrorIfSomethingIsPrinted) {
  for (const Arguments& arguments : {train(), words("--version"), words("train --help")}) {
    const Result result = derrd(arguments, [] { ::close(STDOUT_FILENO); });
    EXPECT_EQ(result.exit_code, kFailure);
    expect_contains(result.err, {"standard output can't be written"});
  }
  EXPECT_EQ(read_log(path("log")).size(), 12u);
}

TEST_F(ClosedStreams, AllOfThemLeaveTheFilesWhole) {
  succeed(train());
  const std::string model = read_text(path("model"));
  fs::remove(path("model"));
  const Result result = derrd(train(), [] {
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::close(stream);
  });
  EXPECT_EQ(result.exit_code, kFailure);  // standard output
  EXPECT_EQ(read_log(path("log")).size(), 12u);
  EXPECT_TRUE(read_text(path("model")) == model);
}

TEST_F(ClosedStreams, StandardInputIsEmpty) {
  const Result result = derrd(words("prepare - --format tsv -o @prepared"), [] { ::close(0); });
  EXPECT_EQ(result.exit_code, kFailure) << result.err;
  EXPECT_FALSE(fs::exists(path("prepared")));
}

#if defined(__x86_64__) && defined(__GLIBC__)
// /proc/self/exe is not the program then.
TEST(Startup, TheDynamicLoaderMayStartTheProgram) {
  const std::string command = "env -u OPENBLAS_NUM_THREADS /lib64/ld-linux-x86-64.so.2 '" +
                              std::string(DERRD_PROGRAM) + "' --version";
  FILE* const output = ::popen(command.c_str(), "r");
  ASSERT_NE(output, nullptr);
  std::string text(100, ' ');
  text.resize(std::fread(text.data(), 1, text.size(), output));
  EXPECT_EQ(::pclose(output), 0);
  EXPECT_EQ(text, std::string("derrd ") + kVersion + "\n");
}
#endif

// The sanitizers take terabytes of address space, a device takes as much as it likes.
#if defined(DERRD_BACKEND_CPU) && !defined(__SANITIZE_ADDRESS__)

class FewResources : public CommandTest {};

TEST_F(FewResources, LittleAddressSpaceEndsEveryCommandSoon) {
  write_dataset(path("data"), {.users = 500, .items = 700, .interactions = 9000, .candidates = 50});
  succeed(words("train --data @data --dim 16 --epochs 1 --quiet -o @model"));
  for (const Arguments& arguments :
       {words("--version"), words("evaluate --data @none --model @none"),
        words("recommend --data @data --model @model --threads 8 -o @lists"),
        words("evaluate --data @data --model @model --threads 2"),
        words("train --data @data --dim 16 --epochs 2 --threads 64 -o @again")}) {
    for (const rlim_t kilobytes : {60000, 70000, 80000, 90000, 100000, 120000, 140000, 160000,
                                   180000, 200000, 300000, 500000}) {
      const Result result = derrd(arguments, [&] {
        const rlimit limit = {kilobytes << 10, kilobytes << 10};
        ::setrlimit(RLIMIT_AS, &limit);
        ::alarm(30);
      });
      EXPECT_TRUE(result.exit_code == 0 || result.exit_code == kFailure)
          << testing::PrintToString(arguments) << " with " << kilobytes << " kB: exit code "
          << result.exit_code << ", signal " << result.signal << "\n"
          << result.err;
      if (arguments.size() == 1) {
        EXPECT_EQ(result.exit_code, 0);
      }
    }
  }
}

TEST_F(FewResources, NoMoreThreadsThanTheSystemAllows) {
  write_small_dataset(folder_);
  for (const char* name : {"", "data"}) {
    fs::permissions(path(name), fs::perms::others_all, fs::perm_options::add);
  }
  const Arguments train = words("train --data @data --dim 16 --epochs 2 --threads 8 -o @model");
  const auto nobody = static_cast<uid_t>(100'000 + ::getpid());  // who has no other processes
  for (const rlim_t threads : {1, 2, 3, 5}) {
    const Result result = derrd(train, [&] {
      if (::geteuid() == 0 &&
          (::setgroups(0, nullptr) != 0 || ::setgid(nobody) != 0 || ::setuid(nobody) != 0)) {
        ::_exit(127);
      }
      const rlimit limit = {threads, threads};
      ::setrlimit(RLIMIT_NPROC, &limit);
      ::alarm(30);
    });
    if (result.exit_code == 127) GTEST_SKIP() << "another user can't execute " << DERRD_PROGRAM;
    EXPECT_EQ(result.exit_code, 0) << threads << " threads: " << result.err;
  }
}

#endif

}  // namespace

}  // namespace derrd::test
