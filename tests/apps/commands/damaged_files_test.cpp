// Files that were changed since they were written.

#include <filesystem>
#include <random>
#include <span>
#include <string>

#include "data/formats/safetensors.h"
#include "tests/apps/program.h"

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
  constexpr int kFlips = 1500;  // of each file
  std::mt19937 random(1);
  for (const char* name : {"data", "model", "checkpoint", "lists", "vectors"}) {
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

}  // namespace
}  // namespace derrd::test::damaged_files_test
