#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/common/random_key.h"
#include "kernels/platform/memory.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Names one parameter matrix within Parameters.
struct ParameterId {
  int64_t index = -1;
};

/// Kind of an embedding table's rows.
enum class Entity { kUser, kItem };

/// All trainable numbers of a run in one arena: values, gradients and Adam's two moments, each
/// contiguous. Matrices are declared first, in an order that is part of the run's result (initial
/// values are drawn by position), then the memory is allocated once.
///
/// A step reads most matrices whole and updates them. It reads only some rows of an embedding
/// table, which models and losses declare (RowsRead); the other rows may be out of date.
class Parameters {
 public:
  /// Distribution of a matrix's initial values.
  struct Initial {
    enum class Kind { kNormal, kUniform };
    Kind kind = Kind::kNormal;
    float scale = 0.0f;  ///< standard deviation, or the bound of the uniform distribution
  };

  /// Declares a matrix [rows, cols]; a vector has one row.
  /// @throws std::logic_error after allocate().
  ParameterId declare(std::string name, int64_t rows, int64_t cols, Initial initial);

  /// Declares an embedding table [rows, cols] with a row for each user or each item.
  /// @throws std::logic_error after allocate().
  ParameterId declare_table(std::string name, Entity of, int64_t rows, int64_t cols,
                            Initial initial);

  /// Returns the elements of the arena that a matrix of `size` elements takes, padding included.
  static int64_t padded(int64_t size);
  /// Returns the elements of the arena, padding included.
  int64_t arena_size() const { return size_; }

  /// Allocates the arena, draws the initial values and zeroes the rest.
  void allocate(uint64_t seed, const Stream& stream);

  /// Returns the part of an arena, such as values(), that belongs to a matrix [rows, cols].
  Matrix<float> matrix(Vector<float> arena, ParameterId id) const;
  Matrix<float> value(ParameterId id) const { return matrix(values(), id); }
  Matrix<float> gradient(ParameterId id) const { return matrix(gradients(), id); }

  Vector<float> values() const { return values_.view(); }
  Vector<float> gradients() const { return gradients_.view(); }
  Vector<float> first_moments() const { return first_moments_.view(); }
  Vector<float> second_moments() const { return second_moments_.view(); }

  /// Adjacent elements of the arena.
  struct Range {
    int64_t begin, size;
  };
  /// Lists the ranges of the matrices that are not tables; adjacent ranges are merged.
  std::vector<Range> outside_tables() const;

  /// Embedding table.
  struct Table {
    ParameterId id;
    Entity of;
  };
  /// All embedding tables, in the order of their declarations.
  const std::vector<Table>& tables() const { return tables_; }

  /// Number of elements in all declared matrices, without padding.
  int64_t count() const;
  /// Number of elements in the matrices whose names begin with `prefix`.
  int64_t count(std::string_view prefix) const;

 private:
  struct Declared {
    std::string name;
    int64_t rows, cols, offset;
    Initial initial;
  };

  bool is_table(int64_t index) const;

  std::vector<Declared> declared_;
  std::vector<Table> tables_;
  int64_t size_ = 0;
  bool allocated_ = false;
  DeviceArray<float> values_, gradients_, first_moments_, second_moments_;
};

}  // namespace derrd
