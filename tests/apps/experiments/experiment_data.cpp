#include "tests/apps/experiments/experiment_data.h"

#include <fmt/format.h>

#include "data/synthesize.h"

namespace derrd::test {

SmallExperiment::SmallExperiment(const TemporaryFolder& folder, int epochs)
    : data("citeulike=" + (folder / "users.tsv")), recipe(folder / "recipe.toml") {
  SynthesisOptions options;
  options.users = 60;
  options.items = 120;
  options.interactions = 900;
  const Interactions made = synthesize(options);
  std::string pairs;
  for (size_t n = 0; n < made.users.size(); ++n) {
    pairs += fmt::format("{}\t{}\n", made.users[n], made.items[n]);
  }
  write_text(folder / "users.tsv", pairs);
  text = fmt::format(R"(epochs = {}
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
  write_text(recipe, text);
}

}  // namespace derrd::test
