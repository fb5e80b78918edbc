#include "bench/ladders/relaxed_ranking/levels.h"
#include "tests/kernels/distill/relaxed_ranking_suite.h"

namespace derrd::test::relaxed_ranking_test {
namespace {

std::vector<Implementation> levels() {
  std::vector<Implementation> all;
  for (const auto& level : ladder::kRelaxedRankingLevels) all.push_back({level.name, level.run});
  return all;
}
INSTANTIATE_TEST_SUITE_P(Levels, RelaxedRanking, testing::ValuesIn(levels()),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace derrd::test::relaxed_ranking_test
