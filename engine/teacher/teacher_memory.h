#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "engine/device_dataset.h"
#include "engine/memory_need.h"
#include "engine/models/model_memory.h"
#include "engine/teacher/teacher_data.h"

namespace derrd {

/// Sizes of a teacher.
struct TeacherSizes {
  /// A model, or vectors that are not all there, or rankings alone.
  enum class Kind { kModel, kVectors, kLists };
  Kind kind = Kind::kModel;
  ModelSizes model;                    ///< of a model
  int64_t user_dim = 0, item_dim = 0;  ///< lengths of a model's or of other vectors
  int64_t entries = 0;                 ///< of rankings
  bool scored = true;                  ///< whether lists have scores
  int64_t host_bytes = 0;              ///< in host memory

  /// Returns the lengths of the vectors that Teacher::vectors() gives.
  int64_t vectors_of_users() const;
  int64_t vectors_of_items() const;
};
TeacherSizes sizes_of(const TeacherData& teacher, int64_t users, int64_t items);

/// Memory that a Teacher takes, told as its parts are asked for. What is asked for again takes
/// none.
class TeacherMemory {
 public:
  /// @param need receives the parts; outlives this
  TeacherMemory(TeacherSizes teacher, DataSizes data, MemoryNeed& need)
      : teacher_(std::move(teacher)), data_(data), need_(need) {}

  const TeacherSizes& teacher() const { return teacher_; }
  /// Tells of Teacher::scorer() or Teacher::vectors().
  void add_copy();
  /// Tells of Scorer::leave_one_out() on the data set.
  void add_ranks();
  /// Tells of Teacher::lists(), or of Teacher::item_lists(). Returns the lists' length.
  int64_t add_lists(int64_t length);
  int64_t add_item_lists(int64_t length);

 private:
  int64_t add(bool of_items, int64_t length);
  ModelMemory model() const;

  TeacherSizes teacher_;
  DataSizes data_;
  MemoryNeed& need_;
  bool has_copy_ = false, has_tiles_ = false, has_ranks_ = false;
  std::set<std::pair<bool, int64_t>> lists_;
};

}  // namespace derrd
