#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "engine/device_dataset.h"
#include "engine/model_file.h"
#include "kernels/platform/memory.h"
#include "kernels/views.h"

namespace derrd {

/// The teacher's ranking of each user's unobserved items, in device memory. A view.
struct TeacherLists {
  Matrix<const int32_t> items;  ///< [U, R] best first, -1 behind the last
  Matrix<const float> scores;   ///< [U, R] of the items
};

/// What a student learns from: data, whoever made it. What losses ask for is made once.
class Teacher {
 public:
  /// @param data outlives the teacher.
  Teacher(SavedModel model, const DeviceDataset& data);

  const SavedModel& model() const { return model_; }
  /// The model as it scores; valid as long as the teacher is.
  const Scorer& scorer(const Stream& stream);
  /// The lists of all users; the items that a user trained with are left out. Valid as long as the
  /// teacher is.
  /// @param length R, cut to the number of items
  /// @throws Error naming the first user with a score that is not finite.
  TeacherLists lists(int64_t length, const Stream& stream);

 private:
  struct Lists {
    DeviceArray<int32_t> items;
    DeviceArray<float> scores;
  };

  SavedModel model_;
  const DeviceDataset& data_;
  std::unique_ptr<Scorer> scorer_;
  std::map<int64_t, Lists> lists_;  // by length
};

}  // namespace derrd
