#pragma once

// How the lanes of a tile share rows of floats. A lane takes an element of a row at a time: one
// float, or a quad where rows are whole quads. Then eight lanes suffice for a row, and a tile of 32
// works on four rows at once. Only .cu files include it.

#include <algorithm>
#include <cstdint>
#include <initializer_list>

#include "kernels/platform/execution.h"
#include "kernels/platform/lane_floats.h"

namespace derrd {

/// Four adjacent floats of a row, loaded at once.
struct alignas(16) Quad {
  float x, y, z, w;
};
__device__ __forceinline__ Quad operator+(Quad a, Quad b) {
  return {a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w};
}
__device__ __forceinline__ Quad operator-(Quad a, Quad b) {
  return {a.x - b.x, a.y - b.y, a.z - b.z, a.w - b.w};
}
__device__ __forceinline__ Quad operator*(Quad a, Quad b) {
  return {a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w};
}
__device__ __forceinline__ Quad operator*(float c, Quad a) {
  return {c * a.x, c * a.y, c * a.z, c * a.w};
}
__device__ __forceinline__ Quad& operator+=(Quad& a, Quad b) { return a = a + b; }

/// Inner product of two elements.
__device__ __forceinline__ float dot(float a, float b) { return a * b; }
__device__ __forceinline__ float dot(Quad a, Quad b) {
  return (a.x * b.x + a.y * b.y) + (a.z * b.z + a.w * b.w);
}

/// Row as elements: float, or Quad.
template <class Element>
__device__ __forceinline__ const Element* elements_of(const float* row) {
  return reinterpret_cast<const Element*>(row);
}
template <class Element>
__device__ __forceinline__ Element* elements_of(float* row) {
  return reinterpret_cast<Element*>(row);
}

/// Number of elements in a row of `cols` floats. 32 bits number the columns.
template <class Element>
DERRD_HOST_DEVICE inline int elements_in(int64_t cols) {
  constexpr uint32_t kFloats = sizeof(Element) / sizeof(float);  // unsigned, so that a GPU shifts
  return static_cast<int>(static_cast<uint32_t>(cols) / kFloats);
}

/// True if rows of `cols` floats in these matrices are whole, aligned quads, and a tile has lanes
/// to share them.
inline bool are_quads(int64_t cols, std::initializer_list<const float*> matrices) {
  return kTileLanes > 1 && cols > 0 && cols % 4 == 0 &&
         std::all_of(matrices.begin(), matrices.end(), [](const float* matrix) {
           return reinterpret_cast<uintptr_t>(matrix) % sizeof(Quad) == 0;
         });
}

/// The lanes that share a row, within a tile.
template <class Element>
struct RowLanes {
  static constexpr int kLanes = std::min(kTileLanes, sizeof(Element) == sizeof(float) ? 32 : 8);
  static constexpr int kRows = kTileLanes / kLanes;  ///< rows that a tile works on at once

  __device__ explicit RowLanes(const WarpTile& tile)
      : row(static_cast<int>(tile.thread_rank()) / kLanes),
        rank(static_cast<int>(tile.thread_rank()) % kLanes) {}

  /// Tiles that `rows` rows need.
  DERRD_HOST_DEVICE static int64_t tiles(int64_t rows) { return (rows + kRows - 1) / kRows; }
  /// Sum of the values of the lanes that share a row. All lanes of the tile take part.
  __device__ float sum(const WarpTile& tile, float value) const {
    for (unsigned distance = kLanes / 2; distance > 0; distance /= 2) {
      value += tile.shfl(value, tile.thread_rank() ^ distance);
    }
    return value;
  }

  int row;   ///< which of the tile's rows
  int rank;  ///< of the lane among those that share it
};

/// Tiles that `rows` rows need, of quads or of floats.
inline int64_t row_tiles(int64_t rows, bool quads) {
  return quads ? RowLanes<Quad>::tiles(rows) : RowLanes<float>::tiles(rows);
}

}  // namespace derrd
