#include "engine/device_dataset.h"

#include <vector>

#include "data/error.h"

namespace derrd {

DeviceDataset::DeviceDataset(const Dataset& dataset, const Stream& stream)
    : users_(dataset.num_users()),
      items_(dataset.num_items()),
      num_candidates_(dataset.num_candidates),
      train_offsets_(dataset.train.offsets, stream),
      train_items_(dataset.train.items, stream),
      valid_item_(dataset.valid_item, stream),
      test_item_(dataset.test_item, stream),
      candidates_(dataset.candidates, stream) {
  if (users_ == 0 || items_ == 0) {
    throw Error("the data set has no users or no items; prepare it with a lower --min-user");
  }
  std::vector<int32_t> users;
  std::vector<int32_t> items;
  for (int64_t u = 0; u < users_; ++u) {
    const auto row = dataset.train.row(u);
    if (static_cast<int64_t>(row.size()) == items_) continue;
    users.insert(users.end(), row.size(), static_cast<int32_t>(u));
    items.insert(items.end(), row.begin(), row.end());
  }
  if (users.empty()) {
    throw Error("the data set has no training interaction for which an unobserved item exists");
  }
  pair_users_ = DeviceArray<int32_t>(users, stream);
  pair_items_ = DeviceArray<int32_t>(items, stream);
}

}  // namespace derrd
