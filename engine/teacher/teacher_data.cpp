#include "engine/teacher/teacher_data.h"

#include <fmt/format.h>

#include "engine/models/catalogue.h"

namespace derrd {

namespace {

TensorView view(const HostMatrix& matrix) {
  return tensor_view(std::span(matrix.values), {matrix.rows, matrix.cols});
}

}  // namespace

DeviceVectors::DeviceVectors(const TeacherVectors& vectors, const Stream& stream)
    : user_dim_(vectors.user.cols),
      item_dim_(vectors.item.cols),
      user_(vectors.user.values, stream),
      item_(vectors.item.values, stream),
      has_user_(vectors.has_user, stream),
      has_item_(vectors.has_item, stream) {}

std::optional<std::string> missing_part(const TeacherData& teacher, TeacherPart part) {
  if (const auto* lists = std::get_if<RankingLists>(&teacher)) {
    if (part == TeacherPart::kVectors || part == TeacherPart::kScorer) {
      return "there are rankings alone";
    }
    if (part == TeacherPart::kScores && lists->scores.empty()) {
      return "there are rankings without scores";
    }
  }
  if (const auto* vectors = std::get_if<TeacherVectors>(&teacher)) {
    if (part != TeacherPart::kVectors && vectors->user.cols != vectors->item.cols) {
      return fmt::format(
          "the users' vectors have {} numbers and the items' {}, which give no scores to rank by",
          vectors->user.cols, vectors->item.cols);
    }
    if (part == TeacherPart::kScorer) return "some users and items have no vectors";
  }
  return std::nullopt;
}

std::optional<int64_t> teacher_dim(const TeacherData& teacher) {
  if (const auto* model = std::get_if<SavedModel>(&teacher)) return model_dim(*model);
  const auto* vectors = std::get_if<TeacherVectors>(&teacher);
  if (vectors == nullptr || vectors->user.cols != vectors->item.cols) return std::nullopt;
  return vectors->user.cols;
}

std::string hash_teacher(const TeacherData& teacher) {
  if (const auto* model = std::get_if<SavedModel>(&teacher)) return hash_model(*model);
  if (const auto* vectors = std::get_if<TeacherVectors>(&teacher)) {
    return hash_tensors({{"user_embedding", view(vectors->user)},
                         {"item_embedding", view(vectors->item)},
                         {"has_user", tensor_view(vectors->has_user)},
                         {"has_item", tensor_view(vectors->has_item)}});
  }
  const auto& lists = std::get<RankingLists>(teacher);
  return hash_tensors({{"offsets", tensor_view(lists.offsets)},
                       {"items", tensor_view(lists.items)},
                       {"scores", tensor_view(lists.scores)}});
}

}  // namespace derrd
