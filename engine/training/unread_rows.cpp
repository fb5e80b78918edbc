#include "engine/training/unread_rows.h"

#include <algorithm>
#include <cmath>

#include "kernels/update/unread_rows.h"

namespace derrd {

namespace {

int64_t largest_table(const Parameters& parameters) {
  int64_t rows = 0;
  for (const auto& [id, of] : parameters.tables()) {
    rows = std::max(rows, parameters.value(id).rows);
  }
  return rows;
}

}  // namespace

UnreadRows::UnreadRows(const Parameters& parameters) : parameters_(parameters) {
  if (!checks_reads()) return;
  kept_ = DeviceArray<float>(parameters.values().size);
  is_read_ = DeviceArray<uint32_t>(largest_table(parameters));
}

int64_t UnreadRows::device_bytes(int64_t arena, int64_t table_rows) {
  return checks_reads() ? (arena + table_rows) * static_cast<int64_t>(sizeof(float)) : 0;
}

void UnreadRows::spoil(std::span<const RowsRead> reads, const Stream& stream) const {
  if (kept_.size() == 0) return;
  copy_on_device(kept_.data(), parameters_.values().data, kept_.bytes(), stream);
  for (const auto& [id, of] : parameters_.tables()) {
    const Matrix<float> value = parameters_.value(id);
    const Vector<uint32_t> is_read = is_read_.view().slice(0, value.rows);
    is_read_.zero(stream);
    for (const RowsRead& read : reads) {
      if (read.of == of) mark_rows(is_read, read.rows, read.samples, stream);
    }
    spoil_unread_rows(value, is_read, stream);
  }
}

void UnreadRows::restore(const Stream& stream) const {
  if (kept_.size() == 0) return;
  copy_on_device(parameters_.values().data, kept_.data(), kept_.bytes(), stream);
}

bool UnreadRows::entered(double loss) const {
  constexpr double kAbsurd = kSpoiledValue / 1e10;  // what is left of it after a product or two
  return kept_.size() != 0 && std::abs(loss) > kAbsurd;
}

}  // namespace derrd
