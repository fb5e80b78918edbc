// What the executor has to notice: each fault by its name. `faults <name>` commits it and prints
// the error that the runtime gives.

#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <unistd.h>

#undef NDEBUG  // asserts stay
#include <cassert>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <string>

__global__ void register_hungry() {}

namespace {

__global__ void write_at(int* p, long long index) { p[index] = 1; }
__global__ void read_at(const int* p, long long index, int* out) { *out = p[index]; }
__global__ void misaligned(char* p) { *reinterpret_cast<int*>(p + 1) = 1; }
__global__ void shared_outside(int* out, int index) {
  extern __shared__ int values[];
  values[index] = 1;
  *out = values[index];
}
__global__ void unwritten_shared(int* out) {
  __shared__ int values[32];
  if (threadIdx.x == 1) values[1] = 1;
  __syncwarp();
  out[threadIdx.x] = values[threadIdx.x];
}
__global__ void divergent_barrier(int* out) {
  if (threadIdx.x < 16) {
    __syncthreads();
    out[0] = 1;
  } else {
    __syncthreads();
    out[1] = 1;
  }
}
__global__ void missing_lanes(int* out) {
  if (threadIdx.x < 16)
    out[threadIdx.x] = __shfl_sync(0xFFFFFFFF, threadIdx.x, 0);
  else
    out[threadIdx.x] = __ballot_sync(0xFFFFFFFF, threadIdx.x & 1);
}
__global__ void not_a_member(int* out) { out[threadIdx.x] = __shfl_sync(0xFFFF, threadIdx.x, 0); }
__global__ void shared_race(int* out) {
  __shared__ int values[64];
  values[threadIdx.x] = threadIdx.x;
  out[threadIdx.x] = values[63 - threadIdx.x];
}
__global__ void no_race(int* out) {
  __shared__ int values[64];
  values[threadIdx.x] = threadIdx.x;
  __syncthreads();
  out[threadIdx.x] = values[63 - threadIdx.x];
}
__global__ void global_race(int* p) { p[threadIdx.x / 2] = blockIdx.x; }
__global__ void atomic_no_race(int* p) { atomicAdd(p, 1); }
__global__ void unwritten_global(const int* p, int* out) { out[threadIdx.x] = p[threadIdx.x]; }
__global__ void local_outside(int* out, int index) {
  int values[8];
  for (int k = 0; k < 8; ++k) values[(k + index) % 8] = k;
  *out = values[index];
}
__global__ void warp_race(int* out) {
  __shared__ int values[32];
  values[threadIdx.x] = threadIdx.x;
  out[threadIdx.x] = values[31 - threadIdx.x];
}
__global__ void absent_lane(int* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0xFFFF, threadIdx.x, 20);
}
__global__ void order_of_warps(int* turns, int* order) {
  if (threadIdx.x % 32 == 0) order[atomicAdd(turns, 1)] = threadIdx.x / 32;
}
__global__ void unknown_instruction(int* out) {
  asm volatile("lop3.b32 %0, 1, 2, 3, 0x96;" : "=r"(*out));
}
__global__ void unknown_modifier(int* out) {
  asm volatile("add.sat.s32 %0, %1, 1;" : "=r"(*out) : "r"(out[1]));
}
__global__ void prints(int n, double x, const char* text) {
  printf("%3d|%lld|%-6.2f|%x|%s|100%%\n", n, -5000000000ll, x, 0xABCu, "words");
}
__global__ void fails_assert(int n) { assert(n == 0); }
__global__ void traps() { __trap(); }
__global__ void nothing() {}
__global__ void __launch_bounds__(128) bounded() {}
__global__ void fill(int* p, int value) { p[threadIdx.x] = value; }

int* device(size_t count = 64) {
  int* p = nullptr;
  cudaMalloc(&p, count * sizeof(int));
  return p;
}

cudaError_t launch_with(cudaLaunchAttribute attribute) {
  cudaLaunchConfig_t config{};
  config.gridDim = 2;
  config.blockDim = 32;
  config.attrs = &attribute;
  config.numAttrs = 1;
  return cudaLaunchKernelEx(&config, nothing);
}

