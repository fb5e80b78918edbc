#include "engine/teacher/teacher_lists.h"

#include <algorithm>
#include <limits>

#include "data/dataset.h"
#include "engine/evaluation/top_lists.h"
#include "engine/models/scorer.h"
#include "kernels/platform/memory.h"

namespace derrd {

namespace {

constexpr float kNoScore = -std::numeric_limits<float>::infinity();

/// The numbers whose vector the teacher has.
std::vector<int32_t> numbers_of(const std::vector<uint8_t>& present) {
  std::vector<int32_t> numbers;
  for (size_t i = 0; i < present.size(); ++i) {
    if (present[i] != 0) numbers.push_back(static_cast<int32_t>(i));
  }
  return numbers;
}

std::vector<float> rows_of(const HostMatrix& matrix, const std::vector<int32_t>& numbers) {
  std::vector<float> rows;
  rows.reserve(numbers.size() * static_cast<size_t>(matrix.cols));
  for (const int32_t n : numbers) {
    const auto row = std::span(matrix.values).subspan(n * matrix.cols, matrix.cols);
    rows.insert(rows.end(), row.begin(), row.end());
  }
  return rows;
}

template <class T>
std::vector<T> to_host(Vector<const T> values, const Stream& stream) {
  std::vector<T> host(static_cast<size_t>(values.size));
  copy_to_host(host.data(), values.data, values.size * static_cast<int64_t>(sizeof(T)), stream);
  return host;
}

/// Only the items of `kept`, by their places in it.
InteractionRows renumbered(SparseRows rows, const std::vector<int32_t>& kept,
                           const Stream& stream) {
  const InteractionRows all = {to_host(rows.offsets, stream), to_host(rows.items, stream)};
  InteractionRows result;
  for (int64_t u = 0; u < all.num_rows(); ++u) {
    for (const int32_t i : all.row(u)) {
      const auto place = std::ranges::lower_bound(kept, i);
      if (place != kept.end() && *place == i) {
        result.items.push_back(static_cast<int32_t>(place - kept.begin()));
      }
    }
    result.offsets.push_back(result.num_interactions());
  }
  return result;
}

/// Lists of the items of `kept`, by their places in it.
HostLists lists_among(const TeacherVectors& vectors, const std::vector<int32_t>& kept,
                      SparseRows observed, int64_t length, const char* user, const Stream& stream) {
  const int64_t users = vectors.user.rows;
  const InnerProductScorer scorer(vectors.user.values, rows_of(vectors.item, kept),
                                  vectors.user.cols, stream);
  const InteractionRows rows = renumbered(observed, kept, stream);
  const DeviceArray<int64_t> offsets(rows.offsets, stream);
  const DeviceArray<int32_t> observed_items(rows.items, stream);
  const DeviceArray<int32_t> items(users * length);
  const DeviceArray<float> scores(users * length);
  TopLists(scorer.items(), length, user)
      .best(items.matrix(users, length), scores.matrix(users, length), scorer,
            {offsets.view(), observed_items.view()}, 0, stream);
  return {items.to_host(stream), scores.to_host(stream)};
}

}  // namespace

HostLists best_lists(const TeacherVectors& vectors, SparseRows observed, int64_t length,
                     const char* user, const Stream& stream) {
  const int64_t users = vectors.user.rows;
  HostLists lists = {std::vector<int32_t>(static_cast<size_t>(users * length), -1),
                     std::vector<float>(static_cast<size_t>(users * length), kNoScore)};
  const std::vector<int32_t> known = numbers_of(vectors.has_item);
  const int64_t short_length = std::min(length, static_cast<int64_t>(known.size()));
  if (short_length == 0) return lists;
  const HostLists among = lists_among(vectors, known, observed, short_length, user, stream);
  for (int64_t u = 0; u < users; ++u) {
    if (vectors.has_user[u] == 0) continue;
    for (int64_t k = 0; k < short_length; ++k) {
      const int32_t place = among.items[u * short_length + k];
      if (place < 0) break;
      lists.items[u * length + k] = known[place];
      lists.scores[u * length + k] = among.scores[u * short_length + k];
    }
  }
  return lists;
}

HostLists padded(const RankingLists& lists, int64_t length) {
  const auto size = static_cast<size_t>(lists.num_users() * length);
  HostLists result = {std::vector<int32_t>(size, -1), {}};
  if (!lists.scores.empty()) result.scores.assign(size, kNoScore);
  for (int64_t u = 0; u < lists.num_users(); ++u) {
    const int64_t begin = lists.offsets[u];
    const int64_t count = std::min(length, lists.offsets[u + 1] - begin);
    std::copy_n(lists.items.begin() + begin, count, result.items.begin() + u * length);
    if (lists.scores.empty()) continue;
    std::copy_n(lists.scores.begin() + begin, count, result.scores.begin() + u * length);
  }
  return result;
}

RankingLists transposed(const RankingLists& lists, int64_t items) {
  struct Place {
    float score;  // or the rank, negative
    int32_t user;
  };
  std::vector<std::vector<Place>> places(static_cast<size_t>(items));
  const bool scored = !lists.scores.empty();
  for (int64_t u = 0; u < lists.num_users(); ++u) {
    for (int64_t k = lists.offsets[u]; k < lists.offsets[u + 1]; ++k) {
      const float score = scored ? lists.scores[k] : static_cast<float>(lists.offsets[u] - k);
      places[lists.items[k]].push_back({score, static_cast<int32_t>(u)});
    }
  }
  RankingLists result;
  for (std::vector<Place>& of_item : places) {
    std::ranges::stable_sort(of_item, std::ranges::greater{}, &Place::score);
    for (const Place& place : of_item) {
      result.items.push_back(place.user);
      if (scored) result.scores.push_back(place.score);
    }
    result.offsets.push_back(static_cast<int64_t>(result.items.size()));
  }
  return result;
}

}  // namespace derrd
