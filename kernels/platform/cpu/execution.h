#pragma once

// The one-lane executor: a block is one thread and a tile is one lane, so that a lane's loop over a
// row is a plain loop that the compiler vectorises, and a reduction over lanes is the identity.
// Blocks own adjacent chunks of the work units.

#include <math.h>  // CUDA's functions without std::

#include <algorithm>
#include <cstdint>
#include <tuple>

#include "kernels/platform/cpu/operators.h"
#include "kernels/platform/cpu/parallel.h"
#include "kernels/platform/device.h"
#include "kernels/platform/unit_range.h"
#include "kernels/platform/views.h"

#define __global__ static
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __shared__
#define __launch_bounds__(...)
#define __grid_constant__

namespace derrd {

namespace cpu {

/// Position in the grid of the block that this host thread runs.
struct BlockIndex {
  int64_t block = 0;
  int64_t blocks = 1;
};
inline thread_local BlockIndex block_index;

}  // namespace cpu

constexpr int kBlockTiles = 1;

namespace cg {

/// The calling thread alone, as a group: element-wise kernels.
struct thread_block {
  static constexpr unsigned size() { return 1; }
  static constexpr unsigned thread_rank() { return 0; }
  static void sync() {}
};

template <unsigned kLanes>
struct thread_block_tile : thread_block {
  static constexpr unsigned meta_group_rank() { return 0; }
  static constexpr unsigned meta_group_size() { return 1; }
  template <class T>
  static T shfl(T value, unsigned) {
    return value;
  }
  static bool any(bool predicate) { return predicate; }
  static bool all(bool predicate) { return predicate; }
  static unsigned ballot(bool predicate) { return predicate ? 1u : 0u; }
};

inline thread_block this_thread_block() { return {}; }
template <unsigned kLanes>
thread_block_tile<kLanes> tiled_partition(thread_block) {
  return {};
}
template <class Tile, class T, class Op>
T reduce(Tile, T value, Op) {
  return value;
}
template <class Tile, class T, class Op>
T inclusive_scan(Tile, T value, Op) {
  return value;
}
template <class Tile, class T>
T exclusive_scan(Tile, T) {
  return T(0);
}

}  // namespace cg

using WarpTile = cg::thread_block_tile<32>;
inline WarpTile warp_tile() { return {}; }

template <class T, class Op>
T ordered_inclusive_scan(const WarpTile&, T value, Op) {
  return value;
}

/// Adjacent numbers [first, last).
class UnitRange {
 public:
  struct Iterator {
    int64_t value;
    int64_t operator*() const { return value; }
    Iterator& operator++() {
      ++value;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return value != other.value; }
  };
  UnitRange(int64_t first, int64_t last) : first_(first), last_(last) {}
  Iterator begin() const { return {first_}; }
  Iterator end() const { return {last_}; }

 private:
  int64_t first_;
  int64_t last_;
};

template <class Group>
inline UnitRange units_of(Group, int64_t count) {
  const cpu::BlockIndex index = cpu::block_index;
  const int64_t chunk = (count + index.blocks - 1) / index.blocks;
  const int64_t first = std::min(count, index.block * chunk);
  return {first, std::min(count, first + chunk)};
}

template <class T, int kSize>
struct SharedArray {
  T elements[kSize];
  T& operator[](int64_t i) { return elements[i]; }
  const T& operator[](int64_t i) const { return elements[i]; }
};

/// Adds to an integer in shared or global memory; returns the old value. Integers only: a sum of
/// floats would depend on the order.
inline uint32_t atomic_add(uint32_t& target, uint32_t value) {
  const uint32_t old = target;
  target += value;
  return old;
}

struct Geometry {
  int64_t blocks = 1;
};

/// Geometry for `units` work units of about `elements` scalar operations each, a tile, a block or a
/// thread per unit.
inline Geometry geometry_for(int64_t units, int64_t elements) {
  return {cpu::chunks_for(units, elements)};
}
inline Geometry tiles_for(int64_t units, int64_t elements) { return geometry_for(units, elements); }
inline Geometry blocks_for(int64_t units, int64_t elements) {
  return geometry_for(units, elements);
}
inline Geometry threads_for(int64_t units, int64_t elements = 1) {
  return geometry_for(units, elements);
}

/// Runs `kernel` over the geometry. `name` is the operation's, for profilers.
template <class... Parameters, class... Arguments>
void launch(const char*, Geometry geometry, const Stream&, void (*kernel)(Parameters...),
            Arguments&&... arguments) {
  struct Call {
    void (*kernel)(Parameters...);
    std::tuple<Parameters...> parameters;
    int64_t blocks;
  };
  const Call call{kernel, {static_cast<Parameters>(arguments)...}, geometry.blocks};
  cpu::count_launch();
  cpu::run_chunks(
      geometry.blocks,
      [](const void* context, int64_t block) {
        const Call& c = *static_cast<const Call*>(context);
        cpu::block_index = {block, c.blocks};
        std::apply(c.kernel, c.parameters);
        cpu::block_index = {};
      },
      &call);
}

}  // namespace derrd
