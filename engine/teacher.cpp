#include "engine/teacher.h"

#include <algorithm>
#include <utility>

#include "engine/models/catalogue.h"
#include "engine/top_lists.h"

namespace derrd {

Teacher::Teacher(SavedModel model, const DeviceDataset& data)
    : model_(std::move(model)), data_(data) {}

const Scorer& Teacher::scorer(const Stream& stream) {
  if (!scorer_) scorer_ = make_scorer(model_, stream);
  return *scorer_;
}

TeacherLists Teacher::lists(int64_t length, const Stream& stream) {
  const int64_t users = data_.users();
  length = std::min(length, data_.items());
  auto found = lists_.find(length);
  if (found == lists_.end()) {
    Lists lists = {DeviceArray<int32_t>(users * length), DeviceArray<float>(users * length)};
    TopLists(data_.items(), length)
        .best(lists.items.matrix(users, length), lists.scores.matrix(users, length),
              *make_scorer(model_, stream), data_.train(), 0, stream);
    found = lists_.emplace(length, std::move(lists)).first;
  }
  return {found->second.items.matrix(users, length), found->second.scores.matrix(users, length)};
}

}  // namespace derrd
