#pragma once

#include <cstdint>

#include "data/dataset.h"
#include "engine/device_rows.h"
#include "kernels/evaluate/leave_one_out.h"
#include "kernels/platform/memory.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Sizes of a data set, from which the memory of a run follows.
struct DataSizes {
  int64_t users = 0, items = 0;
  int64_t train = 0, valid = 0, test = 0;  ///< interactions
  int64_t candidates = 0;                  ///< of each user
  int64_t host_bytes = 0;                  ///< of the data set in host memory
};
DataSizes sizes_of(const Dataset& dataset);

/// A data set in device memory: what training and evaluation read.
class DeviceDataset {
 public:
  /// Copies what is read to the device.
  /// @throws Error if the set has no user, no item, or no training interaction whose user has an
  /// unobserved item.
  DeviceDataset(const Dataset& dataset, const Stream& stream);

  /// Returns the bytes of device memory that a data set takes, and those of host memory that making
  /// it takes besides.
  static int64_t device_bytes(const DataSizes& data);
  static int64_t host_bytes(const DataSizes& data);

  int64_t users() const { return users_; }
  int64_t items() const { return items_; }
  /// Training items of every user, ascending.
  SparseRows train() const { return train_.view(); }
  /// Training interactions as pairs [n], users ascending. Users who have interacted with every item
  /// are left out: no negative exists for them.
  Vector<const int32_t> pair_users() const { return pair_users_.view(); }
  Vector<const int32_t> pair_items() const { return pair_items_.view(); }
  int64_t pairs() const { return pair_users_.size(); }
  /// Validation and test items with their candidates, which are padded with -1. Users without
  /// candidates are left out: any model ranks their items first.
  /// @param turn number of the item, from 0, in each user's row
  HeldOutItems held_out(int64_t turn = 0) const {
    return {valid_.view(), test_.view(), candidates_.matrix(users_, num_candidates_), turn};
  }
  /// Returns the number of turns after which all held-out items are ranked.
  int64_t turns() const { return turns_; }
  /// Returns whether a user with candidates has a validation item.
  bool has_validation() const { return valid_.view().items.size > 0; }

 private:
  int64_t users_, items_, num_candidates_, turns_ = 0;
  DeviceRows train_, valid_, test_;
  DeviceArray<int32_t> pair_users_, pair_items_, candidates_;
};

}  // namespace derrd
