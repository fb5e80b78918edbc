#pragma once

#include <cstdint>
#include <string_view>

#include "engine/batches.h"
#include "engine/device_dataset.h"
#include "kernels/platform/memory.h"
#include "kernels/views.h"

namespace derrd {

/// Ranks of the held-out items among their candidates, [U] each (kernels/leave_one_out.h).
struct LeaveOneOutRanks {
  Vector<int32_t> valid, test;
};

/// The vectors of users and items that a distiller may read, and whose gradients it may add to. All
/// inside the arena.
struct Representations {
  Matrix<const float> user, item;      ///< [U, D], [I, D]
  Matrix<float> grad_user, grad_item;  ///< the same shapes; accumulated
};

/// A recommender as forward and backward over its slice of the arena.
class Model {
 public:
  virtual ~Model() = default;

  /// "bpr", as in a model file's metadata.
  virtual std::string_view kind() const = 0;

  /// Queues forward and backward of the current batch: gradients accumulate in the arena, *loss
  /// grows by the batch's loss. Neither allocates nor waits.
  virtual void add_gradients(const Batches& batches, double* loss, const Stream& stream) = 0;

  virtual Representations representations() const = 0;

  /// Ranks every user's held-out items.
  virtual void leave_one_out(LeaveOneOutRanks ranks, const DeviceDataset& data,
                             const Stream& stream) const = 0;
};

}  // namespace derrd
