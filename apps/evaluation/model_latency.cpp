#include "apps/evaluation/model_latency.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <span>

#include "apps/cli/progress.h"
#include "apps/experiments/run_progress.h"

namespace derrd {

ModelLatency measure_model_latency(const SavedModel& model, const DeviceDataset& data,
                                   const std::string& name, const Stream& stream) {
  using Clock = std::chrono::steady_clock;
  constexpr int64_t kTop = 10;
  RunProgress progress(false);
  const auto measure = [&](int64_t length, const std::string& what) {
    const Clock::time_point start = Clock::now();
    return measure_latency(
        model, data.train(), length, stream, [&](int64_t user, std::span<const int32_t>) {
          if (!progress.due()) return;
          const auto done = static_cast<double>(user + 1);
          const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
          // The most important first: a terminal cuts the rest.
          progress.status(fmt::format(
              "latency, {}: user {}/{}  {} left  {}", what, user + 1, data.users(),
              format_duration(seconds / done * (static_cast<double>(data.users()) - done)), name));
        });
  };
  return {measure(data.items(), "all items sorted"),
          measure(std::min(kTop, data.items()), "top 10")};
}

}  // namespace derrd
