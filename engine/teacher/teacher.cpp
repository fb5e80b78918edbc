#include "engine/teacher/teacher.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "engine/evaluation/top_lists.h"
#include "engine/models/catalogue.h"
#include "engine/transposed_rows.h"

namespace derrd {

Teacher::Lists Teacher::on_device(const HostLists& lists, const Stream& stream) {
  return {DeviceArray<int32_t>(lists.items, stream), DeviceArray<float>(lists.scores, stream)};
}

Teacher::Teacher(TeacherData teacher, const DeviceDataset& data)
    : teacher_(std::move(teacher)), data_(data) {}

TeacherVectorsView Teacher::vectors() {
  if (const auto* vectors = std::get_if<TeacherVectors>(&teacher_)) {
    return {vectors->user, vectors->item, vectors->has_user, vectors->has_item};
  }
  if (!vectors_) vectors_ = model_vectors(model());
  return {vectors_->user, vectors_->item};
}

JointVectors* Teacher::joint_vectors(const Stream& stream) {
  return std::holds_alternative<SavedModel>(teacher_) ? scorer(stream).joint() : nullptr;
}

Scorer& Teacher::scorer(const Stream& stream) {
  if (!scorer_) scorer_ = make_scorer(model(), stream);
  return *scorer_;
}

TeacherLists Teacher::lists(int64_t length, const Stream& stream) {
  return cached(false, data_.users(), std::min(length, data_.items()), stream);
}

TeacherLists Teacher::item_lists(int64_t length, const Stream& stream) {
  return cached(true, data_.items(), std::min(length, data_.users()), stream);
}

TeacherLists Teacher::cached(bool of_items, int64_t rows, int64_t length, const Stream& stream) {
  auto found = lists_.find({of_items, length});
  if (found == lists_.end()) {
    found = lists_.emplace(std::pair(of_items, length), make_lists(of_items, length, stream)).first;
  }
  const Lists& lists = found->second;
  if (lists.scores.size() == 0) return {lists.items.matrix(rows, length), {}};
  return {lists.items.matrix(rows, length), lists.scores.matrix(rows, length)};
}

Teacher::Lists Teacher::make_lists(bool of_items, int64_t length, const Stream& stream) const {
  if (const auto* lists = std::get_if<RankingLists>(&teacher_)) {
    return on_device(padded(of_items ? transposed(*lists, data_.items()) : *lists, length), stream);
  }
  if (!of_items) return make_lists(data_.train(), length, "user", false, stream);
  const TransposedRows users_of_item(data_.train(), data_.items(), stream);
  return make_lists(users_of_item.view(), length, "item", true, stream);
}

Teacher::Lists Teacher::make_lists(SparseRows observed, int64_t length, const char* whose,
                                   bool transpose, const Stream& stream) const {
  if (const auto* v = std::get_if<TeacherVectors>(&teacher_)) {
    if (!transpose) return on_device(best_lists(*v, observed, length, whose, stream), stream);
    const TeacherVectors turned = {v->item, v->user, v->has_item, v->has_user};
    return on_device(best_lists(turned, observed, length, whose, stream), stream);
  }
  const std::unique_ptr<Scorer> model_scorer = make_scorer(model(), stream);
  const std::unique_ptr<Scorer> turned = transpose ? model_scorer->transposed(stream) : nullptr;
  const Scorer& scorer = transpose ? *turned : *model_scorer;
  Lists lists = {DeviceArray<int32_t>(scorer.users() * length),
                 DeviceArray<float>(scorer.users() * length)};
  TopLists(scorer.items(), length, whose)
      .best(lists.items.matrix(scorer.users(), length), lists.scores.matrix(scorer.users(), length),
            scorer, observed, 0, stream);
  return lists;
}

}  // namespace derrd
