#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "data/ranking_lists.h"
#include "engine/models/model_file.h"

namespace derrd {

/// Hidden vectors in the data set's order, whoever trained them; some may be missing, and users'
/// and items' widths may differ.
struct TeacherVectors {
  HostMatrix user, item;                    ///< [U, T], [I, T']; rows of 0 where there is none
  std::vector<uint8_t> has_user, has_item;  ///< [U], [I]: whether the teacher has the vector
};

/// Whatever a student learns from: a model that scores, vectors alone, or rankings alone.
using TeacherData = std::variant<SavedModel, TeacherVectors, RankingLists>;

/// What a loss may need of it.
enum class TeacherPart {
  kVectors,  ///< hidden vectors of users and items
  kLists,    ///< a ranking of the items for each user
  kScores,   ///< the same with the items' scores
  kScorer,   ///< a score of any item for any user
};

/// What there is instead of a part, as the end of a sentence; empty: the part.
std::string teacher_lacks(const TeacherData& teacher, TeacherPart part);

/// Length of a user's vector, which `--size` takes a part of; none if users and items have none of
/// one length.
std::optional<int64_t> teacher_dim(const TeacherData& teacher);

/// Hash of all that a student learns from; for a model hash_model.
std::string hash_teacher(const TeacherData& teacher);

}  // namespace derrd
