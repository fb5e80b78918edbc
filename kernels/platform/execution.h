#pragma once

// What a kernel file needs to run on every executor: CUDA's qualifiers and cooperative groups
// (`cg`), and
//   units_of(group, count)      the work units that a tile, a block or a thread owns, as a range
//   SharedArray<T, N>           an array in shared memory: `__shared__ SharedArray<float, 32> row;`
//   kBlockTiles                 the tiles of a block, which share such an array
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
