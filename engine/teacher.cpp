#include "engine/teacher.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "engine/models/catalogue.h"
#include "engine/teacher_lists.h"

namespace derrd {

namespace {

InteractionRows to_host(SparseRows rows, const Stream& stream) {
  InteractionRows host;
  host.offsets.resize(static_cast<size_t>(rows.offsets.size));
  host.items.resize(static_cast<size_t>(rows.items.size));
  copy_to_host(host.offsets.data(), rows.offsets.data,
               rows.offsets.size * static_cast<int64_t>(sizeof(int64_t)), stream);
  copy_to_host(host.items.data(), rows.items.data,
               rows.items.size * static_cast<int64_t>(sizeof(int32_t)), stream);
  return host;
}

}  // namespace

Teacher::Teacher(TeacherData teacher, const DeviceDataset& data)
    : teacher_(std::move(teacher)), data_(data) {}

TeacherVectorsView Teacher::vectors() const {
  if (const auto* vectors = std::get_if<TeacherVectors>(&teacher_)) {
    return {vectors->user, vectors->item, vectors->has_user, vectors->has_item};
  }
  return {model().tensor("user_embedding"), model().tensor("item_embedding")};
}

const Scorer& Teacher::scorer(const Stream& stream) {
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

Teacher::Lists Teacher::make_lists(bool of_items, int64_t length, const Stream& stream) {
  const auto on_device = [&](const HostLists& host) {
    return Lists{DeviceArray<int32_t>(host.items, stream), DeviceArray<float>(host.scores, stream)};
  };
  if (const auto* lists = std::get_if<RankingLists>(&teacher_)) {
    return on_device(padded(of_items ? transposed(*lists, data_.items()) : *lists, length));
  }
  InteractionRows observed = to_host(data_.train(), stream);
  if (of_items) observed = transposed(observed, data_.items());
  if (const auto* vectors = std::get_if<TeacherVectors>(&teacher_)) {
    if (!of_items) return on_device(best_lists(*vectors, observed, length, stream));
    return on_device(best_lists(
        TeacherVectors{vectors->item, vectors->user, vectors->has_item, vectors->has_user},
        observed, length, stream));
  }
  const std::unique_ptr<Scorer> scorer = make_scorer(model(), stream);
  if (!of_items) return on_device(best_lists(*scorer, observed, length, stream));
  return on_device(best_lists(*scorer->transposed(stream), observed, length, stream));
}

}  // namespace derrd
