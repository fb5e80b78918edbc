// Recipes: what a run takes from which table, errors with file and line, edits; grids.

#include "apps/experiments/recipe.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "apps/experiments/embedded.h"
#include "apps/experiments/grid.h"
#include "apps/experiments/recipe_edit.h"
#include "data/error.h"
#include "tests/apps/program.h"

namespace derrd::test::recipe_test {
namespace {

std::string shown(const Options& options) {
  std::string text;
  for (const Option& option : options) text += option.argument() + " ";
  return text;
}

std::string options_of(const std::string& text, const std::string& method,
                       const OptionCheck& check = nullptr) {
  return shown(RecipeFile::parse(text, "file.toml", check).options("bpr", method));
}

/// What goes wrong when a method's options are asked for; empty: nothing.
std::string error_of(const std::string& text, const std::string& method = "de",
                     const OptionCheck& check = nullptr) {
  try {
    options_of(text, method, check);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

constexpr const char* kText = R"(preset = "paper"
lr = 1e-3
[prepare]
format = "tsv"
[bpr]
lr = 0.02
[bpr.teacher]
dim = 20
[bpr.student]
[bpr.de]
experts = 3
lambda-de = 1e-2
[bpr.rrd]
k = 5
rd-renormalise = true
[bpr.both]
inherits = ["de", "rrd"]
method = "de+rrd"
lr = 0.5
experts = 4
[neumf.de]
experts = 9
)";

TEST(Recipe, LaterTablesWin) {
  EXPECT_EQ(options_of(kText, "teacher"), "--preset=paper --lr=0.02 --dim=20 --model=bpr ");
  EXPECT_EQ(options_of(kText, "student"), "--preset=paper --lr=0.02 --model=bpr ");
  EXPECT_EQ(options_of(kText, "de"),
            "--preset=paper --lr=0.02 --experts=3 --lambda-de=0.01 --method=de ");
  EXPECT_EQ(options_of(kText, "both"),
            "--preset=paper --lr=0.5 --experts=4 --lambda-de=0.01 --k=5 --rd-renormalise=true "
            "--method=de+rrd ");
  const RecipeFile recipe = RecipeFile::parse(kText, "file.toml", nullptr);
  EXPECT_EQ(shown(recipe.prepare()), "--format=tsv ");
  EXPECT_EQ(shown(recipe.options("neumf", "de")),
            "--preset=paper --lr=0.001 --experts=9 --method=de ");
  EXPECT_EQ(recipe.methods("bpr"),
            (std::vector<std::string>{"teacher", "student", "de", "rrd", "both"}));
}

// Each table is looked up once, however many ways lead to it.
TEST(Recipe, InheritanceMayMeetAgain) {
  std::string text = "[bpr.m0]\nk = 1\n";
  for (int n = 1; n <= 60; ++n) {
    text += fmt::format("[bpr.m{}]\ninherits = ['m{}', 'm{}']\n", n, n - 1, std::max(0, n - 2));
  }
  EXPECT_EQ(options_of(text, "m60"), "--k=1 --method=m60 ");
}

TEST(Recipe, MethodsAreNotInherited) {
  EXPECT_EQ(options_of("[bpr.a]\nmethod = \"de\"\nk = 1\n[bpr.b]\ninherits = [\"a\"]\n", "b"),
            "--k=1 --method=b ");
}

TEST(Recipe, ErrorsNameFileAndLine) {
  const auto expect = [](const std::string& text, const std::string& place,
                         const std::string& what) {
    const std::string error = error_of(text);
    EXPECT_TRUE(error.starts_with("file.toml:" + place + ": ")) << text << error;
    EXPECT_NE(error.find(what), std::string::npos) << error;
  };
  expect("lr = 1\n[bpr.de]\nexperts = \n", "3", "");
  expect("[bpr.de]\nexperts = [1, 2]\n", "2", "experts has to be a number");
  expect("[bpr.de]\n\nseed = 3\n", "3", "seed is set by the program itself");
  expect("[bpr.de]\ndim = 3\n", "2", "size");
  expect("[bpr.de]\ninherits = [\"rd\"]\n", "1", "no [bpr.rd]; there are de");
  expect("[bpr.de]\ninherits = \"rd\"\n", "2", "list");
  expect("[bpr.a]\ninherits = [\"de\"]\n[bpr.de]\ninherits = [\"a\"]\n", "3", "inherits itself");
  expect("[neumf.de]\n", "1", "no [bpr.de]");
  expect("[bpr.de]\nk = ''\n", "2", "k has no value");
  expect("[bpr.de]\nmodel = 'neumf'\n", "2", "model is set by the program itself");
  expect("[bpr.de]\n[prepare]\ninherits = ['de']\n", "3", "inherits has to be a number");
  for (const char* name : {"'x/../de'", "''", "\"a\\nb\""}) {
    expect(fmt::format("[bpr.de]\n[bpr.{}]\n", name), "2", "letters, digits and dashes");
  }
  expect("[bpr.de]\nexperts = 1\nexperts = 2\n", "3", "");
}

TEST(Recipe, OptionsThatTheCommandRefusesAreErrorsAtTheirLine) {
  const OptionCheck check = [](const std::string& command, const Option& option) {
    return option.name == "experts" ? command + " refuses " + option.value : "";
  };
  EXPECT_EQ(error_of("[bpr.de]\nk = 1\nexperts = 7\n", "de", check),
            "file.toml:3: [bpr.de]: distill refuses 7");
  EXPECT_EQ(error_of("[bpr]\nexperts = 7\n[bpr.teacher]\n", "teacher", check),
            "file.toml:2: [bpr]: train refuses 7");
  EXPECT_EQ(error_of("lr = 1\nexperts = 7\n[bpr.teacher]\n", "teacher", check),
            "file.toml:2: above all tables: train refuses 7");
  EXPECT_EQ(error_of("[prepare]\nexperts = 7\n[bpr.teacher]\n", "teacher", check),
            "file.toml:2: [prepare]: prepare refuses 7");
}

TEST(Recipe, TablesThatNobodyTakesAreCheckedToo) {
  const OptionCheck check = [](const std::string& command, const Option& option) {
    return option.name == "kk" ? command + " has no option kk" : "";
  };
  const std::string used = "[bpr.de]\nk = 1\n";
  EXPECT_EQ(error_of(used, "de", check), "");
  EXPECT_EQ(error_of(used + "[bpr.typo]\nkk = 1\n", "de", check),
            "file.toml:4: [bpr.typo]: distill has no option kk");
  EXPECT_EQ(error_of(used + "[neumf.student]\nkk = 1\n", "de", check),
            "file.toml:4: [neumf.student]: train has no option kk");
  EXPECT_EQ(error_of(used + "\n[neumff.x]\nk = 1\n", "de", check),
            "file.toml:4: [neumff]: there is no base model neumff; there are bpr, neumf");
  EXPECT_EQ(error_of(used + "[neumf.rd]\ninherits = [\"rdd\"]\n", "de", check),
            "file.toml:3: there is no [neumf.rdd]; there are rd");
  EXPECT_EQ(error_of(used + "[neumf.rd]\nsize = 1\n", "de", check),
            "file.toml:4: the student's size is set by the program itself; remove it");
  EXPECT_EQ(error_of(used + "[neumf.teacher]\ndim = 1\n", "de", check), "");
}

TEST(Recipe, UnknownDataSetsAreToldHowToGetOne) {
  EXPECT_THROW(RecipeFile::of_data_set("nowhere", nullptr), Error);
}

TEST(Recipe, EditKeepsEverythingElse) {
  const std::string recipe =
      "# first\n[bpr]\nlr = 1\n\n[bpr.de]  # of the paper\nexperts = 3  # old\n# stays\nk = 1\n"
      "\n[bpr.rrd]\nexperts = 5\n";
  EXPECT_EQ(
      with_options(recipe, "bpr", "de", {{"experts", "9"}, {"gate", "mean"}}, "9 points"),
      "# first\n[bpr]\nlr = 1\n\n[bpr.de]  # of the paper\n# searched: 9 points\nexperts = 9\n"
      "gate = \"mean\"\n# stays\nk = 1\n\n[bpr.rrd]\nexperts = 5\n");
  const std::string twice = with_options(with_options(recipe, "bpr", "de", {{"k", "2"}}, "once"),
                                         "bpr", "de", {{"k", "3"}}, "twice");
  EXPECT_EQ(twice.find("once"), std::string::npos);
  EXPECT_NE(twice.find("# searched: twice\nk = 3\nexperts = 3  # old\n"), std::string::npos);
  // Indented, with Windows' line ends, with other spellings of header and key.
  const std::string odd =
      "[bpr]\r\n [ bpr . de ]# x\r\n  k = 1\r\n 'gate' = 'a'\r\n\t[bpr.\"rrd\"]\r\n  k = 7\r\n";
  EXPECT_EQ(with_options(odd, "bpr", "de", {{"k", "2"}, {"gate", "b"}}, "s"),
            "[bpr]\r\n [ bpr . de ]# x\r\n# searched: s\r\nk = 2\r\ngate = \"b\"\r\n"
            "\t[bpr.\"rrd\"]\r\n  k = 7\r\n");
  EXPECT_EQ(with_options("[bpr.de]\nk = 1\ninherits = [\n  'rrd'\n]\n[bpr.rrd]\nk = 7\n", "bpr",
                         "de", {{"k", "2"}}, "s"),
            "[bpr.de]\n# searched: s\nk = 2\ninherits = [\n  'rrd'\n]\n[bpr.rrd]\nk = 7\n");
  EXPECT_THROW(with_options("[bpr]\nde = {k = 1}\n", "bpr", "de", {{"k", "2"}}, "s"), Error);
  EXPECT_THROW(with_options("[bpr]\nde.k = 1\n", "bpr", "de", {{"k", "2"}}, "s"), Error);
  EXPECT_EQ(with_options("lr = 1\n", "bpr", "cd", {{"flag", "true"}}, "s"),
            "lr = 1\n\n[bpr.cd]\n# searched: s\nflag = true\n");
}

TEST(Grid, PointsAreAllCombinations) {
  const Grid grid = {parse_axis("a=1,2"), parse_axis("k+l=3,4,5")};
  const auto points = points_of(grid);
  ASSERT_EQ(points.size(), 6u);
  EXPECT_EQ(shown(options_of(grid, points[0])), "--a=1 --k=3 --l=3 ");
  EXPECT_EQ(shown(options_of(grid, points[4])), "--a=2 --k=4 --l=4 ");
  EXPECT_EQ(parse_axis("a=1e-3,40,top").values, (std::vector<std::string>{"0.001", "40", "top"}));
  for (const char* text : {"", "a", "a=", "=1", "a=1,,2", "a+=1", "+a=1"}) {
    EXPECT_THROW(parse_axis(text), Error) << text;
  }
}

TEST(Grid, PublishedGridsAreSection51s) {
  const Grid rrd = published_grid("rrd");
  ASSERT_EQ(rrd.size(), 3u);
  EXPECT_EQ(rrd[0].name(), "lambda-rrd");
  EXPECT_EQ(rrd[0].values,
            (std::vector<std::string>{"1", "0.1", "0.01", "0.001", "0.0001", "1e-05"}));
  EXPECT_EQ(rrd[1].name(), "k+l");
  EXPECT_EQ(points_of(rrd).size(), 6u * 5 * 4);
  EXPECT_EQ(points_of(published_grid("de")).size(), 24u);
  // RD's weight, of a mean beside a sum, needs larger values than the paper's.
  const GridAxis rd = published_grid("rd")[0];
  for (const char* weight : {"100", "1e-05"}) {
    EXPECT_EQ(std::ranges::count(rd.values, weight), 1) << weight;
  }
  EXPECT_EQ(points_of(published_grid("teacher")).size(), 35u);
  EXPECT_THROW(published_grid("none"), Error);
}

// As its opening comment says.
TEST(Recipe, FoursquaresIsCiteULikes) {
  const RecipeFile citeulike = RecipeFile::of_data_set("citeulike", nullptr);
  const RecipeFile foursquare = RecipeFile::of_data_set("foursquare", nullptr);
  const auto shown = [](Options options) {
    std::ranges::sort(options, {}, &Option::name);
    std::string text;
    for (const Option& option : options) text += option.argument() + " ";
    return text;
  };
  for (const char* model : {"bpr", "neumf"}) {
    ASSERT_EQ(citeulike.methods(model), foursquare.methods(model));
    for (const std::string& method : citeulike.methods(model)) {
      EXPECT_EQ(shown(foursquare.options(model, method)), shown(citeulike.options(model, method)))
          << model << " " << method;
    }
  }
}

// Options may be fine one by one and refused together; a command that takes them all gets as far as
// its missing files.
TEST(Recipe, ThoseOfTheProgramHaveEveryMethodOfTheTables) {
  for (const char* data_set : {"citeulike", "foursquare"}) {
    const RecipeFile recipe = RecipeFile::of_data_set(data_set, nullptr);
    for (const char* model : {"bpr", "neumf"}) {
      for (const char* method :
           {"teacher", "student", "rd", "cd", "de", "rrd", "de-rrd", "ir-rrd", "de-attention",
            "de-one-large", "de-one-small", "rrd-full", "rrd-interesting"}) {
        const std::string command = RecipeFile::command_of(method);
        std::vector<std::string> arguments = {command, "--data", "nowhere", "-o", "nothing"};
        if (command == "distill") arguments.insert(arguments.end(), {"--teacher", "nowhere"});
        bool names_method = false;
        for (const Option& option : recipe.options(model, method)) {
          arguments.push_back(option.argument());
          names_method |= option.name == "method";
        }
        if (command == "distill" && !names_method) {
          arguments.insert(arguments.end(), {"--method", method});
        }
        const Result result = derrd(arguments);
        EXPECT_EQ(result.exit_code, 1) << data_set << model << method << result.err;
        EXPECT_NE(result.err.find("nowhere: there is no such file"), std::string::npos)
            << data_set << model << method << result.err;
      }
    }
  }
}

}  // namespace
}  // namespace derrd::test::recipe_test
