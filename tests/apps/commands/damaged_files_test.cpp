// Files that were changed since they were written, and what killed runs leave behind.

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <span>
#include <string>

#include "data/formats/npy.h"
#include "data/formats/safetensors.h"
#include "tests/apps/program.h"
#include "tests/npy_file.h"

namespace derrd::test::damaged_files_test {
namespace {

namespace fs = std::filesystem;

class DamagedFiles : public CommandTest {
 protected:
  DamagedFiles() { write_small_dataset(folder_); }

  Arguments training() const {
    return words("train --data @data --dim 4 --epochs 2 --quiet -o @model");
  }
  void flip(const std::string& name, size_t bit) const {
    write_text(path(name), flipped(read_text(path(name)), bit));
  }
};

TEST_F(DamagedFiles, AFlippedBitOfAModelIsRefused) {
  succeed(training());
  const std::string model = read_text(path("model"));
  flip("model", 8 * (model.size() - 16 * 60 + 16 * 5 + 3) + 6);  // within user 5's vector
  const std::vector<std::string> parts = {path("model") + ": is damaged, or another program"};
  expect_exit(kFailure, words("recommend --data @data --model @model --users 5 --top 2"), parts);
  expect_exit(kFailure, words("evaluate --data @data --model @model"), parts);
  expect_exit(kFailure, words("export @model -o @out"), parts);
  expect_exit(kFailure, words("info @model"), parts);
  expect_exit(kFailure, words("distill --data @data --teacher @model --dim 2 -o @out"), parts);
  EXPECT_FALSE(fs::exists(path("out")));
}

TEST_F(DamagedFiles, NoFlippedBitOfAnyFileGivesOtherContents) {
  succeed(training() + words("--checkpoint @checkpoint"));
  succeed(words("recommend --data @data --model @model --top 3 --format safetensors -o @lists"));
  succeed(words("export @model --user-name P --item-name Q -o @vectors"));
  succeed(
      words("distill --data @data --teacher @model --method de --dim 2 --epochs 1 -o @student "
            "--snapshot-gate @gate"));
  constexpr int kFlips = 1500;  // of each file
  std::mt19937 random(1);
  for (const char* name : {"data", "model", "checkpoint", "lists", "vectors", "gate"}) {
    const std::string whole = read_text(path(name));
    const SafetensorsFile original = SafetensorsFile::read(path(name));
    EXPECT_TRUE(original.has_hash());
    int refused = 0;
    for (int n = 0; n < kFlips; ++n) {
      const size_t bit = random() % (8 * whole.size());
      const std::string text = flipped(whole, bit);
      const auto bytes = std::as_bytes(std::span(text));
      try {
        const auto file = SafetensorsFile::parse({bytes.begin(), bytes.end()}, name);
        EXPECT_EQ(hash_tensors(file.tensors()), hash_tensors(original.tensors())) << bit;
        for (const auto& [key, value] : original.metadata()) {
          EXPECT_EQ(file.metadata_or(key, "none"), value) << name << ", bit " << bit;
        }
      } catch (const Error&) {
        ++refused;
      }
    }
    EXPECT_GT(refused, kFlips - 100) << name;
  }
}

TEST_F(DamagedFiles, AFlippedBitOfAnExportIsRefused) {
  succeed(training());
  succeed(words("export @model --format npy --data @data -o @out"));
  const Arguments recommend = words(
      "recommend --data @data --model-user @out.user.npy --model-item @out.item.npy "
      "--model-user-ids @out.user_ids.txt --model-item-ids @out.item_ids.txt");
  succeed(recommend);
  for (const char* name :
       {"out.user.npy", "out.item.npy", "out.user_ids.txt", "out.item_ids.txt"}) {
    const std::string whole = read_text(path(name));
    flip(name, 8 * (whole.size() - 3));
    expect_exit(kFailure, recommend,
                {path(name) + ": " + path("out.xxh128") + " has no line for it"});
    write_text(path(name), whole);
  }
  // A change that was meant.
  write_npy(path("out.user.npy"), std::vector<float>(60 * 4, 1.0f), {60, 4});
  expect_exit(kFailure, recommend, {"remove " + path("out.xxh128") + " if the change was meant"});
  fs::remove(path("out.xxh128"));
  succeed(recommend);
}

TEST_F(DamagedFiles, LeftoversOfKilledRunsAreRemoved) {
  write_text(path("derrd-0123456789abcdef.tmp"), "half");
  const auto before = folder_.names().size();
  succeed(training());
  EXPECT_EQ(folder_.names().size(), before);  // the model has come, the leftover has gone
  EXPECT_FALSE(fs::exists(path("derrd-0123456789abcdef.tmp")));
}

/// Tells whether a command in a shell succeeds.
bool shell(const std::string& command) {
  return std::system(("( " + command + " ) >/dev/null 2>&1").c_str()) == 0;
}

std::string in_shell(const Arguments& arguments) {
  std::string line = DERRD_PROGRAM;
  for (const std::string& argument : arguments) line += " '" + argument + "'";
  return line;
}

// As in two containers on one volume: each process is number 1.
TEST_F(DamagedFiles, ProcessesOfOneNumberDoNotShareTemporaryFiles) {
  if (!shell("unshare -rpf true")) GTEST_SKIP() << "unshare is not permitted here";
  for (int n = 0; n < 5; ++n) {
    std::string both;
    for (const char* seed : {"0", "1"}) {
      both += "unshare -rpf " +
              in_shell(words("train --data @data --dim 4 --epochs 40 --quiet -o @model "
                             "--checkpoint @checkpoint --checkpoint-every 0 --seed",
                             seed)) +
              " & p" + seed + "=$!; ";
    }
    EXPECT_TRUE(shell(both + "wait $p0 && wait $p1")) << n;
    EXPECT_TRUE(SafetensorsFile::read(path("checkpoint")).has_hash());
    EXPECT_TRUE(SafetensorsFile::read(path("model")).has_hash());
    EXPECT_EQ(folder_.names().size(), 3u);
  }
}

TEST_F(DamagedFiles, AFullDiskKeepsTheOldFileAndNothingElse) {
  fs::create_directory(path("disk"));
  const std::string mount = "mount -t tmpfs -o size=64k none '" + path("disk") + "' || exit 3\n";
  write_text(path("mount.sh"), mount);
  const std::string in_namespace = "unshare -rm sh ";
  if (!shell(in_namespace + path("mount.sh"))) GTEST_SKIP() << "mounting is not permitted here";
  write_text(path("full.sh"),
             mount + "cd '" + path("disk") + "'\necho old >data\n" +
                 in_shell(words("synthesize --users 200 --items 300 --interactions 4000 "
                                "--candidates 99 -o data")) +
                 " 2>'" + path("message") + "'\n" +
                 "[ $? = 1 ] && [ \"$(ls -A)\" = data ] && [ \"$(cat data)\" = old ]\n");
  EXPECT_TRUE(shell(in_namespace + path("full.sh")));
  EXPECT_TRUE(contains(read_text(path("message")), "free some space"));
}

}  // namespace
}  // namespace derrd::test::damaged_files_test
