#pragma once

// Ordered sums of rows of a table, one for each of the batch's distinct rows: the tiles that reduce
// gradients by a row's samples. A part of a row is a tile's work, and a popular row its block's.
// Only .cu files include it.

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <stdexcept>
#include <string>

#include "kernels/common/row_lanes.h"
#include "kernels/common/shared_rows.h"
#include "kernels/platform/execution.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Parts of a row that add_terms takes one by one: an element for each of a tile's lanes, or the
/// whole row where a tile is one lane.
template <class Element>
DERRD_HOST_DEVICE inline int row_parts(int64_t cols) {
  if constexpr (kTileLanes == 1) return 1;
  constexpr uint32_t kLanes = kTileLanes;  // unsigned, so that a GPU shifts
  return static_cast<int>((static_cast<uint32_t>(elements_in<Element>(cols)) + kLanes - 1) /
                          kLanes);
}

/// Term of a row's sum: factor source[plus], or factor (source[plus] - source[minus]).
struct RowTerm {
  float factor = 0.0f;
  int32_t plus = 0;
  int32_t minus = 0;
};

/// A lane's element of the rows of `source`.
template <class Element>
class RowElement {
 public:
  __device__ RowElement(int number, Matrix<const float> source)
      : element(number),
        exists(element < elements_in<Element>(source.cols)),
        // A lane beyond the row's end reads the rows' first elements, for nothing.
        from_(reinterpret_cast<const char*>(elements_of<Element>(source.data) +
                                            (exists ? element : 0))),
        row_bytes_(static_cast<int>(source.cols * static_cast<int64_t>(sizeof(float)))) {}

  __device__ Element operator()(int32_t row) const {
    return *reinterpret_cast<const Element*>(from_ + int64_t{row} * row_bytes_);
  }

  int element;  ///< of the row
  bool exists;

 private:
  const char* from_;
  int row_bytes_;
};

/// sum + terms begin .. end - 1, in order, of each lane's element. Each lane fetches another term's
/// factor and rows, so that a long sum waits for memory once in kTileLanes terms. All lanes of the
/// tile take part.
/// @tparam kDifference the terms have a second row
/// @param term_of gives term o, a RowTerm
/// @param groups groups of lanes, among which the terms go round
/// @param group the lane's group
template <bool kDifference, class Element, class TermOf>
__device__ __forceinline__ Element sum_terms(const WarpTile& tile, Element sum,
                                             const RowElement<Element>& row, int begin, int end,
                                             TermOf&& term_of, int groups = 1, int group = 0) {
  for (int first = begin; first < end; first += kTileLanes) {
    const int o = first + static_cast<int>(tile.thread_rank());
    RowTerm fetched = term_of(o < end ? o : end - 1);
    if (o >= end) fetched.factor = 0.0f;  // a group's term behind the last weighs nothing
    const int count = end - first < kTileLanes ? end - first : kTileLanes;
    for (int round = 0; round < count; round += groups) {
      const int j = round + group;
      const float factor = tile.shfl(fetched.factor, j);
      const int32_t plus = tile.shfl(fetched.plus, j);
      const int32_t minus = kDifference ? tile.shfl(fetched.minus, j) : 0;
      sum += factor * (kDifference ? row(plus) - row(minus) : row(plus));
    }
  }
  return sum;
}

/// Terms from which on the tiles of a block share a row.
constexpr int kSharedTerms = 128;
/// True if the tiles of a block should share rows. In a batch of fewer samples such rows are rare,
/// and looking for them costs more than they do.
inline bool shares_rows(int64_t samples) { return kBlockTiles > 1 && samples >= 64 * kSharedTerms; }

/// Sums of a block's tiles, one for each lane.
template <class Element>
using SharedSums = SharedArray<Element, kBlockTiles * kTileLanes>;

/// Blocks' work units for `rows` rows of `parts` parts: each is a part of a block's rows. A tile
/// takes one, or one for each of its groups of lanes where the block shares the popular ones.
template <class Element, bool kShare>
DERRD_HOST_DEVICE inline int term_blocks(int rows, int parts) {
  constexpr int kRows = kShare ? RowLanes<Element>::kRows : 1;
  return row_groups<kRows>(rows) * parts;
}

