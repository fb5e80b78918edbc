// `derrd search`: which points it picks and eliminates, killed meanwhile or not.

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "tests/apps/experiments/experiment_fixture.h"

namespace derrd::test::search_test {
namespace {

namespace fs = std::filesystem;

class Search : public Experiments {
 protected:
  static constexpr const char* kGrid = "--grid lambda-rrd=1e-3,10,1e-4,3 lr=0.02,1e-7";

  Arguments search(const std::string& options, const std::string& work = "@work",
                   const std::string& grid = kGrid) const {
    return with_data("search", "--method rrd --first-epochs 3 --factor 2 --finalists 1 --work " +
                                   work + " " + grid + " " + options);
  }
};

TEST_F(Search, PicksWhatValidationSaysAndEliminatesTheRest) {
  set_epochs(12);
  const Result result = succeed(search("-o @points"));

  // Eight points train for 3 epochs, four for 6, two for 12.
  std::map<std::string, int> points_of_epochs;
  const auto lines = lines_of(read_text(path("points")));
  ASSERT_EQ(lines.size(), 9u);
  EXPECT_EQ(lines[0], "lambda-rrd\tlr\tepochs\tvalid_H@5\tfate");
  for (size_t n = 1; n < lines.size(); ++n) {
    const auto end = lines[n].rfind('\t');
    const auto hit = lines[n].rfind('\t', end - 1);
    const auto epochs = lines[n].rfind('\t', hit - 1);
    ++points_of_epochs[lines[n].substr(epochs + 1, hit - epochs - 1)];
  }
  EXPECT_EQ(points_of_epochs, (std::map<std::string, int>{{"3", 4}, {"6", 2}, {"12", 2}}));

  // The winner's figure is the best validation H@5 of its log, and no other log of that length
  // has a better one.
  double best = 0;
  std::map<size_t, double> best_by_length;
  for (const auto& entry : fs::directory_iterator(path("work"))) {
    if (!entry.path().filename().string().starts_with("citeulike.bpr.rrd.")) continue;
    const auto log = read_log((entry.path() / "log.jsonl").string());
    double hit = 0;
    for (const auto& record : log) hit = std::max(hit, record["valid"]["H@5"].get<double>());
    best_by_length[log.size()] = std::max(best_by_length[log.size()], hit);
    best = std::max(best, hit);
  }
  EXPECT_TRUE(contains(lines[1], fmt::format("\t12\t{:.4f}\tfinalist", best_by_length.at(12))));
  EXPECT_FALSE(contains(lines[1], "1e-07")) << "it learns nothing";

  // Standard output ends with the winner's lines for the recipe.
  const size_t begin = result.out.find("[bpr.rrd]\n");
  ASSERT_NE(begin, std::string::npos) << result.out;
  const std::string winner = result.out.substr(begin);
  EXPECT_TRUE(
      winner.starts_with("[bpr.rrd]\n# searched: derrd search --model bpr --method rrd --grid "
                         "lambda-rrd=0.001,10,0.0001,3 lr=0.02,1e-07: 8 points"))
      << winner;
  EXPECT_TRUE(winner.ends_with("lr = 0.02\n")) << winner;
  edit_recipe("[bpr.rrd]\n", winner);
  // The winner is a finished run for reproduce.
  const Result reproduced = derrd(with_data(
      "reproduce", "--work @work -o @report --models bpr --splits 0 --table 2 --methods rrd"));
  EXPECT_TRUE(reproduced.err.starts_with("3 of 5 runs are finished already")) << reproduced.err;
}

// Options that the method doesn't look at make equal points.
TEST_F(Search, AmongEqualPointsTheRecipesOwnWins) {
  set_epochs(4);
  edit_recipe("[bpr.rrd]\n", "[bpr.rrd]\ncd-t = 7\n");
  const Result result =
      succeed(with_data("search",
                        "--work @work --method rrd --first-epochs 2 --factor 2 --finalists 1 "
                        "--grid cd-t=5,7,9 -o @points"));
  EXPECT_TRUE(lines_of(read_text(path("points")))[1].starts_with("7\t")) << result.out;
}

// A point that stops early for want of patience may still be the best one.
TEST_F(Search, FinalistsRankByValidationWhateverTheirLength) {
  set_epochs(60);
  succeed(with_data("search",
                    "--work @work --method teacher --first-epochs 60 --grid patience=4 "
                    "lr=0.1,0.02,0.01,0.002,0.001 -o @points"));
  std::vector<double> hits;
  std::vector<int> epochs;
  const auto lines = lines_of(read_text(path("points")));
  for (size_t n = 1; n < lines.size(); ++n) {
    std::istringstream fields(lines[n]);
    double patience = 0, lr = 0, hit = 0;
    int length = 0;
    fields >> patience >> lr >> length >> hit;
    hits.push_back(hit);
    epochs.push_back(length);
  }
  ASSERT_EQ(hits.size(), 5u);
  EXPECT_TRUE(std::ranges::is_sorted(hits, std::greater()));
  EXPECT_FALSE(std::ranges::is_sorted(epochs, std::greater())) << "shows nothing";
}

TEST_F(Search, ContinuesAfterKillToTheSamePoints) {
  set_epochs(40);
  succeed(search("-o @whole-points", "@whole"));
  for (const size_t epochs : {50, 70}) {
    Process process(search("-o @torn-points", "@torn"));
    wait_for_epochs(process, "torn", epochs);
    process.send(epochs == 50 ? SIGKILL : SIGINT);
    process.wait();
  }
  succeed(search("-o @torn-points", "@torn"));
  EXPECT_EQ(read_text(path("torn-points")), read_text(path("whole-points")));
}

/// Kills one of the processes that train a point in a folder, if there is one. One that only tells
/// how much memory a point takes may go on.
bool kill_a_point(const std::string& work) {
  const std::optional<pid_t> point = find_process([&](const std::string& line) {
    return line.starts_with("derrd distill ") && contains(line, work + "/citeulike.bpr.rrd.") &&
           !contains(line, "--dry-run");
  });
  return point && ::kill(*point, SIGKILL) == 0;
}

// A point that the system killed may be the best one.
TEST_F(Search, AKilledPointIsNotCountedOut) {
  constexpr int kEpochs = 2 * kLongTraining / 3;
  set_epochs(kEpochs);
  const auto search = [&](const std::string& work) {
    return with_data("search",
                     fmt::format("--method rrd --first-epochs {} --factor 2 --finalists 1 "
                                 "--work @{} -o @{}-points {}",
                                 kEpochs / 2, work, work, kGrid));
  };
  succeed(search("whole"));
  const Arguments all = search("work");
  Process process(all);
  bool killed = false;
  while (!killed && !process.ended()) killed = kill_a_point(path("work"));
  ASSERT_TRUE(killed);
  const Result result = process.wait();
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(contains(result.err, "1 of 8 points were killed"));
  EXPECT_FALSE(contains(result.out, "[bpr.rrd]")) << result.out;
  const Result again = succeed(all);
  EXPECT_EQ(read_text(path("work-points")), read_text(path("whole-points")));
  EXPECT_TRUE(contains(again.out, "[bpr.rrd]"));
}

TEST_F(Search, PointsThatDivergeAreCountedOut) {
  set_epochs(4);
  const Result some =
      succeed(search("", "@work", "--grid lambda-rrd=1e-3,10,1e-4,3 lr=0.02,1e-7,1e30"));
  std::vector<std::string> fates;
  for (const std::string& line : lines_of(some.out)) {
    const std::string fate = line.substr(line.rfind('\t') + 1);
    if ((fate == "finalist" || fate == "eliminated" || fate == "failed") &&
        (fates.empty() || fates.back() != fate)) {
      fates.push_back(fate);
    }
  }
  EXPECT_EQ(fates, (Arguments{"finalist", "eliminated", "failed"})) << "the best first";
  expect_exit(kFailure, search("", "@work", "--grid lambda-rrd=1e-3,10,1e-4,3 lr=1e30,2e30"),
              {"every point failed"});
}

TEST_F(Search, ProgressNamesThePoint) {
  set_epochs(4);
  expect_contains(derrd(search("", "@work", "--grid k+l=3,5 lr=0.02,1e30")).err,
                  {"] citeulike.bpr.rrd.split-0 k=3 l=3 lr=0.02: validation H@5",
                   "] citeulike.bpr.rrd.split-0 k=5 l=5 lr=0.02: validation H@5",
                   "citeulike.bpr.rrd.split-0 k=5 l=5 lr=1e+30: FAILED",
                   "citeulike.bpr.teacher.split-0: validation"});
}

TEST_F(Search, UsageErrors) {
  write_text(path("recipe.toml"), recipe_ + "[bpr.mine]\nmethod = \"de\"\n");
  const std::string recipe = path("recipe.toml");
  const std::vector<std::pair<std::string, std::string>> faults = {
      {"--method rrd --grid lamda-rrd=1", "derrd distill has no option lamda-rrd"},
      {"--method rrd --grid l=1000", "--grid: l=1000: "},
      {"--method rrd --grid k=3,3", "--grid: k has 3 twice"},
      {"--method teacher --grid dim=0", "--grid: dim=0: "},
      {"--method xd --grid k=1",
       "--method: " + recipe + ": there is no [bpr.xd]; there are teacher"},
      {"--method rrd --model svd --grid k=1", "--model"},
      {"--method rrd --model neumf --grid k=1", "--model: " + recipe},
      {"--method mine", "the paper has no grid for mine; give one by --grid"}};
  for (const auto& [options, what] : faults) {
    expect_exit(kUsageError, with_data("search --work @work", options), {what});
    EXPECT_FALSE(fs::exists(path("work")));
  }
}

TEST_F(Search, OutputsAreCheckedFirst) {
  write_text(path("run.toml"), "seed = 3\n");
  const auto refused = [&](int code, const std::string& options, const std::string& what) {
    const auto before = folder_.names();
    expect_exit(code, search(options), {what});
    EXPECT_EQ(folder_.names(), before);
  };
  refused(kUsageError, "-o @./users.tsv", "--data and -o both name");
  refused(kUsageError, "-o @recipe.toml", "--recipes and -o both name");
  refused(kUsageError, "--config @run.toml -o @run.toml", "--config and -o both name");
  refused(kUsageError, "-o @recipe.toml --dry-run", "--recipes and -o both name");
  refused(kFailure, "-o @no/such/points.tsv", "create the folder first");
  EXPECT_EQ(read_text(path("recipe.toml")), recipe_);
}

}  // namespace
}  // namespace derrd::test::search_test
