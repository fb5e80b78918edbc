#pragma once

// Ordered sums of rows of a table, one for each of the batch's distinct rows: the tiles that reduce
// gradients by a row's samples. Only .cu files include it.

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <stdexcept>
#include <string>

#include "kernels/common/row_lanes.h"
#include "kernels/platform/execution.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Parts of a row that add_terms takes one by one: an element for each of a tile's lanes, or the
/// whole row where a tile is one lane.
template <class Element>
DERRD_HOST_DEVICE inline int row_parts(int64_t cols) {
  return kTileLanes == 1 ? 1 : (elements_in<Element>(cols) + kTileLanes - 1) / kTileLanes;
}

/// Term of a row's sum: factor source[plus], or factor (source[plus] - source[minus]).
struct RowTerm {
  float factor = 0.0f;
  int32_t plus = 0;
  int32_t minus = 0;
};

/// Adds terms begin .. end - 1, in order, to a part of a row: to[k] += each term's element k. A
/// lane's element stays in a register meanwhile, and each lane fetches another term's factor and
/// rows, so that a long sum waits for memory once in kTileLanes terms. All lanes of the tile take
/// part.
/// @tparam kDifference the terms have a second row
/// @param term_of gives term o, a RowTerm
template <class Element, bool kDifference, class TermOf>
__device__ __forceinline__ void add_terms(const WarpTile& tile, float* to, int part,
                                          Matrix<const float> source, int begin, int end,
                                          TermOf&& term_of) {
  const int elements = elements_in<Element>(source.cols);
  // A lane beyond the row's end reads the first elements of the source's rows, for nothing.
  const int mine = part * kTileLanes + static_cast<int>(tile.thread_rank());
  const int first_element = kTileLanes > 1 && mine < elements ? mine : 0;
  Element* __restrict__ sums = elements_of<Element>(to) + first_element;
  const char* from =
      reinterpret_cast<const char*>(elements_of<Element>(source.data) + first_element);
  const int row_bytes = static_cast<int>(source.cols * static_cast<int64_t>(sizeof(float)));
  const auto row = [=](int32_t r) {
    return reinterpret_cast<const Element*>(from + int64_t{r} * row_bytes);
  };
  if constexpr (kTileLanes == 1) {
    for (int o = begin; o < end; ++o) {
      const RowTerm term = term_of(o);
      const Element* __restrict__ plus = row(term.plus);
      const Element* __restrict__ minus = row(term.minus);
      for (int k = 0; k < elements; ++k) {
        sums[k] += term.factor * (kDifference ? plus[k] - minus[k] : plus[k]);
      }
    }
  } else {
    Element sum = mine < elements ? *sums : Element{};
    for (int first = begin; first < end; first += kTileLanes) {
      const int o = first + static_cast<int>(tile.thread_rank());
      const RowTerm fetched = o < end ? term_of(o) : RowTerm{};
      const int count = end - first < kTileLanes ? end - first : kTileLanes;
      for (int j = 0; j < count; ++j) {
        const float factor = tile.shfl(fetched.factor, j);
        const Element plus = *row(tile.shfl(fetched.plus, j));
        if constexpr (kDifference) {
          sum += factor * (plus - *row(tile.shfl(fetched.minus, j)));
        } else {
          sum += factor * plus;
        }
      }
    }
    if (mine < elements) *sums = sum;
  }
}

/// True if add_terms should take quads. A row that a tile's lanes hold as floats is not worth them:
/// each lane would do more, and whoever has most terms decides when the launch ends.
inline bool sums_are_quads(int64_t cols, std::initializer_list<const float*> matrices) {
  return cols > kTileLanes && are_quads(cols, matrices);
}
/// Parts of `rows` rows of `cols` floats, of quads or of floats.
/// @throws std::invalid_argument if 32 bits do not number them.
inline int64_t parts_of_rows(const char* operation, int64_t rows, int64_t cols, bool quads) {
  const int64_t parts = rows * (quads ? row_parts<Quad>(cols) : row_parts<float>(cols));
  if (parts <= std::numeric_limits<int32_t>::max()) return parts;
  throw std::invalid_argument(std::string(operation) + ": " + std::to_string(rows) + " rows of " +
                              std::to_string(cols) + " columns are too many for 32-bit numbers");
}

}  // namespace derrd
