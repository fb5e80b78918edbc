// What a terminal receives where files, names and options hold control characters.

#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "apps/cli/message.h"
#include "data/formats/safetensors.h"
#include "tests/apps/program.h"

namespace derrd::test::terminal_test {

namespace {

/// Sets a terminal's title, its colour by a C1 character, and its colour by a bare byte.
const std::string kHostile = "\x1b]0;x\x07\xc2\x9b[31m\x9b[32m\x7f";
/// The same without what is no UTF-8, which text files and JSON may refuse.
const std::string kHostileText = "\x1b]0;x\x07\xc2\x9b[31m\x7f";

/// The position of the first byte of a control character; npos if there is none. The program's own
/// ways to end and to erase a line don't count.
size_t control_in(std::string text) {
  for (const std::string own : {"\r\x1b[K", "\r\n"}) {
    for (size_t at; (at = text.find(own)) != std::string::npos;) text.replace(at, own.size(), "\n");
  }
  const std::string plain = visible(text);
  const auto at = std::ranges::mismatch(text, plain).in1;
  return at == text.end() ? std::string::npos : static_cast<size_t>(at - text.begin());
}

class Terminal : public CommandTest {
 protected:
  /// Runs a command on a terminal, and expects escapes in place of the control characters.
  void expect_safe(int code, const Arguments& arguments) {
    SCOPED_TRACE(testing::PrintToString(arguments));
    const Result result = derrd_on_terminal(arguments);
    EXPECT_EQ(result.exit_code, code) << visible(result.out);
    EXPECT_EQ(control_in(result.out), std::string::npos) << visible(result.out);
    const bool escaped = result.out.find("\\x1b]0;x") != std::string::npos ||
                         result.out.find("\\u001b]0;x") != std::string::npos;
    EXPECT_TRUE(escaped) << "shows nothing of it: " << visible(result.out);
  }
  /// A table of interactions whose ids have control characters.
  void write_table(const std::string& file) {
    std::string table = "user" + kHostileText + "\titem" + kHostileText + "\n";
    for (int u = 0; u < 40; ++u) {
      for (int n = 0; n < 12; ++n) {
        table += "u" + kHostileText + std::to_string(u) + "\ti" + kHostileText +
                 std::to_string((u * 7 + n * 5) % 50) + "\n";
      }
    }
    write_text(file, table);
  }
};

TEST_F(Terminal, GetsNoControlCharactersOfDataAndModels) {
  const std::string table = path("table" + kHostile), data = path("data" + kHostile);
  const std::string model = path("model" + kHostile), foreign = path("foreign" + kHostile);
  write_table(table);
  expect_safe(0, {"prepare", table, "--format", "tsv", "--header", "yes", "--user-column",
                  "user" + kHostileText, "--item-column", "item" + kHostileText, "--candidates",
                  "10", "-o", data});
  expect_safe(0, {"train", "--data", data, "--dim", "4", "--epochs", "12", "-o", model});
  expect_safe(0, {"info", data});
  expect_safe(0, {"info", model});
  expect_safe(0, {"recommend", "--data", data, "--model", model, "--top", "3"});
  expect_safe(0,
              {"recommend", "--data", data, "--model", model, "--top", "3", "--format", "jsonl"});
  expect_safe(0, {"evaluate", "--data", data, "--model", model, "--ci"});
  expect_safe(0, {"evaluate", "--data", data, "--model", model, "--json"});
  expect_safe(0, {"export", model, "--format", "npy", "--data", data, "-o", path("e" + kHostile)});
  expect_safe(kFailure, {"recommend", "--data", data, "--model", model, "--users", kHostile});
  expect_safe(kFailure, {"evaluate", "--data", path("none" + kHostile), "--model", model});

  // A model of another program, in which everything that can be a text is hostile.
  const std::vector<float> users(40 * 4, 0.5f), items(50 * 4, 0.25f);
  const std::string json = nlohmann::json{{kHostileText, kHostileText}}.dump();
  write_safetensors(foreign,
                    {{"user_embedding", tensor_view(std::span(users), {40, 4})},
                     {"item_embedding", tensor_view(std::span(items), {50, 4})},
                     {kHostileText, tensor_view(std::span(users), {40, 4})}},
                    {{"dataset_hash", kHostileText},
                     {"format", kHostileText},
                     {"options", "{\"" + std::string("\xc2\x9b") + "31m\\u001b]0;x\":1}"},
                     {"json", json},
                     {kHostileText, kHostileText}});
  expect_safe(0, {"info", foreign});
  expect_safe(0, {"evaluate", "--data", data, "--model", foreign});
  expect_safe(0, {"distill", "--data", data, "--teacher", foreign, "--method", "rrd", "--k", "3",
                  "--l", "3", "--dim", "4", "--epochs", "2", "-o", path("student" + kHostile)});
}

TEST_F(Terminal, GetsNoControlCharactersOfOptions) {
  const std::string config = path("config" + kHostile);
  for (const std::string& text :
       {"epochs = \"" + std::string("\\u001b]0;x\\u0007\\u009b31m") + "\"\n",
        std::string("\"\\u001b]0;x\\u0007\\u009b\" = 1\n"), "epochs = " + kHostileText + "\n",
        std::string("[\"\\u001b]0;x\\u0007\\u009b\"]\n")}) {
    write_text(config, text);
    const Result result = derrd({"train", "--data", "d", "-o", "m", "--config", config});
    expect_safe(result.exit_code, {"train", "--data", "d", "-o", "m", "--config", config});
    EXPECT_NE(result.exit_code, 0);
  }
  expect_safe(kUsageError, {"train", "--epochs", kHostile});
  expect_safe(kUsageError, {"train", "--data", "d", "-o", "m", "--" + kHostile});
  expect_safe(kUsageError, {"evaluate", "--data", "d", kHostile});
  expect_safe(kFailure, {"reproduce", "--data", "citeulike=" + path("d" + kHostile), "--work",
                         path("w" + kHostile), "-o", path("r" + kHostile)});
}

// Files and pipes get the ids as they are.
TEST_F(Terminal, AloneGetsEscapes) {
  write_table(path("table"));
  succeed(
      words("prepare @table --format tsv --header yes --candidates 10 -o @data") +
      Arguments{"--user-column", "user" + kHostileText, "--item-column", "item" + kHostileText});
  succeed(words("train --data @data --dim 4 --epochs 1 --quiet -o @model"));
  const Arguments lists = words("recommend --data @data --model @model --top 3");
  const Result result = succeed(lists);
  EXPECT_TRUE(contains(result.out, "\nu" + kHostileText + "0\t1\ti" + kHostileText));
  succeed(lists + words("-o @lists"));
  EXPECT_TRUE(read_text(path("lists")) == result.out);
}

TEST_F(Terminal, ShowsProgressInOneLine) {
  write_small_dataset(folder_);
  const Result result =
      derrd_on_terminal(words("train --data @data --dim 4 --epochs 12 -o @model"));
  EXPECT_EQ(result.exit_code, 0);
  size_t rewritten = 0;
  for (size_t at = 0; (at = result.out.find("\r\x1b[Kepoch ", at)) != std::string::npos; ++at) {
    ++rewritten;
  }
  EXPECT_EQ(rewritten, 12u);
  EXPECT_TRUE(contains(result.out, "\r\x1b[Kepoch 11/12"));
  EXPECT_TRUE(contains(result.out, "\r\nfinished all 12 epochs"));
}

}  // namespace

}  // namespace derrd::test::terminal_test
