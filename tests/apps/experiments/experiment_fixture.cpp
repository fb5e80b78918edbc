#include "tests/apps/experiments/experiment_fixture.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "data/synthesize.h"

namespace derrd::test {

namespace fs = std::filesystem;

std::optional<pid_t> find_process(const std::function<bool(const std::string&)>& passes) {
  std::error_code gone;
  for (const auto& entry : fs::directory_iterator("/proc", gone)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry.path() / "cmdline");
    std::string line;
    std::getline(file, line);  // nothing, if the process ends meanwhile
    std::ranges::replace(line, '\0', ' ');
    if (passes(line)) return std::stoi(name);
  }
  return std::nullopt;
}

Experiments::Experiments() {
  SynthesisOptions options;
  options.users = 60;
  options.items = 120;
  options.interactions = 900;
  const Interactions made = synthesize(options);
  std::string pairs;
  for (size_t n = 0; n < made.users.size(); ++n) {
    pairs += fmt::format("{}\t{}\n", made.users[n], made.items[n]);
  }
  write_text(path("users.tsv"), pairs);
  set_epochs(6);
}

void Experiments::set_epochs(int epochs) {
  recipe_ = fmt::format(R"(epochs = {}
patience = 1000
batch = 64
lr = 0.02
[prepare]
candidates = 50
[bpr.teacher]
dim = 20
[bpr.student]
[bpr.de]
experts = 3
[bpr.rrd]
k = 5
l = 5
list = 30
[bpr.de-rrd]
inherits = ["de", "rrd"]
lambda-rrd = 2e-3
)",
                        epochs);
  write_text(path("recipe.toml"), recipe_);
}

void Experiments::edit_recipe(const std::string& old, const std::string& changed) const {
  std::string text = recipe_;
  write_text(path("recipe.toml"), text.replace(text.find(old), old.size(), changed));
}

Arguments Experiments::with_data(const std::string& command, const std::string& options) const {
  return words(command, "--data citeulike=@users.tsv --recipes @recipe.toml", options);
}

Arguments Experiments::reproduce(const std::string& options, const std::string& work,
                                 const std::string& report) const {
  return with_data("reproduce",
                   "--models bpr --splits 0,1 --jobs 2 --methods student,de,rrd,de-rrd --work " +
                       work + " -o " + report + " " + options);
}

std::map<std::string, std::string> Experiments::texts_in(const std::string& folder) const {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(path(folder))) {
    files[entry.path().filename().string()] = read_text(entry.path());
  }
  return files;
}

std::string Experiments::run_folder(const std::string& name) const {
  for (const auto& entry : fs::directory_iterator(path("work"))) {
    // Behind the name stands the key.
    if (entry.path().stem().string() == name) return entry.path().string();
  }
  ADD_FAILURE() << "no run " << name;
  return "";
}

Arguments Experiments::cells(const std::string& tsv, const std::string& first) {
  for (const std::string& line : lines_of(tsv)) {
    if (line.starts_with(first + "\t")) return cells_of(line);
  }
  ADD_FAILURE() << "no line " << first << " in\n" << tsv;
  return Arguments(12);
}

size_t Experiments::epochs_logged(const std::string& work) const {
  size_t lines = 0;
  std::error_code none_yet;
  for (const auto& entry : fs::directory_iterator(path(work), none_yet)) {
    lines += lines_of(read_text(entry.path() / "log.jsonl")).size();
  }
  return lines;
}

void Experiments::wait_for_epochs(Process& process, const std::string& work, size_t epochs) const {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!process.ended() && epochs_logged(work) < epochs) {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ASSERT_FALSE(process.ended()) << process.error_output();
}

}  // namespace derrd::test
