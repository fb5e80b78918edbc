#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "engine/device_dataset.h"
#include "engine/models/catalogue.h"
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

/// Vectors for Distillation Experts to rebuild, on the host. A view.
struct TeacherVectorsView {
  const HostMatrix& user;  ///< [U, T]
  const HostMatrix& item;  ///< [I, T']
  /// [U], [I]: 0 where the teacher has no vector and its row is 0; empty: it has all.
  std::span<const uint8_t> has_user = {}, has_item = {};
};

/// What a student learns from: data, whoever made it. What losses ask for is made once; they ask
/// only for what teacher_lacks() does not deny.
class Teacher {
 public:
  /// @param data outlives the teacher.
  Teacher(TeacherData teacher, const DeviceDataset& data);

  /// The model, if it is one. @throws std::bad_variant_access
  const SavedModel& model() const { return std::get<SavedModel>(teacher_); }
  /// The model as it scores; valid as long as the teacher is. @throws as model()
  Scorer& scorer(const Stream& stream);
  /// Of users and items separately. Valid as long as the teacher is.
  TeacherVectorsView vectors();
  /// Of users and items together; null if the teacher has none. Valid as long as the teacher is.
  JointVectors* joint_vectors(const Stream& stream);
  /// The lists of all users; the items that a user trained with are left out, and those that the
  /// teacher does not know. Valid as long as the teacher is.
  /// @param length R, cut to the number of items
  /// @throws Error naming the first user with a score that is not finite.
  TeacherLists lists(int64_t length, const Stream& stream);
  /// The lists of all items: their users who did not train with them. Of a teacher that has lists
  /// alone, the users in whose list the item is, by score, or by rank where scores are unknown.
  /// @param length R, cut to the number of users
  TeacherLists item_lists(int64_t length, const Stream& stream);

 private:
  struct Lists {
    DeviceArray<int32_t> items;
    DeviceArray<float> scores;  // empty: unknown
  };
  /// Lists of users, or of items.
  Lists make_lists(bool of_items, int64_t length, const Stream& stream) const;
  /// By vectors or a model, as they are or with users and items in each other's place.
  Lists make_lists(SparseRows observed, int64_t length, const char* whose, bool transpose,
                   const Stream& stream) const;
  static Lists on_device(const HostLists& lists, const Stream& stream);
  TeacherLists cached(bool of_items, int64_t rows, int64_t length, const Stream& stream);

  TeacherData teacher_;
  const DeviceDataset& data_;
  std::unique_ptr<Scorer> scorer_;
  std::optional<ModelVectors> vectors_;              // the model's
  std::map<std::pair<bool, int64_t>, Lists> lists_;  // by whose they are, and length
};

}  // namespace derrd
