#include "engine/evaluation/evaluator.h"

#include <span>

namespace derrd {

Evaluator::Evaluator(const DeviceDataset& data) : data_(data), ranks_(2 * data.users()) {}

Evaluation Evaluator::evaluate(Scorer& scorer, const Stream& stream) {
  const int64_t users = data_.users();
  scorer.leave_one_out({ranks_.view().slice(0, users), ranks_.view().slice(users, users)}, data_,
                       stream);
  const std::vector<int32_t> host = ranks_.to_host(stream);
  const auto ranks = std::span(host);
  const auto half = static_cast<size_t>(users);
  return {leave_one_out_metrics(ranks.first(half)), leave_one_out_metrics(ranks.last(half))};
}

}  // namespace derrd
