#include "engine/teacher/teacher.h"

#include <algorithm>

#include "engine/evaluation/top_lists.h"
#include "engine/models/catalogue.h"
#include "engine/transposed_rows.h"

namespace derrd {

Teacher::Lists Teacher::on_device(const HostLists& lists, const Stream& stream) {
  return {DeviceArray<int32_t>(lists.items, stream), DeviceArray<float>(lists.scores, stream)};
}

Teacher::Teacher(TeacherData teacher, const DeviceDataset& data)
    : teacher_(std::move(teacher)), data_(data) {}

Scorer& Teacher::scorer(const Stream& stream) {
  if (!scorer_) scorer_ = make_scorer(model(), stream);
  return *scorer_;
}

const DeviceVectors& Teacher::device_vectors(const Stream& stream) {
  if (!vectors_) vectors_.emplace(std::get<TeacherVectors>(teacher_), stream);
  return *vectors_;
}

TeacherVectorsView Teacher::vectors(const Stream& stream) {
  if (std::holds_alternative<TeacherVectors>(teacher_)) {
    const DeviceVectors& v = device_vectors(stream);
    return {{v.user()}, {v.item()}, v.has_user(), v.has_item()};
  }
  Scorer& model = scorer(stream);
  return {model.user_tables(), model.item_tables()};
}

JointVectors* Teacher::joint_vectors(const Stream& stream) {
  return std::holds_alternative<SavedModel>(teacher_) ? scorer(stream).joint() : nullptr;
}

TeacherLists Teacher::lists(int64_t length, const Stream& stream) {
  return cached(Side::kUsers, data_.users(), std::min(length, data_.items()), stream);
}

TeacherLists Teacher::item_lists(int64_t length, const Stream& stream) {
  return cached(Side::kItems, data_.items(), std::min(length, data_.users()), stream);
}

TeacherLists Teacher::cached(Side side, int64_t rows, int64_t length, const Stream& stream) {
  const std::pair key(side, length);
  auto found = lists_.find(key);
  if (found == lists_.end()) found = lists_.emplace(key, make_lists(side, length, stream)).first;
  const Lists& lists = found->second;
  if (lists.scores.size() == 0) return {lists.items.matrix(rows, length), {}};
  return {lists.items.matrix(rows, length), lists.scores.matrix(rows, length)};
}

Teacher::Lists Teacher::make_lists(Side side, int64_t length, const Stream& stream) {
  const bool of_items = side == Side::kItems;
  if (const auto* lists = std::get_if<RankingLists>(&teacher_)) {
    return on_device(padded(of_items ? transposed(*lists, data_.items()) : *lists, length), stream);
  }
  if (!of_items) return score_lists(side, data_.train(), length, stream);
  const TransposedRows users_of_item(data_.train(), data_.items(), stream);
  return score_lists(side, users_of_item.view(), length, stream);
}

Teacher::Lists Teacher::score_lists(Side side, SparseRows observed, int64_t length,
                                    const Stream& stream) {
  const bool of_items = side == Side::kItems;
  const char* row_name = of_items ? "item" : "user";
  if (const auto* v = std::get_if<TeacherVectors>(&teacher_)) {
    const DeviceVectors& device = device_vectors(stream);
    const PartialVectors user = {device.user(), v->has_user};
    const PartialVectors item = {device.item(), v->has_item};
    return on_device(of_items ? best_lists(item, user, observed, length, row_name, stream)
                              : best_lists(user, item, observed, length, row_name, stream),
                     stream);
  }
  const std::unique_ptr<Scorer> by_item = of_items ? scorer(stream).transposed(stream) : nullptr;
  Scorer& scores = of_items ? *by_item : scorer(stream);
  Lists lists = {DeviceArray<int32_t>(scores.users() * length),
                 DeviceArray<float>(scores.users() * length)};
  TopLists(scores.items(), length, row_name)
      .best(lists.items.matrix(scores.users(), length), lists.scores.matrix(scores.users(), length),
            scores, observed, 0, stream);
  return lists;
}

}  // namespace derrd
