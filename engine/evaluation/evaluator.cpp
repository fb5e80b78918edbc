#include "engine/evaluation/evaluator.h"

#include <span>
#include <vector>

namespace derrd {

Evaluator::Evaluator(const DeviceDataset& data) : data_(data), ranks_(2 * data.users()) {}

UserEvaluation Evaluator::evaluate_users(Scorer& scorer, const Stream& stream) {
  const int64_t users = data_.users();
  const auto half = static_cast<size_t>(users);
  UserEvaluation result{LeaveOneOutMetrics(users), LeaveOneOutMetrics(users)};
  for (int64_t turn = 0; turn < data_.turns(); ++turn) {
    scorer.leave_one_out({ranks_.view().slice(0, users), ranks_.view().slice(users, users)},
                         data_.held_out(turn), stream);
    const std::vector<int32_t> host = ranks_.to_host(stream);
    result.valid.add(std::span(host).first(half));
    result.test.add(std::span(host).last(half));
  }
  return result;
}

Evaluation Evaluator::evaluate(Scorer& scorer, const Stream& stream) {
  const UserEvaluation users = evaluate_users(scorer, stream);
  return {users.valid.mean(), users.test.mean()};
}

}  // namespace derrd
