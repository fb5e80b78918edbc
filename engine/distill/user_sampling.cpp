#include "engine/distill/user_sampling.h"

#include <fmt/format.h>

#include <utility>

#include "kernels/distill/relaxed_ranking.h"
#include "kernels/epoch/negatives.h"

namespace derrd {

static_assert(kMaxUninteresting >= kMaxRankingSamples - 1, "all that --l allows can be drawn");

UserSampling::UserSampling()
    : options_{
          {"k", "Interesting items per user: the student learns their order", &values_.interesting,
           1, kMaxRankingSamples - 1},
          {"l",
           fmt::format("Uninteresting items per user, together with --k at most {}: the student "
                       "learns to rank them below the interesting ones",
                       kMaxRankingSamples),
           &values_.uninteresting, 1, kMaxRankingSamples - 1},
          {"t",
           "Depth to which interesting items are drawn from the teacher's list: rank k has weight "
           "exp(-k/t)",
           &values_.sharpness, kSmallestPositive},
          {"list", "Length of the teacher's list per user: its best unobserved items",
           &values_.list_length, 1},
          {"interesting",
           "Way of choosing interesting items. sampled: drawn from the list in every epoch; top: "
           "the first k of the list",
           &interesting_,
           {},
           {},
           {"sampled", "top"}},
          {"ranking",
           "Samples whose order is learned. relaxed: the interesting ones; full: all k + l; "
           "interesting: k + l interesting ones, and no uninteresting ones",
           &ranking_,
           {},
           {},
           {"relaxed", "full", "interesting"}},
      } {}

std::optional<std::string> UserSampling::option_error() const {
  const int64_t all = values_.interesting + values_.uninteresting;
  if (values_.list_length < (ranking_ == "interesting" ? all : values_.interesting)) {
    return "--list has to be at least --k, with --ranking interesting --k + --l: the interesting "
           "items are drawn from it";
  }
  if (all > kMaxRankingSamples) {
    return fmt::format(
        "--k and --l are {} items per user together, at most {} are possible; lower one", all,
        kMaxRankingSamples);
  }
  return std::nullopt;
}

RankingSamplerOptions UserSampling::sampler(const Conventions& conventions) const {
  RankingSamplerOptions options = values_;
  options.selection = interesting_ == "top" ? Selection::kTop : Selection::kSampled;
  options.excluded = conventions.excluded;
  if (ranking_ == "interesting") options.interesting += std::exchange(options.uninteresting, 0);
  return options;
}

}  // namespace derrd
