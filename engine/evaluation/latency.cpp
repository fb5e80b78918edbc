#include "engine/evaluation/latency.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>

#include "engine/evaluation/top_lists.h"
#include "engine/models/catalogue.h"
#include "engine/models/scorer.h"
#include "kernels/platform/memory.h"

namespace derrd {

namespace {

/// Makes lists of one user each.
class SingleLists {
 public:
  SingleLists(Scorer& scorer, SparseRows observed, int64_t length, const Stream& stream)
      : scorer_(scorer),
        observed_(observed),
        stream_(stream),
        top_lists_(scorer.items(), length, "user", 1),
        list_(length),
        host_(static_cast<size_t>(length)) {}

  /// Makes a user's list, and waits for it. @returns a view of it, until the next call.
  std::span<const int32_t> make(int64_t user) {
    top_lists_.best(list_.matrix(1, list_.size()), {}, scorer_, observed_, user, stream_);
    copy_to_host(host_.data(), list_.data(), list_.bytes(), stream_);
    return host_;
  }

 private:
  Scorer& scorer_;
  const SparseRows observed_;
  const Stream& stream_;
  TopLists top_lists_;
  const DeviceArray<int32_t> list_;
  std::vector<int32_t> host_;
};

}  // namespace

double nearest_rank(std::vector<double> values, int percent) {
  if (values.empty() || percent < 1 || percent > 100) {
    throw std::invalid_argument("nearest_rank: percentile " + std::to_string(percent) + " of " +
                                std::to_string(values.size()) + " values");
  }
  const size_t rank = (values.size() * static_cast<size_t>(percent) + 99) / 100;
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(rank - 1);
  std::ranges::nth_element(values, at);
  return *at;
}

ListLatency measure_latency(const SavedModel& model, SparseRows observed, int64_t length,
                            const Stream& stream, const ListReceiver& receive) {
  using Clock = std::chrono::steady_clock;
  constexpr int64_t kWarmUpUsers = 16;
  const int64_t bytes_before = counters().device_bytes;
  restart_peak_device_bytes();
  const std::unique_ptr<Scorer> scorer = make_scorer(model, stream);
  SingleLists lists(*scorer, observed, length, stream);
  for (int64_t user = 0; user < std::min(kWarmUpUsers, scorer->users()); ++user) lists.make(user);
  std::vector<double> seconds;
  seconds.reserve(static_cast<size_t>(scorer->users()));
  for (int64_t user = 0; user < scorer->users(); ++user) {
    const Clock::time_point start = Clock::now();
    const std::span<const int32_t> list = lists.make(user);
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    if (receive) receive(user, list);
  }
  return {.median_seconds = nearest_rank(seconds, 50),
          .p99_seconds = nearest_rank(seconds, 99),
          .seconds = std::reduce(seconds.begin(), seconds.end()),
          .peak_device_bytes = counters().peak_device_bytes - bytes_before};
}

}  // namespace derrd
