#pragma once

// Qualifiers of headers shared by host and device code, and nothing more: host files of the CUDA
// build include it too.

#if defined(__CUDACC__)
#define DERRD_HOST_DEVICE __host__ __device__
#else
#define DERRD_HOST_DEVICE
#endif

#if defined(DERRD_BACKEND_CHECK)
#include <cstdint>
namespace derrd::check {
/// Reports an index outside [0, size) with the kernel, block and thread that used it, and aborts.
void check_index(int64_t index, int64_t size);
}  // namespace derrd::check
#define DERRD_CHECK_INDEX(index, size) ::derrd::check::check_index(index, size)
#else
#define DERRD_CHECK_INDEX(index, size) static_cast<void>(0)
#endif
