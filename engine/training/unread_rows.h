#pragma once

#include <cstdint>
#include <span>

#include "engine/parameters.h"
#include "engine/rows_read.h"
#include "kernels/platform/device.h"
#include "kernels/platform/memory.h"

namespace derrd {

/// Finds reads of undeclared rows, on the checking executor; does nothing on the others. While a
/// step reads the embedding tables, all rows that it has not declared hold an absurd number. A
/// model or a loss that reads one nevertheless has an absurd result.
class UnreadRows {
 public:
  /// @param parameters allocated; outlives this
  explicit UnreadRows(const Parameters& parameters);
  /// Returns the bytes of device memory that this takes.
  /// @param arena elements of the parameters
  /// @param table_rows rows of the largest table
  static int64_t device_bytes(int64_t arena, int64_t table_rows);

  /// Overwrites all rows of tables that `reads` does not list.
  void spoil(std::span<const RowsRead> reads, const Stream& stream) const;
  /// Gives all rows the values back that they had before spoil().
  void restore(const Stream& stream) const;
  /// Returns true if a sum over an epoch is absurd because an undeclared row was read.
  bool entered(double loss) const;

 private:
  const Parameters& parameters_;
  DeviceArray<float> kept_;        // the arena's values; empty: nothing is checked
  DeviceArray<uint32_t> is_read_;  // [rows of the largest table]
};

}  // namespace derrd
