#include "engine/model_evaluation.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <vector>

#include "engine/top_lists.h"
#include "kernels/leave_one_out.h"
#include "kernels/platform/memory.h"

namespace derrd {

namespace {

/// The embeddings in device memory.
struct DeviceEmbeddings {
  DeviceEmbeddings(const Embeddings& e, const Stream& stream)
      : user_values(e.user, stream),
        item_values(e.item, stream),
        user(user_values.matrix(e.users, e.dim)),
        item(item_values.matrix(e.items, e.dim)) {}

  DeviceArray<float> user_values, item_values;
  Matrix<const float> user, item;  // [U, D], [I, D]
};

Evaluation leave_one_out(const DeviceEmbeddings& e, const DeviceDataset& data,
                         const Stream& stream) {
  const DeviceArray<int32_t> valid(data.users());
  const DeviceArray<int32_t> test(data.users());
  leave_one_out_ranks(valid.view(), test.view(), e.user, e.item, data.valid_item(),
                      data.test_item(), data.candidates(), stream);
  return {leave_one_out_metrics(valid.to_host(stream)),
          leave_one_out_metrics(test.to_host(stream))};
}

FullRankingMetrics full_ranking(const DeviceEmbeddings& e, const DeviceDataset& data,
                                const Stream& stream) {
  const DeviceArray<int32_t> ranks(data.users());
  const std::array targets = {RankedTargets{ranks.view(), data.test_item()}};
  TopLists(data.items(), 0).ranks(targets, e.user, e.item, data.train(), stream);
  return full_ranking_metrics(ranks.to_host(stream));
}

double time_top10(const DeviceEmbeddings& e, const DeviceDataset& data, const Stream& stream) {
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
      top_lists.best(lists.matrix(users, length), {}, e.user, e.item, data.train(), first, stream);
    }
    stream.synchronize();
    const double seconds = Seconds(std::chrono::steady_clock::now() - start).count();
    best = repetition == 0 ? seconds : std::min(best, seconds);
  }
  return best;
}

}  // namespace

ModelEvaluation evaluate_embeddings(const Embeddings& embeddings, const DeviceDataset& data,
                                    const Stream& stream) {
  const DeviceEmbeddings device(embeddings, stream);
  return {leave_one_out(device, data, stream), full_ranking(device, data, stream),
          time_top10(device, data, stream)};
}

}  // namespace derrd