/// Adds to each distinct row of a batch the terms of its occurrences: to[row][k] += each term's
/// element k. Unit `block_unit` of term_blocks, with row_parts<Element>; called by all of the
/// block. A row's terms add up in order; where they are many, each of the block's tiles adds up a
/// range of them, and then the ranges' sums add up in order.
/// @tparam kShare shares_rows of the batch
/// @param term_of gives the term of occurrence o, a RowTerm
template <class Element, bool kDifference, bool kShare, class TermOf>
__device__ __forceinline__ void add_terms(const cg::thread_block& block,
                                          SharedSums<Element>& shared, Matrix<float> to,
                                          const RowSegments& rows, int block_unit, int parts,
                                          Matrix<const float> source, TermOf&& term_of) {
  const WarpTile tile = warp_tile();
  const BatchCursor batch = *rows.batch;
  const int group = block_unit / parts;
  const int end = batch.begin + batch.count;
  const int32_t* __restrict__ offsets = rows.offsets.data;
  if constexpr (kTileLanes == 1) {
    const int segment = batch.begin + group;
    float* __restrict__ out = to.row(rows.rows[segment]);
    for (int o = offsets[segment]; o < offsets[segment + 1]; ++o) {
      const RowTerm term = term_of(o);
      const float* __restrict__ plus = source.row(term.plus);
      const float* __restrict__ minus = source.row(term.minus);
      for (int64_t k = 0; k < source.cols; ++k) {
        out[k] += term.factor * (kDifference ? plus[k] - minus[k] : plus[k]);
      }
    }
    return;
  }
  const int begin_of_part = (block_unit - group * parts) * kTileLanes;
  const auto rank = static_cast<int>(tile.thread_rank());
  if constexpr (kShare) {
    using Lanes = RowLanes<Element>;
    const Lanes lanes(tile);
    const int elements = elements_in<Element>(source.cols);
    const int end_of_part =
        elements < begin_of_part + kTileLanes ? elements : begin_of_part + kTileLanes;
    const auto own = [&](int segment, int first, int after) {
      Element* out = elements_of<Element>(to.row(rows.rows[segment]));
      for (int k = begin_of_part + lanes.rank; k < end_of_part; k += Lanes::kLanes) {
        Element sum = out[k];
        for (int o = first; o < after; ++o) {
          const RowTerm term = term_of(o);
          const Element* plus = elements_of<Element>(source.row(term.plus));
          const Element* minus = elements_of<Element>(source.row(term.minus));
          sum += term.factor * (kDifference ? plus[k] - minus[k] : plus[k]);
        }
        out[k] = sum;
      }
    };
    // Half of the lanes suffice for a short row: then the halves take turns.
    const int halves = elements <= kTileLanes / 2 ? 2 : 1;
    const int width = kTileLanes / halves;
    const RowElement<Element> row(begin_of_part + rank % width, source);
    const auto range = [&](int, int first, int after) {
      shared[tile.meta_group_rank() * kTileLanes + rank] =
          sum_terms<kDifference>(tile, Element{}, row, first, after, term_of, halves, rank / width);
    };
    const auto finish = [&](int segment) {
      if (!row.exists || rank >= width) return;
      Element& out = elements_of<Element>(to.row(rows.rows[segment]))[row.element];
      Element sum = out;
      for (int i = 0; i < kBlockTiles * halves; ++i) sum += shared[i * width + rank];
      out = sum;
    };
    share_rows(block, rows.offsets, BlockRows<Lanes::kRows>{batch.begin, end, group}, kSharedTerms,
               own, range, finish);
  } else if (const int segment =
                 batch.begin + group * kBlockTiles + static_cast<int>(tile.meta_group_rank());
             segment < end) {
    const RowElement<Element> row(begin_of_part + rank, source);
    Element* out = elements_of<Element>(to.row(rows.rows[segment])) + row.element;
    const Element start = row.exists ? *out : Element{};
    const Element sum =
        sum_terms<kDifference>(tile, start, row, offsets[segment], offsets[segment + 1], term_of);
    if (row.exists) *out = sum;
  }
}

/// True if add_terms should take quads. A row that a tile's lanes hold as floats is not worth them:
/// each lane would do more, and whoever has most terms decides when the launch ends.
inline bool sums_are_quads(int64_t cols, std::initializer_list<const float*> matrices) {
  return cols > kTileLanes && are_quads(cols, matrices);
}
/// Blocks that `rows` rows need, of quads or of floats.
/// @throws std::invalid_argument if 32 bits do not number the parts of the rows.
inline int64_t blocks_of_terms(const char* operation, int64_t rows, int64_t cols, bool quads) {
  const int parts = quads ? row_parts<Quad>(cols) : row_parts<float>(cols);
  if (rows * parts > std::numeric_limits<int32_t>::max()) {
    throw std::invalid_argument(std::string(operation) + ": " + std::to_string(rows) + " rows of " +
                                std::to_string(cols) + " columns are too many for 32-bit numbers");
  }
  return int64_t{row_groups<1>(rows)} * parts;
}

}  // namespace derrd
