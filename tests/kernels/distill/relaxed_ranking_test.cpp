#include "tests/kernels/distill/relaxed_ranking_suite.h"

namespace derrd::test::relaxed_ranking_test {
namespace {

INSTANTIATE_TEST_SUITE_P(Kernel, RelaxedRanking,
                         testing::Values(Implementation{"relaxed_ranking", relaxed_ranking}),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace derrd::test::relaxed_ranking_test
