// `derrd search`: which points it picks and eliminates, killed meanwhile or not.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/apps/experiments/experiment_fixture.h"
#include "tests/apps/program.h"

namespace derrd::test::search_test {
namespace {

namespace fs = std::filesystem;

class Search : public Experiments {
 protected:
  Arguments search(const SmallExperiment& experiment, const std::string& work,
                   const Arguments& more) const {
    Arguments all = {"search",
                     "--data",
                     experiment.data,
                     "--recipes",
                     experiment.recipe,
                     "--work",
                     path(work),
                     "--method",
                     "rrd",
                     "--first-epochs",
                     "3",
                     "--factor",
                     "2",
                     "--finalists",
                     "1",
                     "--grid",
                     "lambda-rrd=1e-3,10,1e-4,3",
                     "lr=0.02,1e-7"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

TEST_F(Search, PicksWhatValidationSaysAndEliminatesTheRest) {
  const SmallExperiment experiment(folder_, /*epochs=*/12);
  const Result result = derrd(search(experiment, "work", {"-o", path("points")}));
  ASSERT_EQ(result.exit_code, 0) << result.err;

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

  // The winner's figure is the best validation H@5 of its log, and no other log of as many epochs
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
  EXPECT_NE(lines[1].find(fmt::format("\t12\t{:.4f}\tfinalist", best_by_length.at(12))),
            std::string::npos)
      << lines[1];
  EXPECT_EQ(lines[1].find("1e-07"), std::string::npos) << "it learns nothing";

  // Standard output ends with the winner's lines for the recipe.
  const size_t begin = result.out.find("[bpr.rrd]\n");
  ASSERT_NE(begin, std::string::npos) << result.out;
  const std::string winner = result.out.substr(begin);
  EXPECT_TRUE(
      winner.starts_with("[bpr.rrd]\n# searched: derrd search --model bpr --method rrd --grid "
                         "lambda-rrd=0.001,10,0.0001,3 lr=0.02,1e-07: 8 points"))
      << winner;
  EXPECT_TRUE(winner.ends_with("lr = 0.02\n")) << winner;
  std::string recipe = experiment.text;
  recipe.replace(recipe.find("[bpr.rrd]\n"), 10, winner);
  write_text(experiment.recipe, recipe);
  // And the winner is the same run for reproduce.
  const Result reproduced =
      derrd({"reproduce", "--data", experiment.data, "--recipes", experiment.recipe, "--work",
             path("work"), "-o", path("report"), "--models", "bpr", "--splits", "0", "--table", "2",
             "--methods", "rrd"});
  EXPECT_TRUE(reproduced.err.starts_with("3 of 3 runs are finished already")) << reproduced.err;
}

// Options that the method doesn't look at make equal points.
TEST_F(Search, AmongEqualPointsTheRecipesOwnWins) {
  const SmallExperiment experiment(folder_, /*epochs=*/4);
  std::string recipe = experiment.text;
  recipe.replace(recipe.find("[bpr.rrd]\n"), 10, "[bpr.rrd]\ncd-t = 7\n");
  write_text(experiment.recipe, recipe);
  const Result result =
      derrd({"search", "--data", experiment.data, "--recipes", experiment.recipe, "--work",
             path("work"), "--method", "rrd", "--first-epochs", "2", "--factor", "2", "--finalists",
             "1", "--grid", "cd-t=5,7,9", "-o", path("points")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(lines_of(read_text(path("points")))[1].starts_with("7\t")) << result.out;
}

// A point that stops early for want of patience may still be the best one.
TEST_F(Search, FinalistsRankByValidationWhateverTheirLength) {
  const SmallExperiment experiment(folder_, /*epochs=*/60);
  const Result result =
      derrd({"search", "--data", experiment.data, "--recipes", experiment.recipe, "--work",
             path("work"), "--method", "teacher", "--first-epochs", "60", "--grid", "patience=4",
             "lr=0.1,0.02,0.01,0.002,0.001", "-o", path("points")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
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
  const SmallExperiment experiment(folder_, /*epochs=*/40);
  ASSERT_EQ(derrd(search(experiment, "whole", {"-o", path("whole-points")})).exit_code, 0);
  for (const size_t epochs : {50, 70}) {
    Process process(search(experiment, "torn", {"-o", path("torn-points")}));
    wait_for_epochs(process, "torn", epochs);
    process.send(epochs == 50 ? SIGKILL : SIGINT);
    process.wait();
  }
  const Result result = derrd(search(experiment, "torn", {"-o", path("torn-points")}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(read_text(path("torn-points")), read_text(path("whole-points")));
}

/// Kills one of the processes that train a point in a folder, if there is one.
bool kill_a_point(const std::string& work) {
  std::error_code gone;
  for (const auto& entry : fs::directory_iterator("/proc", gone)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string line = read_text((entry.path() / "cmdline").string());
    if (line.starts_with(std::string("derrd\0distill", 13)) &&
        line.find(work + "/citeulike.bpr.rrd.") != std::string::npos) {
      return ::kill(std::stoi(name), SIGKILL) == 0;
    }
  }
  return false;
}

// A point that the system killed may be the best one.
TEST_F(Search, AKilledPointIsNotCountedOut) {
  const SmallExperiment experiment(folder_, /*epochs=*/200);
  const auto command = [&](const std::string& work, const Arguments& others) {
    Arguments all = search(experiment, work, others);
    *(std::find(all.begin(), all.end(), "--first-epochs") + 1) = "100";
    return all;
  };
  ASSERT_EQ(derrd(command("whole", {"-o", path("whole-points")})).exit_code, 0);
  const Arguments all = command("work", {"-o", path("points")});
  Process process(all);
  bool killed = false;
  while (!killed && !process.ended()) killed = kill_a_point(path("work"));
  ASSERT_TRUE(killed);
  const Result result = process.wait();
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("1 of 8 points were killed"), std::string::npos) << result.err;
  EXPECT_EQ(result.out.find("[bpr.rrd]"), std::string::npos) << result.out;
  const Result again = derrd(all);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(read_text(path("points")), read_text(path("whole-points")));
  EXPECT_NE(again.out.find("[bpr.rrd]"), std::string::npos) << again.out;
}

TEST_F(Search, PointsThatDivergeAreCountedOut) {
  const SmallExperiment experiment(folder_, /*epochs=*/4);
  Arguments all = search(experiment, "work", {});
  all.back() = "lr=0.02,1e-7,1e30";
  const Result some = derrd(all);
  EXPECT_EQ(some.exit_code, 0) << some.err;
  std::vector<std::string> fates;
  for (const std::string& line : lines_of(some.out)) {
    const std::string fate = line.substr(line.rfind('\t') + 1);
    if ((fate == "finalist" || fate == "eliminated" || fate == "failed") &&
        (fates.empty() || fates.back() != fate)) {
      fates.push_back(fate);
    }
  }
  EXPECT_EQ(fates, (Arguments{"finalist", "eliminated", "failed"})) << "the best first";
  all.back() = "lr=1e30,2e30";
  const Result none = derrd(all);
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_NE(none.err.find("every point failed"), std::string::npos) << none.err;
}

TEST_F(Search, ProgressNamesThePoint) {
  const SmallExperiment experiment(folder_, /*epochs=*/4);
  Arguments all = search(experiment, "work", {});
  all[all.size() - 2] = "k+l=3,5";
  all.back() = "lr=0.02,1e30";
  const Result result = derrd(all);
  for (const char* text : {"] citeulike.bpr.rrd.split-0 k=3 l=3 lr=0.02: validation H@5",
                           "] citeulike.bpr.rrd.split-0 k=5 l=5 lr=0.02: validation H@5",
                           "citeulike.bpr.rrd.split-0 k=5 l=5 lr=1e+30: FAILED"}) {
    EXPECT_NE(result.err.find(text), std::string::npos) << text << "\n" << result.err;
  }
  EXPECT_NE(result.err.find("citeulike.bpr.teacher.split-0: validation"), std::string::npos);
}

TEST_F(Search, UsageErrors) {
  const SmallExperiment experiment(folder_);
  const auto refused = [&](const Arguments& grid, const std::string& what,
                           const Arguments& more = {}) {
    Arguments all = {"search",          "--data", experiment.data, "--recipes",
                     experiment.recipe, "--work", path("work")};
    all.insert(all.end(), more.begin(), more.end());
    if (more.empty()) all.insert(all.end(), {"--method", "rrd"});
    if (!grid.empty()) all.push_back("--grid");
    all.insert(all.end(), grid.begin(), grid.end());
    const Result result = derrd(all);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_NE(result.err.find(what), std::string::npos) << what << "\n" << result.err;
    EXPECT_FALSE(fs::exists(path("work")));
  };
  refused({"lamda-rrd=1"}, "derrd distill has no option lamda-rrd");
  refused({"l=1000"}, "--grid: l=1000: ");
  refused({"k=3,3"}, "--grid: k has 3 twice");
  refused({"dim=0"}, "--grid: dim=0: ", {"--method", "teacher"});
  refused({"k=1"}, "--method: " + experiment.recipe + ": there is no [bpr.xd]; there are teacher",
          {"--method", "xd"});
  refused({"k=1"}, "--model", {"--method", "rrd", "--model", "svd"});
  refused({"k=1"}, "--model: " + experiment.recipe, {"--method", "rrd", "--model", "neumf"});
  write_text(experiment.recipe, experiment.text + "[bpr.mine]\nmethod = \"de\"\n");
  refused({}, "the paper has no grid for mine; give one by --grid", {"--method", "mine"});
}

TEST_F(Search, OutputsAreCheckedFirst) {
  const SmallExperiment experiment(folder_);
  write_text(path("run.toml"), "seed = 3\n");
  const auto refused = [&](const Arguments& more, int exit_code, const std::string& what) {
    const auto before = folder_.files();
    const Result result = derrd(search(experiment, "work", more));
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_NE(result.err.find(what), std::string::npos) << what << "\n" << result.err;
    EXPECT_EQ(folder_.files(), before);
  };
  refused({"-o", path("./users.tsv")}, 2, "--data and -o both name");
  refused({"-o", experiment.recipe}, 2, "--recipes and -o both name");
  refused({"--config", path("run.toml"), "-o", path("run.toml")}, 2, "--config and -o both name");
  refused({"-o", experiment.recipe, "--dry-run"}, 2, "--recipes and -o both name");
  refused({"-o", path("no/such/points.tsv")}, 1, "create the folder first");
  EXPECT_EQ(read_text(experiment.recipe), experiment.text);
}

}  // namespace
}  // namespace derrd::test::search_test
