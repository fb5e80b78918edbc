#include "engine/transposed_rows.h"

#include <vector>

#include "engine/device_rows.h"

namespace derrd {

namespace {

template <class T>
std::vector<T> host_copy(Vector<const T> values, const Stream& stream) {
  std::vector<T> host(static_cast<size_t>(values.size));
  copy_to_host(host.data(), values.data, values.size * static_cast<int64_t>(sizeof(T)), stream);
  return host;
}

}  // namespace

int64_t TransposedRows::device_bytes(int64_t items, int64_t entries) {
  return DeviceRows::device_bytes(items, entries);
}

int64_t TransposedRows::host_bytes(int64_t users, int64_t items, int64_t entries) {
  return DeviceRows::device_bytes(users + 2 * items, 2 * entries);
}

TransposedRows::TransposedRows(SparseRows rows, int64_t items, const Stream& stream) {
  const std::vector<int64_t> from = host_copy(rows.offsets, stream);
  const std::vector<int32_t> entries = host_copy(rows.items, stream);
  std::vector<int64_t> offsets(static_cast<size_t>(items) + 1, 0);
  for (const int32_t item : entries) ++offsets[static_cast<size_t>(item) + 1];
  for (size_t i = 1; i < offsets.size(); ++i) offsets[i] += offsets[i - 1];
  // Users come in ascending order, so each item's do.
  std::vector<int64_t> next(offsets.begin(), offsets.end() - 1);
  std::vector<int32_t> users(entries.size());
  for (size_t user = 0; user + 1 < from.size(); ++user) {
    for (int64_t e = from[user]; e < from[user + 1]; ++e) {
      const auto item = static_cast<size_t>(entries[static_cast<size_t>(e)]);
      users[static_cast<size_t>(next[item]++)] = static_cast<int32_t>(user);
    }
  }
  offsets_ = {offsets, stream};
  users_ = {users, stream};
}

}  // namespace derrd
