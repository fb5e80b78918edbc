#pragma once

// Everything that a kernel file needs to run on every executor: CUDA's qualifiers and cooperative
// groups (`cg`), and
//   units_of(group, count)      a range: the work units of a tile, a block or a SingleThread
//   SharedArray<T, N>           an array in shared memory: `__shared__ SharedArray<float, 32> row;`
//   kBlockTiles                 tiles per block; a shared array has one part per tile that uses it
//   ordered_inclusive_scan(tile, value, op)   lane i gets op(... op(op(v_0, v_1), v_2) ..., v_i) in
//                               some grouping; the order of the arguments is kept, so `op` need not
//                               commute (cg::inclusive_scan passes the later lanes' part first)
//   tiles_for, blocks_for, threads_for   the geometry of a launch, from its number of work units
//   launch(name, geometry, stream, kernel, arguments...)
// Only .cu files include it. A result never depends on the geometry.

#if defined(DERRD_BACKEND_CUDA)
#include "kernels/platform/cuda/execution.h"
#elif defined(DERRD_BACKEND_CPU)
#include "kernels/platform/cpu/execution.h"
#elif defined(DERRD_BACKEND_CHECK)
#include "kernels/platform/check/execution.h"
#else
#error "DERRD_BACKEND_CUDA, DERRD_BACKEND_CPU or DERRD_BACKEND_CHECK must be defined; CMake does so"
#endif
