#pragma once

// philox_4x32_10(counter, key): the ten-round Philox generator of Salmon et al., "Parallel random
// numbers: as easy as 1, 2, 3" (SC'11): cuRAND's on the GPU, Random123's on the CPU; the same
// integers on both.

#if defined(DERRD_BACKEND_CUDA)
#include "kernels/platform/cuda/philox.h"
#else
#include "kernels/platform/cpu/philox.h"
#endif
