#include "engine/teacher/teacher_lists.h"

#include <algorithm>
#include <limits>
#include <span>

#include "data/dataset.h"
#include "engine/evaluation/top_lists.h"
#include "engine/models/scorer.h"
#include "kernels/epoch/segments.h"
#include "kernels/models/embedding.h"
#include "kernels/platform/memory.h"

namespace derrd {

namespace {

constexpr float kNoScore = -std::numeric_limits<float>::infinity();

/// The numbers whose vector the teacher has.
std::vector<int32_t> numbers_of(std::span<const uint8_t> present) {
  std::vector<int32_t> numbers;
  for (size_t i = 0; i < present.size(); ++i) {
    if (present[i] != 0) numbers.push_back(static_cast<int32_t>(i));
  }
  return numbers;
}

/// Some rows of a table, one behind the other in device memory.
DeviceArray<float> rows_of(Matrix<const float> table, const std::vector<int32_t>& numbers,
                           const Stream& stream) {
  const auto count = static_cast<int64_t>(numbers.size());
  DeviceArray<float> rows(count * table.cols);
  const DeviceArray<int32_t> of_rows(numbers, stream);
  const BatchCursor all = {0, 0, static_cast<int32_t>(count)};
  const DeviceArray<BatchCursor> cursor(std::span(&all, 1), stream);
  gather_rows(rows.matrix(count, table.cols), 0, table,
              {of_rows.view(), {}, {}, cursor.data(), count}, stream);
  return rows;
}

template <class T>
std::vector<T> to_host(Vector<const T> values, const Stream& stream) {
  std::vector<T> host(static_cast<size_t>(values.size));
  copy_to_host(host.data(), values.data, values.size * static_cast<int64_t>(sizeof(T)), stream);
  return host;
}

/// Keeps the items of `kept`, as indices into it.
InteractionRows renumbered(SparseRows rows, const std::vector<int32_t>& kept,
                           const Stream& stream) {
  const InteractionRows all = {to_host(rows.offsets, stream), to_host(rows.items, stream)};
  InteractionRows result;
  for (int64_t u = 0; u < all.num_rows(); ++u) {
    for (const int32_t i : all.row(u)) {
      const auto found = std::ranges::lower_bound(kept, i);
      if (found != kept.end() && *found == i) {
        result.items.push_back(static_cast<int32_t>(found - kept.begin()));
      }
    }
    result.offsets.push_back(result.num_interactions());
  }
  return result;
}

/// Lists the items of `kept`, as indices into it.
HostLists lists_among(Matrix<const float> user, Matrix<const float> item,
                      const std::vector<int32_t>& kept, SparseRows observed, int64_t length,
                      const char* row_name, const Stream& stream) {
  const DeviceArray<float> kept_rows = rows_of(item, kept, stream);
  InnerProductScorer scorer(user, kept_rows.matrix(static_cast<int64_t>(kept.size()), item.cols));
  const InteractionRows rows = renumbered(observed, kept, stream);
  const DeviceArray<int64_t> offsets(rows.offsets, stream);
  const DeviceArray<int32_t> observed_items(rows.items, stream);
  const DeviceArray<int32_t> items(user.rows * length);
  const DeviceArray<float> scores(user.rows * length);
  TopLists(scorer.items(), length, row_name)
      .best(items.matrix(user.rows, length), scores.matrix(user.rows, length), scorer,
            {offsets.view(), observed_items.view()}, 0, stream);
  return {items.to_host(stream), scores.to_host(stream)};
}

}  // namespace

HostLists best_lists(const PartialVectors& user, const PartialVectors& item, SparseRows observed,
                     int64_t length, const char* row_name, const Stream& stream) {
  const int64_t users = user.rows.rows;
  HostLists lists = {std::vector<int32_t>(static_cast<size_t>(users * length), -1),
                     std::vector<float>(static_cast<size_t>(users * length), kNoScore)};
  const std::vector<int32_t> known = numbers_of(item.has);
  const int64_t short_length = std::min(length, static_cast<int64_t>(known.size()));
  if (short_length == 0) return lists;
  const HostLists among =
      lists_among(user.rows, item.rows, known, observed, short_length, row_name, stream);
  for (int64_t u = 0; u < users; ++u) {
    if (user.has[static_cast<size_t>(u)] == 0) continue;
    for (int64_t k = 0; k < short_length; ++k) {
      const int32_t index = among.items[u * short_length + k];
      if (index < 0) break;
      lists.items[u * length + k] = known[index];
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
  struct Entry {
    float score;  // or the rank, negative
    int32_t user;
  };
  std::vector<std::vector<Entry>> entries(static_cast<size_t>(items));
  const bool scored = !lists.scores.empty();
  for (int64_t u = 0; u < lists.num_users(); ++u) {
    for (int64_t k = lists.offsets[u]; k < lists.offsets[u + 1]; ++k) {
      const float score = scored ? lists.scores[k] : static_cast<float>(lists.offsets[u] - k);
      entries[lists.items[k]].push_back({score, static_cast<int32_t>(u)});
    }
  }
  RankingLists result;
  for (std::vector<Entry>& of_item : entries) {
    std::ranges::stable_sort(of_item, std::ranges::greater{}, &Entry::score);
    for (const Entry& entry : of_item) {
      result.items.push_back(entry.user);
      if (scored) result.scores.push_back(entry.score);
    }
    result.offsets.push_back(static_cast<int64_t>(result.items.size()));
  }
  return result;
}

}  // namespace derrd
