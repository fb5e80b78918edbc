// cuBLAS: products of all transpositions against sums of integers, which are exact; what it
// refuses; captures.

#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <random>
#include <vector>

namespace {

int failures = 0;

void expect(const char* what, bool holds) {
  if (holds) return;
  ++failures;
  std::printf("%s\n", what);
}

float* device(const std::vector<float>& values) {
  float* p = nullptr;
  cudaMalloc(&p, values.size() * sizeof(float));
  cudaMemcpy(p, values.data(), values.size() * sizeof(float), cudaMemcpyHostToDevice);
  return p;
}

void test_products(cublasHandle_t handle) {
  std::mt19937 random(1);
  const auto number = [&](int below) {
    return static_cast<int>(random() % static_cast<unsigned>(below));
  };
  for (int t = 0; t < 200; ++t) {
    const int m = number(70) + 1, n = number(40) + 1, k = number(50) + 1;
    const bool ta = number(2) != 0, tb = number(2) != 0;
    const int lda = (ta ? k : m) + number(3), ldb = (tb ? n : k) + number(3), ldc = m + number(3);
    std::vector<float> a(static_cast<size_t>(lda * (ta ? m : k))),
        b(static_cast<size_t>(ldb * (tb ? k : n))), c(static_cast<size_t>(ldc * n));
    for (auto* values : {&a, &b, &c}) {
      for (float& x : *values) x = static_cast<float>(number(7) - 3);
    }
    const float alpha = 2.0f, beta = static_cast<float>(t % 3);
    std::vector<float> want = c;
    for (int i = 0; i < m; ++i) {
      for (int j = 0; j < n; ++j) {
        float sum = 0.0f;
        for (int p = 0; p < k; ++p)
          sum += (ta ? a[i * lda + p] : a[p * lda + i]) * (tb ? b[p * ldb + j] : b[j * ldb + p]);
        want[j * ldc + i] = alpha * sum + beta * want[j * ldc + i];
      }
    }
    float* dc = device(c);
    cublasSgemm(handle, ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb ? CUBLAS_OP_T : CUBLAS_OP_N, m, n, k,
                &alpha, device(a), lda, device(b), ldb, &beta, dc, ldc);
    cudaMemcpy(c.data(), dc, c.size() * sizeof(float), cudaMemcpyDeviceToHost);
    expect("a product is wrong", c == want);
  }
}

}  // namespace

int main() {
  cublasHandle_t handle;
  cublasCreate(&handle);
  test_products(handle);

  const float one = 1.0f, zero = 0.0f;
  float* p = device(std::vector<float>(64));
  const auto gemm = [&](int m, int n, int k, int lda) {
    return cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, &one, p, lda, p, 8, &zero, p, 8);
  };
  expect("a leading dimension of 0 is refused, even of nothing",
         gemm(4, 4, 0, 0) == CUBLAS_STATUS_INVALID_VALUE);
  expect("fewer rows than a column has are refused",
         gemm(8, 4, 4, 7) == CUBLAS_STATUS_INVALID_VALUE);
  expect("no rows are no work", gemm(0, 4, 4, 8) == CUBLAS_STATUS_SUCCESS);

  cudaStream_t stream;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  cublasSetStream(handle, stream);
  void* workspace = nullptr;
  cudaMalloc(&workspace, 1 << 20);
  for (const bool given : {false, true}) {
    if (given) cublasSetWorkspace(handle, workspace, 1 << 20);
    cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
    const cublasStatus_t status = gemm(4, 4, 4, 8);
    cudaGraph_t graph;
    cudaStreamEndCapture(stream, &graph);
    expect("a capture takes a product if there is a workspace",
           (status == CUBLAS_STATUS_SUCCESS) == given);
  }
  std::printf("%d failures of products\n", failures);
  return failures != 0;
}
