#pragma once

// The ladder's levels, for the test and the benchmark.

#include "kernels/distill/relaxed_ranking.h"

namespace derrd::ladder {

/// Every level is the operation of kernels/distill/relaxed_ranking.h, with the same contract.
using RelaxedRanking = decltype(relaxed_ranking);

RelaxedRanking thread_per_user;
RelaxedRanking warp_per_user;
RelaxedRanking suffix_sums;
RelaxedRanking scans;
RelaxedRanking lane_per_user;

struct RelaxedRankingLevel {
  const char* name;  ///< name of its file
  RelaxedRanking* run;
};
inline constexpr RelaxedRankingLevel kRelaxedRankingLevels[] = {
    {"level_1_thread_per_user", thread_per_user}, {"level_2_warp_per_user", warp_per_user},
    {"level_3_suffix_sums", suffix_sums},         {"level_4_scans", scans},
    {"level_5_lane_per_user", lane_per_user},
};

}  // namespace derrd::ladder
