#pragma once

#include <cstdint>

#include "engine/sort_space.h"
#include "kernels/common/random_key.h"
#include "kernels/platform/memory.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Way of choosing the K interesting rows of the teacher's list: drawn in every epoch, or its first
/// K.
enum class Selection { kSampled, kTop };

/// Rows that are never drawn as an anchor's uninteresting ones, besides its observed rows.
enum class Excluded {
  kList,      ///< the teacher's list: the authors' program
  kSelected,  ///< the list down to the lowest interesting one: Section 4.2.1
};

/// Options of an anchor's samples; the defaults are those of users in Relaxed Ranking Distillation.
struct RankingSamplerOptions {
  int64_t interesting = 40;    ///< K
  int64_t uninteresting = 40;  ///< L
  int64_t list_length = 500;   ///< R, rows in the teacher's ranking for each anchor
  double sharpness = 10.0;     ///< T: rank k is drawn with weight exp(-k / T)
  Selection selection = Selection::kSampled;
  Excluded excluded = Excluded::kList;
  RandomPurpose interesting_draw = RandomPurpose::kInteresting;
  RandomPurpose uninteresting_draw = RandomPurpose::kUninteresting;

  int64_t slots() const { return interesting + uninteresting; }
  bool operator==(const RankingSamplerOptions&) const = default;
};

/// Draws the samples of a relaxed ranking loss: for each anchor (a user, or an item) K interesting
/// rows of the teacher's list, in rank order, and L uninteresting ones.
class RankingSampler {
 public:
  /// @param lists [anchors, R] the teacher's ranking of each anchor's unobserved rows, best first,
  ///   -1 padded
  /// @param observed [anchors] rows; both outlive the sampler
  /// @param rows number of rows in the table from which samples are drawn
  RankingSampler(RankingSamplerOptions options, Matrix<const int32_t> lists, SparseRows observed,
                 int64_t rows, const Stream& stream);

  /// Returns the bytes of device memory that a sampler takes.
  /// @param anchors rows of the lists, of `list_length` each
  /// @param observed numbers of items of all anchors
  static int64_t device_bytes(const RankingSamplerOptions& options, int64_t anchors,
                              int64_t list_length, int64_t observed);

  int64_t slots() const { return options_.slots(); }
  /// Fills samples [anchors, K + L] for an epoch.
  void draw(Matrix<int32_t> samples, uint64_t seed, int epoch, const Stream& stream);
  /// Memory for sorts of anchors * slots() pairs, free between draws.
  const SortSpace& space() const { return space_; }

 private:
  void find_excluded(const Stream& stream);

  RankingSamplerOptions options_;
  Matrix<const int32_t> lists_;
  SparseRows observed_;
  int64_t rows_;
  int64_t most_excluded_;                  // rows in all rows of excluded_ together
  DeviceArray<int32_t> lowest_;            // [anchors] length of the list's excluded part
  DeviceArray<int64_t> excluded_offsets_;  // [anchors + 1]
  DeviceArray<int32_t> excluded_;          // what the uninteresting rows are not drawn from
  SortSpace space_;
};

}  // namespace derrd
