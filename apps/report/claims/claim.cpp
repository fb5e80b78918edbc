#include "apps/report/claims/claim.h"

namespace derrd {

ClaimTest decided_by(double figure, const Interval& interval) {
  return {.figure = figure,
          .interval = interval,
          .verdict = interval.low > 0    ? Verdict::kHolds
                     : interval.high < 0 ? Verdict::kFails
                                         : Verdict::kUndecided};
}

}  // namespace derrd
