#include "engine/evaluation/model_evaluation.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "engine/evaluation/top_lists.h"
#include "kernels/platform/memory.h"

namespace derrd {

namespace {

double time_top10(Scorer& scorer, const DeviceDataset& data, const Stream& stream) {
  using Seconds = std::chrono::duration<double>;
  constexpr int64_t kListLength = 10;
  constexpr int64_t kUsersAtOnce = 8192;
  constexpr int kRepetitions = 3;
  const int64_t length = std::min(kListLength, data.items());
  TopLists top_lists(data.items(), length);
  const DeviceArray<int32_t> lists(std::min(kUsersAtOnce, data.users()) * length);
  double best = 0;
  for (int repetition = 0; repetition < kRepetitions; ++repetition) {
    stream.synchronize();
    const auto start = std::chrono::steady_clock::now();
    for (int64_t first = 0; first < data.users(); first += kUsersAtOnce) {
      const int64_t users = std::min(kUsersAtOnce, data.users() - first);
      top_lists.best(lists.matrix(users, length), {}, scorer, data.train(), first, stream);
    }
    stream.synchronize();
    const double seconds = Seconds(std::chrono::steady_clock::now() - start).count();
    best = repetition == 0 ? seconds : std::min(best, seconds);
  }
  return best;
}

}  // namespace

ModelEvaluation evaluate_model(Scorer& scorer, const DeviceDataset& data,
                               FullRankingEvaluator& full, const Stream& stream) {
  return {Evaluator(data).evaluate_users(scorer, stream), full.evaluate(scorer, stream),
          time_top10(scorer, data, stream)};
}

}  // namespace derrd
