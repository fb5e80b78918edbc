#pragma once

#include <cstdint>

#include "data/dataset.h"
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
  SparseRows train() const { return {train_offsets_.view(), train_items_.view()}; }
  /// Training interactions as pairs [n], users ascending. Users who have interacted with every item
  /// are left out: no negative exists for them.
  Vector<const int32_t> pair_users() const { return pair_users_.view(); }
  Vector<const int32_t> pair_items() const { return pair_items_.view(); }
  int64_t pairs() const { return pair_users_.size(); }
  /// Validation and test items with their candidates, which are padded with -1.
  HeldOutItems held_out() const {
    return {valid_item_.view(), test_item_.view(), candidates_.matrix(users_, num_candidates_)};
  }

 private:
  int64_t users_, items_, num_candidates_;
  DeviceArray<int64_t> train_offsets_;
  DeviceArray<int32_t> train_items_, pair_users_, pair_items_, valid_item_, test_item_, candidates_;
};

}  // namespace derrd
