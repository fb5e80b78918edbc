// The functions of cuBLAS that the project calls, on the host, in the stream's order.
//
// Sums run over k in ascending order, in float, for every element of C alike: the same bits every
// time.

#include <cublas_v2.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

extern "C" cudaError_t ptxExecutorSubmit(cudaStream_t stream, std::function<void()>* work);
extern "C" void* ptxExecutorBytes(const void* pointer, size_t bytes, int access);
extern "C" void ptxExecutorFault(const char* what);
extern "C" void ptxExecutorProfile(const char* members);

struct cublasContext {
  cudaStream_t stream = nullptr;
  bool own_workspace = false;  ///< the caller's
};

namespace {

cublasStatus_t illegal(const char* function, int parameter) {
  std::fprintf(stderr, " ** On entry to %s parameter number %d had an illegal value\n", function,
               parameter);
  return CUBLAS_STATUS_INVALID_VALUE;
}

/// Counts the live handles, and says at exit how many are left if PTX_EXECUTOR_LEAKS asks for it.
void count_handles(int change) {
  static std::atomic<int> live{0};
  static const bool registered =
      std::getenv("PTX_EXECUTOR_LEAKS") != nullptr &&
      std::atexit([] {
        if (live != 0) std::fprintf(stderr, "ptx-executor: leak: %d cuBLAS handles\n", live.load());
      }) == 0;
  static_cast<void>(registered);
  live += change;
}

cublasStatus_t submit(cublasContext& handle, std::function<void()> work) {
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  if (cudaStreamIsCapturing(handle.stream, &capture) == cudaSuccess &&
      capture != cudaStreamCaptureStatusNone && !handle.own_workspace) {
    std::fprintf(
        stderr,
        "ptx-executor: cuBLAS in a capture without cublasSetWorkspace: it would allocate\n");
    return CUBLAS_STATUS_ALLOC_FAILED;
  }
  return ptxExecutorSubmit(handle.stream, &work) == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                                                : CUBLAS_STATUS_EXECUTION_FAILED;
}

/// Elements of a column-major matrix in memory.
size_t extent(int64_t rows, int64_t columns, int64_t leading) {
  return rows == 0 || columns == 0 ? 0 : static_cast<size_t>((columns - 1) * leading + rows);
}

template <class T>
T* elements(const T* device, size_t count, const char* what, int access = 1) {
  void* bytes = ptxExecutorBytes(device, count * sizeof(T), access);
  if (bytes == nullptr && count != 0)
    ptxExecutorFault(
        (std::string("cuBLAS: ") + what + " is not in one allocation of the device").c_str());
  return static_cast<T*>(bytes);
}

struct Shape {
  bool transpose_a, transpose_b;
  int64_t m, n, k, lda, ldb, ldc;
};

constexpr int kRows = 32;    // of C at a time, as one packed panel of op(A)
constexpr int kColumns = 4;  // of C at a time, whose sums stay in registers

void multiply(const Shape& s, float alpha, const float* a, const float* b, float beta, float* c) {
  std::vector<float> panel(static_cast<size_t>(s.k) * kRows);
  for (int64_t i = 0; i < s.m; i += kRows) {
    const int64_t rows = std::min<int64_t>(kRows, s.m - i);
    for (int64_t p = 0; p < s.k; ++p) {
      for (int64_t r = 0; r < rows; ++r)
        panel[static_cast<size_t>(p * kRows + r)] =
            s.transpose_a ? a[(i + r) * s.lda + p] : a[p * s.lda + i + r];
    }
    for (int64_t j = 0; j < s.n; j += kColumns) {
      const int64_t columns = std::min<int64_t>(kColumns, s.n - j);
      // A column that there is not is computed as the last one, and dropped.
      const float* right[kColumns];
      for (int64_t q = 0; q < kColumns; ++q) {
        const int64_t column = j + std::min(q, columns - 1);
        right[q] = s.transpose_b ? b + column : b + column * s.ldb;
      }
      const int64_t step = s.transpose_b ? s.ldb : 1;
      float sums[kColumns][kRows] = {};
      for (int64_t p = 0; p < s.k; ++p) {
        const float* left = &panel[static_cast<size_t>(p * kRows)];
        for (int q = 0; q < kColumns; ++q) {
          const float factor = right[q][p * step];
          for (int r = 0; r < kRows; ++r) sums[q][r] = __builtin_fmaf(left[r], factor, sums[q][r]);
        }
      }
      for (int64_t q = 0; q < columns; ++q) {
        float* out = c + (j + q) * s.ldc + i;
        for (int64_t r = 0; r < rows; ++r)
          out[r] = beta == 0.0f ? alpha * sums[q][r] : alpha * sums[q][r] + beta * out[r];
      }
    }
  }
}

}  // namespace

