// Recipes: which table gives an option, errors with file and line; grids.

#include "apps/experiments/recipe.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "apps/cli/usage_error.h"
#include "apps/experiments/embedded.h"
#include "apps/experiments/grid.h"
#include "data/error.h"
#include "tests/apps/program.h"

namespace derrd::test::recipe_test {
namespace {

std::string shown(const RecipeOptions& options) {
  std::string text;
  for (const RecipeOption& option : options) text += option.argument() + " ";
  return text;
}

std::string options_of(const std::string& text, const std::string& method,
                       const OptionCheck& check = nullptr) {
  return shown(RecipeFile::parse(text, "file.toml", check).options("bpr", method));
}

/// The error when a method's options are asked for, or an empty text.
std::string refusal(const std::string& text, const std::string& method = "de",
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
  const auto expect = [](const std::string& text, const std::string& line,
                         const std::string& what) {
    const std::string error = refusal(text);
    EXPECT_TRUE(error.starts_with("file.toml:" + line + ": ")) << text << error;
    EXPECT_TRUE(contains(error, what));
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
  const OptionCheck check = [](const std::string& command, const RecipeOption& option) {
    return option.name == "experts" ? std::optional(command + " refuses " + option.value)
                                    : std::nullopt;
  };
  EXPECT_EQ(refusal("[bpr.de]\nk = 1\nexperts = 7\n", "de", check),
            "file.toml:3: [bpr.de]: distill refuses 7");
  EXPECT_EQ(refusal("[bpr]\nexperts = 7\n[bpr.teacher]\n", "teacher", check),
            "file.toml:2: [bpr]: train refuses 7");
  EXPECT_EQ(refusal("lr = 1\nexperts = 7\n[bpr.teacher]\n", "teacher", check),
            "file.toml:2: above all tables: train refuses 7");
  EXPECT_EQ(refusal("[prepare]\nexperts = 7\n[bpr.teacher]\n", "teacher", check),
            "file.toml:2: [prepare]: prepare refuses 7");
}

TEST(Recipe, TablesThatNobodyTakesAreCheckedToo) {
  const OptionCheck check = [](const std::string& command, const RecipeOption& option) {
    return option.name == "kk" ? std::optional(command + " has no option kk") : std::nullopt;
  };
  const std::string used = "[bpr.de]\nk = 1\n";
  EXPECT_EQ(refusal(used, "de", check), "");
  EXPECT_EQ(refusal(used + "[bpr.typo]\nkk = 1\n", "de", check),
            "file.toml:4: [bpr.typo]: distill has no option kk");
  EXPECT_EQ(refusal(used + "[neumf.student]\nkk = 1\n", "de", check),
            "file.toml:4: [neumf.student]: train has no option kk");
  EXPECT_EQ(refusal(used + "\n[neumff.x]\nk = 1\n", "de", check),
            "file.toml:4: [neumff]: there is no base model neumff; there are bpr, neumf");
  EXPECT_EQ(refusal(used + "[neumf.rd]\ninherits = [\"rdd\"]\n", "de", check),
            "file.toml:3: there is no [neumf.rdd]; there are rd");
  EXPECT_EQ(refusal(used + "[neumf.rd]\nsize = 1\n", "de", check),
            "file.toml:4: the student's size is set by the program itself; remove it");
  EXPECT_EQ(refusal(used + "[neumf.teacher]\ndim = 1\n", "de", check), "");
}

TEST(Recipe, UnknownDataSetsAreToldHowToGetOne) {
  EXPECT_THROW(RecipeFile::of_data_set("nowhere", nullptr), Error);
}

TEST(Recipe, LinesOfTomlReadBack) {
  const RecipeOptions options = {
      {"k", "2"}, {"lr", "1e-07"}, {"gate", "a \"b\" \\"}, {"flag", "true"}};
  const std::string lines = toml_lines(options);
  EXPECT_EQ(lines, "k = 2\nlr = 1e-07\ngate = \"a \\\"b\\\" \\\\\"\nflag = true\n");
  EXPECT_EQ(options_of("[bpr.de]\n" + lines, "de"), shown(options) + "--method=de ");
}

TEST(Grid, PointsAreAllCombinations) {
  const Grid grid = {parse_axis("a=1,2"), parse_axis("k+l=3,4,5")};
  const auto points = points_of(grid);
  ASSERT_EQ(points.size(), 6u);
  EXPECT_EQ(shown(options_of(grid, points[0])), "--a=1 --k=3 --l=3 ");
  EXPECT_EQ(shown(options_of(grid, points[4])), "--a=2 --k=4 --l=4 ");
  EXPECT_EQ(parse_axis("a=1e-3,40,top").values, (std::vector<std::string>{"0.001", "40", "top"}));
  for (const char* text : {"", "a", "a=", "=1", "a=1,,2", "a+=1", "+a=1"}) {
    EXPECT_THROW(parse_axis(text), UsageError) << text;
  }
}

TEST(Grid, RejectsRepetitionsAndReservedOptions) {
  const auto refused = [](const std::vector<std::string>& axes, const std::string& message,
                          const std::string& method = "rrd") {
    try {
      Grid grid;
      for (const std::string& axis : axes) grid.push_back(parse_axis(axis));
      check_grid(grid, method);
      ADD_FAILURE() << message;
    } catch (const UsageError& e) {
      EXPECT_TRUE(std::string(e.what()).starts_with("--grid: " + message)) << e.what();
    }
  };
  refused({"lambda-rrd"}, "takes OPTION=VALUE");
  refused({"method=rd"}, "method is chosen by --method");
  refused({"model=neumf"}, "model is chosen by --model");
  refused({"k=3", "k=5"}, "k is there twice");
  refused({"k=3", "k+l=5"}, "k is there twice");
  refused({"k=3,3"}, "k has 3 twice");
  refused({"k+l=3,5,03"}, "k+l has 3 twice");
  refused({"lr=3,1,3.0"}, "lr has 3 twice");
  refused({"epochs=1,2"}, "epochs can't be searched");
  refused({"seed=1"}, "seed is set by the program");
  refused({"split-seed=1"}, "split-seed is set by the program");
  refused({"teacher-item=1"}, "teacher-item is set by the program");
  refused({"dim=1"}, "the student's size is set by the program");
  refused({"size=1"}, "the student's size is set by the program");
  refused({"dim=1"}, "the student's size is set by the program", "student");
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
  EXPECT_THROW(published_grid("none"), UsageError);
}

// The promise of its opening comment: what else differs from CiteULike's has a line "searched".
TEST(Recipe, FoursquareDiffersFromCiteULikeWhereItWasSearched) {
  const RecipeFile citeulike = RecipeFile::of_data_set("citeulike", nullptr);
  const RecipeFile foursquare = RecipeFile::of_data_set("foursquare", nullptr);
  std::vector<std::string> differences;
  for (const char* model : {"bpr", "neumf"}) {
    ASSERT_EQ(citeulike.methods(model), foursquare.methods(model));
    for (const std::string& method : citeulike.methods(model)) {
      const RecipeOptions theirs = citeulike.options(model, method);
      const RecipeOptions own = foursquare.options(model, method);
      ASSERT_EQ(own.size(), theirs.size()) << model << " " << method;
      for (const RecipeOption& option : own) {
        const auto other = std::ranges::find(theirs, option.name, &RecipeOption::name);
        ASSERT_NE(other, theirs.end()) << model << " " << method << " " << option.name;
        if (other->value == option.value || option.name == "weight-decay") continue;
        differences.push_back(fmt::format("{} {} {}", model, method, option.argument()));
      }
    }
  }
  EXPECT_EQ(differences, (std::vector<std::string>{
                             "bpr rd --lambda-rd=1000", "bpr de --experts=10",
                             "bpr de-rrd --experts=10", "bpr de-rrd --lambda-rrd=0.001",
                             "bpr de-attention --experts=10", "bpr de-one-large --experts=10"}));
}

// Options may be fine one by one and refused together; a command that takes them all gets as
// far as its missing files.
TEST(Recipe, ProgramsRecipesHaveEveryMethodOfTheTables) {
  for (const char* data_set : {"citeulike", "foursquare"}) {
    const RecipeFile recipe = RecipeFile::of_data_set(data_set, nullptr);
    for (const char* model : {"bpr", "neumf"}) {
      for (const char* method :
           {"teacher", "student", "rd", "cd", "de", "rrd", "de-rrd", "ir-rrd", "de-attention",
            "de-one-large", "de-one-small", "rrd-full", "rrd-interesting"}) {
        SCOPED_TRACE(std::string(data_set) + " " + model + " " + method);
        const RecipeOptions options = recipe.options(model, method);
        const std::string command = RecipeFile::command_of(method);
        Arguments arguments = {command, "--data", "nowhere", "-o", "nothing"};
        for (const RecipeOption& option : options) arguments.push_back(option.argument());
        if (command == "distill") {
          arguments = arguments + Arguments{"--teacher", "nowhere"};
          if (std::ranges::find(options, "method", &RecipeOption::name) == options.end()) {
            arguments = arguments + Arguments{"--method", method};
          }
        }
        expect_exit(kFailure, arguments, {"nowhere: there is no such file"});
      }
    }
  }
}

}  // namespace
}  // namespace derrd::test::recipe_test
