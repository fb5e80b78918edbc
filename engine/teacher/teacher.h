#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "engine/device_dataset.h"
#include "engine/models/scorer.h"
#include "engine/teacher/teacher_data.h"
#include "engine/teacher/teacher_lists.h"
#include "kernels/platform/memory.h"
#include "kernels/platform/views.h"

namespace derrd {

/// The teacher's ranking of each user's unobserved items, or of each item's users, in device
/// memory. A view.
struct TeacherLists {
  Matrix<const int32_t> items;  ///< [U, R] best first, -1 behind the last
  Matrix<const float> scores;   ///< [U, R] of the items, -infinity behind the last; empty: unknown
};

/// Vectors for Distillation Experts to rebuild, in device memory. A view.
struct TeacherVectorsView {
  EmbeddingTables user, item;  ///< [U, *], [I, *]
  /// [U], [I]: 0 where the teacher has no vector and its row is 0; empty: it has all.
  Vector<const uint8_t> has_user = {}, has_item = {};
};

/// Data that a student learns from, whatever program made it. A model or vectors are copied to the
/// device once, at the first request, and everything reads that copy. All views and references are
/// valid as long as the teacher lives. Losses ask only for parts that the data has
/// (missing_part()).
class Teacher {
 public:
  /// @param data outlives the teacher.
  Teacher(TeacherData teacher, const DeviceDataset& data);

  /// Returns the model. @throws std::bad_variant_access if the teacher is no model.
  const SavedModel& model() const { return std::get<SavedModel>(teacher_); }
  /// Returns the model's scorer. @throws std::bad_variant_access if the teacher is no model.
  Scorer& scorer(const Stream& stream);
  /// Returns separate vectors of users and items. @throws std::bad_variant_access if the teacher
  /// has lists alone.
  TeacherVectorsView vectors(const Stream& stream);
  /// Returns joint vectors of users and items; null if the teacher has none.
  JointVectors* joint_vectors(const Stream& stream);
  /// Returns the lists of all users, without the items that a user trained with and those that the
  /// teacher does not know.
  /// @param length R, cut to the number of items
  /// @throws Error naming the first user with a score that is not finite.
  TeacherLists lists(int64_t length, const Stream& stream);
  /// Returns the lists of all items: users who did not train with the item. If the teacher has
  /// lists alone, these are the users in whose list the item is, by score, or by rank where scores
  /// are unknown.
  /// @param length R, cut to the number of users
  /// @throws Error naming the first item with a score that is not finite.
  TeacherLists item_lists(int64_t length, const Stream& stream);

 private:
  struct Lists {
    DeviceArray<int32_t> items;
    DeviceArray<float> scores;  // empty: unknown
  };
  enum class Side { kUsers, kItems };

  /// The only copy of TeacherVectors in device memory.
  const DeviceVectors& device_vectors(const Stream& stream);
  TeacherLists cached(Side side, int64_t rows, int64_t length, const Stream& stream);
  Lists make_lists(Side side, int64_t length, const Stream& stream);
  /// Lists by vectors or a model's scores.
  /// @param observed rows of the users, or of the items
  Lists score_lists(Side side, SparseRows observed, int64_t length, const Stream& stream);
  static Lists on_device(const HostLists& lists, const Stream& stream);

  TeacherData teacher_;
  const DeviceDataset& data_;
  std::unique_ptr<Scorer> scorer_;                   // a model's only copy in device memory
  std::optional<DeviceVectors> vectors_;             // vectors' only copy
  std::map<std::pair<Side, int64_t>, Lists> lists_;  // by length
};

}  // namespace derrd
