#pragma once

#include <cstdint>

#include "data/dataset.h"
#include "engine/device_rows.h"
#include "kernels/evaluate/leave_one_out.h"
#include "kernels/platform/memory.h"
#include "kernels/platform/views.h"

namespace derrd {

/// A data set in device memory: what training and evaluation read.
class DeviceDataset {
 public:
  /// Copies what is read to the device.
  /// @throws Error if the set has no user, no item, or no training interaction whose user has an
  /// unobserved item.
  DeviceDataset(const Dataset& dataset, const Stream& stream);

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
