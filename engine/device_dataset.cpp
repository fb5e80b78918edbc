#include "engine/device_dataset.h"

#include <algorithm>
#include <span>
#include <vector>

#include "data/error.h"

namespace derrd {

namespace {

/// Rows of the users with a candidate.
InteractionRows with_candidates(const InteractionRows& rows, const Dataset& dataset) {
  InteractionRows kept;
  for (int64_t u = 0; u < rows.num_rows(); ++u) {
    kept.add_row(dataset.has_candidates(u) ? rows.row(u) : std::span<const int32_t>());
  }
  return kept;
}

}  // namespace

DeviceDataset::DeviceDataset(const Dataset& dataset, const Stream& stream)
    : users_(dataset.num_users()),
      items_(dataset.num_items()),
      num_candidates_(dataset.num_candidates),
      train_(dataset.train, stream),
      candidates_(dataset.candidates, stream) {
  if (users_ == 0 || items_ == 0) {
    throw Error("the data set has no users or no items; prepare it with a lower --min-user");
  }
  const InteractionRows valid = with_candidates(dataset.valid, dataset);
  const InteractionRows test = with_candidates(dataset.test, dataset);
  turns_ = std::max(valid.longest_row(), test.longest_row());
  valid_ = DeviceRows(valid, stream);
  test_ = DeviceRows(test, stream);

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
