// Launches with known counts, and a recorded graph of two branches, for tests of the profile
// (tests/bench/ptx_profile_test.py).

#include <cuda_runtime.h>

#include <cstdio>

namespace {

constexpr int kLanes = 32;

/// Every block loads the same 128 bytes and stores 128 of its own.
__global__ void load_same(int* to, const int* from) {
  to[blockIdx.x * kLanes + threadIdx.x] = from[threadIdx.x];
}

/// Lane l takes bank 0 or bank 1 of shared memory: 16 passes.
__global__ void conflict(int* to) {
  __shared__ int values[kLanes * kLanes];
  values[threadIdx.x / 2 * kLanes + threadIdx.x % 2] = 1;
  __syncthreads();
  to[threadIdx.x] = values[threadIdx.x % 2];
}

/// The first warp loops.
__global__ void uneven(int* to, int turns) {
  for (int n = 0; n < turns && threadIdx.x < kLanes; ++n) to[threadIdx.x] += n;
}

__global__ void store(int* to) { to[threadIdx.x] = 1; }

/// A chain on `main` and a branch beside it; `main` waits for both.
void record_branches(int* p, cudaStream_t main, cudaStream_t side) {
  cudaEvent_t forked, joined;
  cudaEventCreate(&forked);
  cudaEventCreate(&joined);
  store<<<1, kLanes, 0, main>>>(p);
  cudaEventRecord(forked, main);
  cudaStreamWaitEvent(side, forked, 0);
  store<<<1, kLanes, 0, main>>>(p);
  store<<<1, kLanes, 0, side>>>(p + kLanes);
  cudaEventRecord(joined, side);
  cudaStreamWaitEvent(main, joined, 0);
  store<<<1, kLanes, 0, main>>>(p);
}

}  // namespace

int main() {
  int* p = nullptr;
  cudaMalloc(&p, 4096);
  cudaMemset(p, 0, 4096);
  load_same<<<4, kLanes>>>(p + 256, p);
  conflict<<<1, kLanes>>>(p);
  uneven<<<1, 3 * kLanes>>>(p, 100);
  cudaStream_t main, side;
  cudaStreamCreate(&main);
  cudaStreamCreate(&side);
  cudaDeviceSynchronize();
  cudaGraph_t graph;
  cudaGraphExec_t executable;
  cudaStreamBeginCapture(main, cudaStreamCaptureModeThreadLocal);
  record_branches(p, main, side);
  cudaStreamEndCapture(main, &graph);
  cudaGraphInstantiate(&executable, graph, 0);
  for (int n = 0; n < 3; ++n) cudaGraphLaunch(executable, main);
  const cudaError_t status = cudaStreamSynchronize(main);
  std::puts(cudaGetErrorName(status));
  return status == cudaSuccess ? 0 : 1;
}
