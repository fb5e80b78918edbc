#include "engine/loss_sums.h"

namespace derrd {

void LossSums::zero(const Stream& stream) {
  terms_.clear();
  totals_.zero(stream);
}

std::vector<double> LossSums::to_host(const Stream& stream) const {
  return totals_.to_host(stream);
}

}  // namespace derrd
