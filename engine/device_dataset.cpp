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

DataSizes sizes_of(const Dataset& dataset) {
  DataSizes sizes = {.users = dataset.num_users(),
                     .items = dataset.num_items(),
                     .train = dataset.train.num_interactions(),
                     .valid = dataset.valid.num_interactions(),
                     .test = dataset.test.num_interactions(),
                     .candidates = dataset.num_candidates};
  const auto add = [&](const auto& vector) {
    sizes.host_bytes += static_cast<int64_t>(vector.size() * sizeof(vector[0]));
  };
  for (const InteractionRows* rows : {&dataset.train, &dataset.valid, &dataset.test}) {
    add(rows->offsets);
    add(rows->items);
  }
  add(dataset.candidates);
  for (const IdTable* ids : {&dataset.user_ids, &dataset.item_ids}) {
    add(ids->numbers());
    add(ids->bytes());
    add(ids->offsets());
    sizes.host_bytes += ids->size() * static_cast<int64_t>(sizeof(int32_t));  // their order
  }
  return sizes;
}

int64_t DeviceDataset::device_bytes(const DataSizes& data) {
  const int64_t offsets = DeviceRows::device_bytes(data.users, 0);
  const int64_t items = data.train + data.valid + data.test + data.users * data.candidates;
  const int64_t pairs = 2 * data.train;
  return 3 * offsets + (items + pairs) * static_cast<int64_t>(sizeof(int32_t));
}

int64_t DeviceDataset::host_bytes(const DataSizes& data) {
  return DeviceRows::device_bytes(2 * data.users, data.valid + data.test) +
         2 * data.train * static_cast<int64_t>(sizeof(int32_t));
}

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
  users.reserve(dataset.train.items.size());
  items.reserve(dataset.train.items.size());
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
