#include "engine/loss_sums.h"

#include "kernels/common/sum.h"

namespace derrd {

void LossSums::zero(const Stream& stream) {
  terms_.clear();
  totals_.zero(stream);
}

std::vector<double> LossSums::to_host(const Stream& stream) {
  for (const auto& [total, terms] : take_terms()) accumulate_sum(total, terms, stream);
  return totals_.to_host(stream);
}

}  // namespace derrd
