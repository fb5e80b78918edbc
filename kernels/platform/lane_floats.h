#pragma once

// The floats that a lane takes at once from a row: one where a tile has 32 lanes, a vector register
// full where it has one. For the few kernels that keep sums in registers over a
// loop, which a compiler does not manage by itself for the elements of an array. After execution.h.
//   kTileLanes, kLaneWidth     lanes of a tile, floats of a lane
//   LaneFloats                 they; adds, multiplies and divides element by element
//   load_lanes(from)           the lane's kLaneWidth floats there
//   load_lanes(from, count)    the first `count` of them, if that is fewer, and zeros
//   store_lanes(to, x, count)  the first `count` of them, if that is fewer than kLaneWidth
//   clear_lanes(at, held, count)  zeros in place of `held`; may leave zeros alone
//   spread(x)                  x in all of them
//   larger_of(a, b)            the larger elements; a's where it is NaN
//   multiply_add(a, b, c)      a * b + c, as execution.h has it for a float
//   square_root(x)

#if defined(DERRD_BACKEND_CPU)
#include "kernels/platform/cpu/lane_floats.h"
#else
#include "kernels/platform/cuda/lane_floats.h"
#endif
