#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "data/ranking_lists.h"
#include "engine/models/model_file.h"
#include "kernels/platform/device.h"
#include "kernels/platform/memory.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Hidden vectors in the data set's order. Some may be missing, and users' and items' widths may
/// differ.
struct TeacherVectors {
  HostMatrix user, item;                    ///< [U, T], [I, T']; rows of 0 where there is none
  std::vector<uint8_t> has_user, has_item;  ///< [U], [I]: whether the teacher has the vector
};

/// Copy of TeacherVectors in device memory.
class DeviceVectors {
 public:
  DeviceVectors(const TeacherVectors& vectors, const Stream& stream);

  Matrix<const float> user() const { return user_.matrix(has_user_.size(), user_dim_); }
  Matrix<const float> item() const { return item_.matrix(has_item_.size(), item_dim_); }
  Vector<const uint8_t> has_user() const { return has_user_.view(); }
  Vector<const uint8_t> has_item() const { return has_item_.view(); }

 private:
  int64_t user_dim_, item_dim_;
  DeviceArray<float> user_, item_;
  DeviceArray<uint8_t> has_user_, has_item_;
};

/// Data that a student learns from: a model that scores, vectors alone, or rankings alone.
using TeacherData = std::variant<SavedModel, TeacherVectors, RankingLists>;

/// Part of a teacher that a loss may need.
enum class TeacherPart {
  kVectors,  ///< hidden vectors of users and items
  kLists,    ///< a ranking of the items for each user
  kScores,   ///< a ranking with the items' scores
  kScorer,   ///< a score of any item for any user
};

/// Returns an error message, as the end of a sentence, if the teacher lacks a part.
std::optional<std::string> missing_part(const TeacherData& teacher, TeacherPart part);

/// Returns the length of a user's vector, to which `--size` is relative; none if users' and items'
/// vectors have no common length.
std::optional<int64_t> teacher_dim(const TeacherData& teacher);

/// Returns a hash of all that a student learns from; for a model it is hash_model().
std::string hash_teacher(const TeacherData& teacher);

}  // namespace derrd