extern "C" {

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  if (handle == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0)
    return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = new cublasContext;
  count_handles(1);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  cudaDeviceSynchronize();  // as the real one does
  delete handle;
  count_handles(-1);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->stream = stream;
  handle->own_workspace = false;  // a new stream takes the workspace back to the default one
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void* workspace, size_t bytes) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (bytes != 0 && (workspace == nullptr || reinterpret_cast<uintptr_t>(workspace) % 256 != 0))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (bytes != 0 && ptxExecutorBytes(workspace, bytes, 0) == nullptr)
    return CUBLAS_STATUS_INVALID_VALUE;
  handle->own_workspace = true;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t) {
  return handle == nullptr ? CUBLAS_STATUS_NOT_INITIALIZED : CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetProperty(libraryPropertyType type, int* value) {
  constexpr int kVersion[] = {CUBLAS_VER_MAJOR, CUBLAS_VER_MINOR, CUBLAS_VER_PATCH};
  *value = kVersion[type];
  return CUBLAS_STATUS_SUCCESS;
}

const char* cublasGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "success";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "the library was not initialized";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "the resource allocation failed";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "an invalid value was used as an argument";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "the function failed to launch on the GPU";
    default:
      return "an internal operation failed";
  }
}

cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b,
                              int m, int n, int k, const float* alpha, const float* a, int lda,
                              const float* b, int ldb, const float* beta, float* c, int ldc) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  const Shape s{op_a != CUBLAS_OP_N, op_b != CUBLAS_OP_N, m, n, k, lda, ldb, ldc};
  if (m < 0) return illegal("SGEMM ", 3);
  if (n < 0) return illegal("SGEMM ", 4);
  if (k < 0) return illegal("SGEMM ", 5);
  if (lda < std::max(1, s.transpose_a ? k : m)) return illegal("SGEMM ", 8);
  if (ldb < std::max(1, s.transpose_b ? n : k)) return illegal("SGEMM ", 10);
  if (ldc < std::max(1, m)) return illegal("SGEMM ", 13);
  if (m == 0 || n == 0) return CUBLAS_STATUS_SUCCESS;
  if (alpha == nullptr || beta == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  return submit(*handle, [=, x = *alpha, y = *beta] {
    const float* left =
        elements(a, extent(s.transpose_a ? s.k : s.m, s.transpose_a ? s.m : s.k, s.lda), "A");
    const float* right =
        elements(b, extent(s.transpose_b ? s.n : s.k, s.transpose_b ? s.k : s.n, s.ldb), "B");
    if (y != 0.0f) elements(c, extent(s.m, s.n, s.ldc), "C");
    multiply(s, x, left, right, y, elements(c, extent(s.m, s.n, s.ldc), "C", 2));
    char members[128];
    std::snprintf(members, sizeof members, "\"product\": [%d, %d, %d], \"accumulates\": %d", m, n,
                  k, y != 0.0f);
    ptxExecutorProfile(members);
  });
}

cublasStatus_t cublasSscal_v2(cublasHandle_t handle, int n, const float* alpha, float* x,
                              int step) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (alpha == nullptr || (x == nullptr && n > 0)) return CUBLAS_STATUS_INVALID_VALUE;
  if (n <= 0 || step <= 0) return CUBLAS_STATUS_SUCCESS;
  return submit(*handle, [=, factor = *alpha] {
    float* values = elements(x, (static_cast<size_t>(n) - 1) * static_cast<size_t>(step) + 1, "x");
    for (int64_t i = 0; i < n; ++i) values[i * step] *= factor;
  });
}

}  // extern "C"
