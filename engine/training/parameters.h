#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/common/random_key.h"
#include "kernels/platform/memory.h"
#include "kernels/platform/views.h"
#include "kernels/update/adam_rows.h"

namespace derrd {

/// Names one parameter matrix within Parameters.
struct ParameterId {
  int64_t index = -1;
};

/// Rows of a table that a step is going to read: the batch's distinct rows, or with samples those
/// that the slots of the anchors `rows` hold.
struct RowsToRead {
  ParameterId table;
  RowSegments rows;
  Matrix<const int32_t> samples = {};
};

/// All trainable numbers of a run in one arena: values, gradients and Adam's two moments, each
/// contiguous. Matrices are declared first, in an order that is part of the run's result (initial
/// values are drawn by position), then the memory is allocated once.
///
/// Most matrices are read whole at every step and updated after it. Of a table a step reads some
/// rows: these it has to catch_up() before, because an optimizer may let the updates of rows wait
/// until then.
class Parameters {
 public:
  /// How a matrix starts out.
  struct Initial {
    enum class Kind { kNormal, kUniform };
    Kind kind = Kind::kNormal;
    float scale = 0.0f;  ///< standard deviation, or the bound of the uniform distribution
  };

  /// Declares a matrix [rows, cols]; a vector has one row.
  /// @throws std::logic_error after allocate().
  ParameterId declare(std::string name, int64_t rows, int64_t cols, Initial initial);

  /// Declares an embedding table [rows, cols].
  ParameterId declare_table(std::string name, int64_t rows, int64_t cols, Initial initial);

  /// Allocates the arena, draws the initial values and zeroes the rest.
  void allocate(uint64_t seed, const Stream& stream);

  /// Rows of tables may lag behind, until catch_up(); their gradients wait with them.
  Matrix<float> value(ParameterId id) const { return matrix(values_, id); }
  Matrix<float> gradient(ParameterId id) const { return matrix(gradients_, id); }

  Vector<float> values() const { return values_.view(); }
  Vector<float> gradients() const { return gradients_.view(); }
  Vector<float> first_moments() const { return first_moments_.view(); }
  Vector<float> second_moments() const { return second_moments_.view(); }

  /// Adjacent elements of the arena.
  struct Range {
    int64_t begin, size;
  };
  /// Where the matrices that are no tables lie, neighbours together.
  std::vector<Range> outside_tables() const;

  /// Numbers in all tables together.
  int64_t table_elements() const;

  /// Brings rows of tables up to date: applies the updates that they have missed. Waits for
  /// nothing; without an optimizer that lets rows wait it does nothing.
  void catch_up(std::initializer_list<RowsToRead> reads, const Stream& stream) const;
  /// The same for all rows of all tables.
  void catch_up_all(const Stream& stream) const;
  /// From now on rows of tables wait for the updates of this history, of which all rows have had
  /// `applied`.
  void let_rows_wait(AdamOptions options, AdamHistory history, int64_t applied,
                     const Stream& stream);
  /// Forgets the history, if it is this one; updates that rows still wait for are lost.
  void stop_waiting(const AdamHistory& history) {
    if (history_.steps == history.steps) history_ = {};
  }

  /// Numbers in all declared matrices together, padding not counted.
  int64_t count() const;
  /// The same for the matrices whose names begin with `prefix`.
  int64_t count(std::string_view prefix) const;

 private:
  struct Declared {
    std::string name;
    int64_t rows, cols, offset;
    Initial initial;
    int64_t first_row;  ///< of a table among the rows of all tables; else -1
  };
  ParameterId declare(Declared matrix);
  Matrix<float> matrix(const DeviceArray<float>& array, ParameterId id) const;
  AdamRows table(ParameterId id) const;

  std::vector<Declared> declared_;
  int64_t size_ = 0;
  int64_t table_rows_ = 0;
  bool allocated_ = false;
  DeviceArray<float> values_, gradients_, first_moments_, second_moments_;
  DeviceArray<uint32_t> applied_;  // [table_rows_] updates of each row
  AdamOptions options_;            // of the updates that rows wait for, with
  AdamHistory history_;            // their corrections; empty: rows do not wait
};

}  // namespace derrd
