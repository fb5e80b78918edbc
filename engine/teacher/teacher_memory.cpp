#include "engine/teacher/teacher_memory.h"

#include <algorithm>
#include <variant>

#include "engine/device_rows.h"
#include "engine/evaluation/top_lists.h"
#include "engine/models/catalogue.h"
#include "engine/transposed_rows.h"

namespace derrd {

namespace {

constexpr int64_t kTeacherNumber = sizeof(float);

template <class T>
int64_t vector_bytes(const std::vector<T>& values) {
  return static_cast<int64_t>(values.size() * sizeof(T));
}

}  // namespace

// A NeuMF has two vectors, side by side.
int64_t TeacherSizes::vectors_of_users() const {
  return kind == Kind::kModel && has_layers(model.kind) ? 2 * user_dim : user_dim;
}
int64_t TeacherSizes::vectors_of_items() const {
  return kind == Kind::kModel && has_layers(model.kind) ? 2 * item_dim : item_dim;
}

TeacherSizes sizes_of(const TeacherData& teacher, int64_t users, int64_t items) {
  TeacherSizes sizes;
  if (const auto* model = std::get_if<SavedModel>(&teacher)) {
    sizes.model = sizes_of(*model, users, items);
    sizes.user_dim = sizes.item_dim = sizes.model.dim;
    sizes.host_bytes = model->parameters() * kTeacherNumber;
  } else if (const auto* vectors = std::get_if<TeacherVectors>(&teacher)) {
    sizes.kind = TeacherSizes::Kind::kVectors;
    sizes.user_dim = vectors->user.cols;
    sizes.item_dim = vectors->item.cols;
    sizes.host_bytes = vector_bytes(vectors->user.values) + vector_bytes(vectors->item.values) +
                       vector_bytes(vectors->has_user) + vector_bytes(vectors->has_item);
  } else {
    const auto& lists = std::get<RankingLists>(teacher);
    sizes.kind = TeacherSizes::Kind::kLists;
    sizes.entries = static_cast<int64_t>(lists.items.size());
    sizes.scored = !lists.scores.empty();
    sizes.host_bytes =
        vector_bytes(lists.offsets) + vector_bytes(lists.items) + vector_bytes(lists.scores);
  }
  return sizes;
}

ModelMemory TeacherMemory::model() const {
  return model_memory(teacher_.model, {.candidates = data_.candidates});
}

void TeacherMemory::add_copy() {
  if (std::exchange(has_copy_, true)) return;
  if (teacher_.kind == TeacherSizes::Kind::kModel) {
    need_.keep("the teacher", {model().elements() * kTeacherNumber + model().scorer, 0});
  } else if (teacher_.kind == TeacherSizes::Kind::kVectors) {
    need_.keep("the teacher", {teacher_.host_bytes, 0});
  }
}

void TeacherMemory::add_ranks() {
  add_copy();
  if (std::exchange(has_ranks_, true)) return;
  need_.keep("the teacher's ranks", {model().ranks, 0});
}

int64_t TeacherMemory::add_lists(int64_t length) { return add(false, length); }
int64_t TeacherMemory::add_item_lists(int64_t length) { return add(true, length); }

int64_t TeacherMemory::add(bool of_items, int64_t length) {
  const int64_t rows = of_items ? data_.items : data_.users;
  const int64_t others = of_items ? data_.users : data_.items;
  length = std::min(length, others);
  if (!lists_.emplace(of_items, length).second) return length;
  const char* name = of_items ? "the teacher's lists of items" : "the teacher's lists of users";
  const int64_t lists = rows * length * (teacher_.scored ? 2 : 1) * kTeacherNumber;
  if (teacher_.kind == TeacherSizes::Kind::kLists) {
    // Transposed, the entries lie in a vector for each item first.
    constexpr int64_t kEntry = 8 + 24;
    const int64_t turned = of_items ? teacher_.entries * kEntry : 0;
    need_.pass("padding them", {lists, lists + turned});
    need_.keep(name, {lists, 0});
    return length;
  }
  add_copy();
  MemoryBytes making = {TopLists::device_bytes(others, length), 0};
  if (of_items) {
    making.device += TransposedRows::device_bytes(data_.items, data_.train);
    making.host += TransposedRows::host_bytes(data_.users, data_.items, data_.train);
  }
  if (teacher_.kind == TeacherSizes::Kind::kModel) {
    if (of_items) making.device += model().transposed;
    // The scorer of items is another one, which is gone afterwards.
    if (of_items) {
      ModelSizes turned = teacher_.model;
      std::swap(turned.users, turned.items);
      making.device += model_memory(turned, {}).tiles;
    } else if (!std::exchange(has_tiles_, true)) {
      need_.keep("the teacher's scores", {model().tiles, 0});
    }
    need_.keep(name, {lists, 0});
    need_.pass("making them", making);
    return length;
  }
  // Of the rows with a vector alone, which come to the host and go back.
  const int64_t dim = of_items ? teacher_.user_dim : teacher_.item_dim;
  making.device +=
      others * (dim + 1) * kTeacherNumber + DeviceRows::device_bytes(rows, data_.train);
  making.host += 2 * DeviceRows::device_bytes(rows, data_.train) + lists;
  need_.pass("making them", {making.device + lists, making.host + lists});
  need_.keep(name, {lists, 0});
  return length;
}

}  // namespace derrd
