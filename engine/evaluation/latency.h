#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/models/model_file.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Returns a percentile by nearest rank: the smallest of the values such that at least `percent` %
/// of them are not above it.
/// @param percent 1 .. 100; 50: the median, of an even number of values the lower middle one
/// @throws std::invalid_argument if there is no value, or no such percentile.
double nearest_rank(std::vector<double> values, int percent);

/// Wall times of lists that were made for one user at a time.
struct ListLatency {
  double median_seconds = 0, p99_seconds = 0;  ///< of one list, by nearest_rank()
  double seconds = 0;  ///< sum over all users: to make everybody's list, one after the other
  /// The most device memory that the model and the workspace took at once.
  int64_t peak_device_bytes = 0;
};

/// Receives each list as soon as it is made; its own time is not measured. It may throw to end the
/// measurement.
/// @param list items, the best first; -1 behind the last item that the user has not observed
using ListReceiver = std::function<void(int64_t user, std::span<const int32_t> list)>;

/// Measures how long a list takes that is made for one user by itself: all items are scored, the
/// observed ones left out, the best ones sorted by score falling and then item number rising, and
/// their numbers copied to the host. Users come in order, after some to warm up. The model is
/// copied to the device beforehand. Waits for the stream.
/// @param observed items of each user
/// @param length of a list; as many as there are items: all are sorted
/// @throws Error naming the first user with a score that is not finite, or if there is no such kind
/// of model.
/// @throws std::invalid_argument if the shapes do not fit, or there is no user.
ListLatency measure_latency(const SavedModel& model, SparseRows observed, int64_t length,
                            const Stream& stream, const ListReceiver& receive = {});

}  // namespace derrd
