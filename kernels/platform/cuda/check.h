#pragma once

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

namespace derrd::cuda {

/// @throws DeviceError "what: the CUDA runtime's own words" unless the status is success.
void check(cudaError_t status, const char* what);
void check(cublasStatus_t status, const char* what);

}  // namespace derrd::cuda
