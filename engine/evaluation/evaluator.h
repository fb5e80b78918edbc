#pragma once

#include "engine/device_dataset.h"
#include "engine/evaluation/metrics.h"
#include "engine/models/model.h"
#include "kernels/platform/memory.h"

namespace derrd {

/// Metrics of the validation items and of the test items.
struct Evaluation {
  Metrics valid, test;
};

/// Leave-one-out metrics of each user.
struct UserEvaluation {
  LeaveOneOutMetrics valid, test;
};

/// Leave-one-out evaluation of all users, by turns: each ranks one validation and one test item of
/// every user. The ranks are found on the device; only they are copied to the host.
class Evaluator {
 public:
  explicit Evaluator(const DeviceDataset& data);
  /// Returns the bytes of host memory that an evaluation takes.
  static int64_t host_bytes(int64_t users) {
    return 2 * users * static_cast<int64_t>(sizeof(Metrics) + sizeof(int32_t));
  }
  /// Ranks the held-out items. Waits for the stream.
  /// @throws Error if a score is not finite.
  UserEvaluation evaluate_users(Scorer& scorer, const Stream& stream);
  /// Returns the means over users.
  Evaluation evaluate(Scorer& scorer, const Stream& stream);
  Evaluation evaluate(Model& model, const Stream& stream) {
    return evaluate(model.scorer(stream), stream);
  }

 private:
  const DeviceDataset& data_;
  DeviceArray<int32_t> ranks_;  // [2, U]: validation, test
};

}  // namespace derrd
