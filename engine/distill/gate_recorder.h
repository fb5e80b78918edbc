#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/distill/gate_record.h"
#include "engine/distill/user_gate.h"
#include "engine/memory_need.h"
#include "kernels/platform/device.h"
#include "kernels/platform/memory.h"

namespace derrd {

/// Records which expert a gate prefers for each user, row by row. It reads the gate's parameters
/// and changes nothing.
class GateRecorder {
 public:
  /// @param gate refers to memory that outlives the recorder; a user at least has a vector
  /// @param rows recorded so far, to which others are appended; null: none
  /// @param most_rows number of rows to make room for
  /// @throws Error if `rows` are of another number of users.
  GateRecorder(UserGate gate, std::shared_ptr<GateRows> rows, int64_t most_rows,
               const Stream& stream);

  /// Returns the memory that a recorder takes; none for 0 rows.
  static MemoryBytes memory(int64_t users, int64_t experts, int64_t teacher_dim, int64_t most_rows);

  /// Appends a row by the parameters as they are now. Waits for the stream.
  /// @throws Error if a weight is not finite.
  void add_row(const Stream& stream);

  const std::shared_ptr<GateRows>& recorded() const { return rows_; }
  int64_t experts() const { return gate_.weight.rows; }

 private:
  /// A table of the teacher, and the columns of W that belong to it.
  struct Part {
    Matrix<const float> teacher, weight;  // [U, *], [E, *]
  };
  std::vector<Part> parts(const Stream& stream) const;

  UserGate gate_;
  std::shared_ptr<GateRows> rows_;
  std::vector<uint8_t> included_;  // [U]; empty: all
  DeviceArray<float> weight_;      // W's columns for one of the teacher's tables after another
  DeviceArray<float> logits_;      // of a tile of users
  std::vector<float> host_logits_;
};

}  // namespace derrd