const std::map<std::string, std::function<cudaError_t()>> kFaults = {
    {"local_outside",
     [] {
       local_outside<<<1, 1>>>(device(), 1 << 20);
       return cudaDeviceSynchronize();
     }},
    {"registers",
     [] {
       register_hungry<<<1, 1024>>>();
       return cudaGetLastError();
     }},
    {"warp_race",
     [] {
       warp_race<<<1, 32>>>(device());
       return cudaDeviceSynchronize();
     }},
    {"absent_lane",
     [] {
       absent_lane<<<1, 32>>>(device());
       return cudaDeviceSynchronize();
     }},
    {"order",
     [] {
       int *turns = device(), *order = device();
       cudaMemset(turns, 0, 4);
       order_of_warps<<<1, 256>>>(turns, order);
       int host[8];
       cudaMemcpy(host, order, sizeof host, cudaMemcpyDeviceToHost);
       std::printf("order ");
       for (const int warp : host) std::printf("%d", warp);
       std::printf("\n");
       return cudaDeviceSynchronize();
     }},
    {"unknown_instruction",
     [] {
       unknown_instruction<<<1, 1>>>(device());
       return cudaGetLastError();
     }},
    {"unknown_modifier",
     [] {
       unknown_modifier<<<1, 1>>>(device());
       return cudaGetLastError();
     }},
    {"prints",
     [] {
       prints<<<1, 1>>>(42, 1.5, nullptr);
       return cudaDeviceSynchronize();
     }},
    {"cooperative",
     [] {
       cudaLaunchAttribute attribute{};
       attribute.id = cudaLaunchAttributeCooperative;
       attribute.val.cooperative = 1;
       return launch_with(attribute);
     }},
    {"cluster",
     [] {
       cudaLaunchAttribute attribute{};
       attribute.id = cudaLaunchAttributeClusterDimension;
       attribute.val.clusterDim = {2, 1, 1};
       return launch_with(attribute);
     }},
    {"unwritten_copy",
     [] {
       int x = 0;
       return cudaMemcpy(&x, device(), 4, cudaMemcpyDeviceToHost);
     }},
    {"unwritten_product",
     [] {
       cublasHandle_t handle;
       cublasCreate(&handle);
       const float one = 1.0f, zero = 0.0f;
       auto* p = reinterpret_cast<float*>(device());
       cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, p, 2, p, 2, &zero, p + 8, 2);
       return cudaDeviceSynchronize();
     }},
    {"none",
     [] {
       int* p = device();
       no_race<<<1, 64>>>(p);
       return cudaDeviceSynchronize();
     }},
    {"global_write_behind",
     [] {
       write_at<<<1, 1>>>(device(), 64);
       return cudaDeviceSynchronize();
     }},
    {"global_read_before",
     [] {
       int* p = device();
       read_at<<<1, 1>>>(p, -1, p);
       return cudaDeviceSynchronize();
     }},
    {"null",
     [] {
       write_at<<<1, 1>>>(nullptr, 0);
       return cudaDeviceSynchronize();
     }},
    {"freed",
     [] {
       int* p = device();
       cudaFree(p);
       write_at<<<1, 1>>>(p, 0);
       return cudaDeviceSynchronize();
     }},
    {"host_pointer",
     [] {
       static int x;
       write_at<<<1, 1>>>(&x, 0);
       return cudaDeviceSynchronize();
     }},
    {"misaligned",
     [] {
       misaligned<<<1, 1>>>(reinterpret_cast<char*>(device()));
       return cudaDeviceSynchronize();
     }},
    {"shared_outside",
     [] {
       shared_outside<<<1, 1, 64>>>(device(), 16);
       return cudaDeviceSynchronize();
     }},
    {"unwritten_shared",
     [] {
       unwritten_shared<<<1, 32>>>(device());
       return cudaDeviceSynchronize();
     }},
    {"divergent_barrier",
     [] {
       divergent_barrier<<<1, 32>>>(device());
       return cudaDeviceSynchronize();
     }},
    {"missing_lanes",
     [] {
       missing_lanes<<<1, 32>>>(device());
       return cudaDeviceSynchronize();
     }},
    {"not_a_member",
     [] {
       not_a_member<<<1, 32>>>(device());
       return cudaDeviceSynchronize();
     }},
    {"shared_race",
     [] {
       shared_race<<<1, 64>>>(device());
       return cudaDeviceSynchronize();
     }},
    {"global_race",
     [] {
       global_race<<<2, 32>>>(device());
       return cudaDeviceSynchronize();
     }},
    {"atomic_no_race",
     [] {
       int* p = device();
       cudaMemset(p, 0, 4);
       atomic_no_race<<<2, 32>>>(p);
       return cudaDeviceSynchronize();
     }},
    {"unwritten_global",
     [] {
       int* p = device();
       cudaMemset(p, 0, 128);
       unwritten_global<<<1, 33>>>(p, device());
       return cudaDeviceSynchronize();
     }},
    {"assert",
     [] {
       fails_assert<<<1, 1>>>(1);
       return cudaDeviceSynchronize();
     }},
    {"trap",
     [] {
       traps<<<1, 1>>>();
       return cudaDeviceSynchronize();
     }},
    {"no_threads",
     [] {
       nothing<<<1, 0>>>();
       return cudaGetLastError();
     }},
    {"too_many_threads",
     [] {
       nothing<<<1, 1025>>>();
       return cudaGetLastError();
     }},
    {"no_blocks",
     [] {
       nothing<<<0, 1>>>();
       return cudaGetLastError();
     }},
    {"grid_y",
     [] {
       nothing<<<dim3(1, 65536), 1>>>();
       return cudaGetLastError();
     }},
    {"launch_bounds",
     [] {
       bounded<<<1, 256>>>();
       return cudaGetLastError();
     }},
    {"too_much_shared",
     [] {
       shared_outside<<<1, 1, 49153>>>(device(), 0);
       return cudaGetLastError();
     }},
    {"shared_opt_in",
     [] {
       cudaFuncSetAttribute(shared_outside, cudaFuncAttributeMaxDynamicSharedMemorySize,
                            227 * 1024);
       shared_outside<<<1, 1, 227 * 1024>>>(device(), 227 * 256 - 1);
       return cudaDeviceSynchronize();
     }},
    {"shared_beyond_opt_in",
     [] {
       return cudaFuncSetAttribute(shared_outside, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   227 * 1024 + 1);
     }},
    {"sticky",
     [] {
       write_at<<<1, 1>>>(nullptr, 0);
       cudaDeviceSynchronize();
       cudaGetLastError();
       int* p = nullptr;
       return cudaMalloc(&p, 4);
     }},
    {"not_sticky",
     [] {
       nothing<<<1, 0>>>();
       cudaGetLastError();
       return cudaGetLastError();
     }},
    {"copy_too_long",
     [] {
       static int host[128];
       return cudaMemcpy(device(), host, sizeof host, cudaMemcpyHostToDevice);
     }},
    {"copy_wrong_way",
     [] {
       static int host[4];
       return cudaMemcpy(device(), host, sizeof host, cudaMemcpyDeviceToHost);
     }},
    {"double_free",
     [] {
       int* p = device();
       cudaFree(p);
       return cudaFree(p);
     }},
    {"too_much_memory",
     [] {
       int* p = nullptr;
       return cudaMalloc(&p, size_t{1} << 40);
     }},
    {"read_before_sync",
     [] {
       cudaStream_t s;
       cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking);
       int* p = device();
       fill<<<1, 64, 0, s>>>(p, 7);
       int x = 0;
       cudaMemcpyAsync(&x, p, 4, cudaMemcpyDeviceToHost, s);
       const int early = x;
       cudaStreamSynchronize(s);
       std::printf("early %d late %d\n", early, x);
       return cudaSuccess;
     }},
    {"unordered_streams",
     [] {  // the second stream does not wait for the first
       cudaStream_t s, t;
       cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking);
       cudaStreamCreateWithFlags(&t, cudaStreamNonBlocking);
       int* p = device();
       fill<<<1, 64, 0, s>>>(p, 7);
       int x = 0;
       cudaMemcpyAsync(&x, p, 4, cudaMemcpyDeviceToHost, t);
       cudaStreamSynchronize(t);
       std::printf("unordered %d\n", x);
       return cudaSuccess;
     }},
    {"event_orders",
     [] {
       cudaStream_t s, t;
       cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking);
       cudaStreamCreateWithFlags(&t, cudaStreamNonBlocking);
       cudaEvent_t e;
       cudaEventCreate(&e);
       int* p = device();
       fill<<<1, 64, 0, s>>>(p, 7);
       cudaEventRecord(e, s);
       cudaStreamWaitEvent(t, e, 0);
       int x = 0;
       cudaMemcpyAsync(&x, p, 4, cudaMemcpyDeviceToHost, t);
       cudaStreamSynchronize(t);
       std::printf("ordered %d\n", x);
       return cudaSuccess;
     }},
    {"capture_malloc",
     [] {
       cudaStream_t s;
       cudaStreamCreate(&s);
       cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal);
       int* p = nullptr;
       const cudaError_t first = cudaMalloc(&p, 4);
       cudaGraph_t graph;
       std::printf("malloc: %s\n", cudaGetErrorName(first));
       return cudaStreamEndCapture(s, &graph);
     }},
    {"capture_sync",
     [] {
       cudaStream_t s;
       cudaStreamCreate(&s);
       cudaStreamBeginCapture(s, cudaStreamCaptureModeRelaxed);
       return cudaStreamSynchronize(s);
     }},
    {"capture_legacy",
     [] {
       cudaStream_t s;
       cudaStreamCreate(&s);
       cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal);
       nothing<<<1, 1>>>();
       return cudaGetLastError();
     }},
    {"graph",
     [] {
       cudaStream_t s;
       cudaStreamCreate(&s);
       int* p = device();
       cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal);
       fill<<<1, 64, 0, s>>>(p, 7);
       cudaGraph_t graph;
       cudaStreamEndCapture(s, &graph);
       cudaGraphExec_t executable;
       cudaGraphInstantiate(&executable, graph, 0);
       int before = 0, after = 0;
       cudaMemcpy(&before, p, 4, cudaMemcpyDeviceToHost);
       cudaGraphLaunch(executable, s);
       cudaStreamSynchronize(s);
       cudaMemcpy(&after, p, 4, cudaMemcpyDeviceToHost);
       std::printf("before %d after %d\n", before, after);
       return cudaSuccess;
     }},
    {"graph_update",
     [] {
       cudaStream_t s;
       cudaStreamCreate(&s);
       int* p = device();
       const auto capture = [&](int value, bool twice) {
         cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal);
         fill<<<1, 64, 0, s>>>(p, value);
         if (twice) nothing<<<1, 1, 0, s>>>();
         cudaGraph_t graph;
         cudaStreamEndCapture(s, &graph);
         return graph;
       };
       cudaGraphExec_t executable;
       cudaGraphInstantiate(&executable, capture(7, false), 0);
       cudaGraphExecUpdateResultInfo info;
       const cudaError_t same = cudaGraphExecUpdate(executable, capture(9, false), &info);
       cudaGraphLaunch(executable, s);
       int x = 0;
       cudaMemcpyAsync(&x, p, 4, cudaMemcpyDeviceToHost, s);
       cudaStreamSynchronize(s);
       std::printf("%s %d\n", cudaGetErrorName(same), x);
       return cudaGraphExecUpdate(executable, capture(9, true), &info);
     }},
    {"host_dereference",
     [] {
       std::signal(SIGSEGV, [](int) {
         static constexpr char kText[] = "signal 11\n";
         _exit(write(STDOUT_FILENO, kText, sizeof kText - 1) < 0 ? 2 : 1);
       });
       std::printf("%d\n", *device());
       return cudaSuccess;
     }},
};

}  // namespace

int main(int argc, char** argv) {
  if (argc == 1) {
    for (const auto& [name, fault] : kFaults) std::printf("%s\n", name.c_str());
    return 0;
  }
  std::printf("%s\n", cudaGetErrorName(kFaults.at(argv[1])()));
  return 0;
}
