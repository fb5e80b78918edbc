#include "kernels/platform/device.h"

#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <cub/version.cuh>

#include <atomic>
#include <string>
#include <utility>

#include "kernels/platform/cuda/check.h"
#include "kernels/platform/cuda/execution.h"
#include "kernels/platform/host_memory.h"
#include "kernels/platform/memory_count.h"

namespace derrd {

namespace {

std::atomic<int64_t> allocations{0};
std::atomic<int64_t> synchronizations{0};
std::atomic<int64_t> launches{0};
MemoryCount memory;

/// The first call that touches the device, so that a machine without one gets a sentence instead of
/// an error code.
void require_device() {
  int devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status != cudaSuccess || devices == 0) {
    throw DeviceError(std::string("no CUDA device can be used (") + cudaGetErrorString(status) +
                      "); run this build on a machine with an NVIDIA GPU and driver, or use the "
                      "cpu build");
  }
}

std::string cublas_version() {
  std::string text;
  for (const libraryPropertyType part : {MAJOR_VERSION, MINOR_VERSION, PATCH_LEVEL}) {
    int number = 0;
    cuda::check(cublasGetProperty(part, &number), "cublasGetProperty");
    text += (text.empty() ? "" : ".") + std::to_string(number);
  }
  return text;
}

/// Size of the workspace that cuBLAS gets: what NVIDIA asks for on Hopper.
constexpr int64_t kWorkspaceBytes = int64_t{32} << 20;

cudaStream_t handle(const Stream& stream) { return static_cast<cudaStream_t>(stream.native()); }

}  // namespace

namespace cuda {

void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess) {
    cudaGetLastError();  // or the next launch would be blamed
    throw DeviceError(std::string(what) + ": " + cudaGetErrorString(status));
  }
}

void check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw DeviceError(std::string(what) + ": " + cublasGetStatusString(status));
  }
}

int64_t max_blocks() {
  static const int64_t blocks = [] {
    int device = 0;
    int processors = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device),
          "cudaDeviceGetAttribute");
    constexpr int64_t kBlocksPerProcessor = 32;
    return processors * kBlocksPerProcessor;
  }();
  return blocks;
}

void count_launch() { ++launches; }

}  // namespace cuda

Stream::Stream() : Stream(Nothing()) {
  require_device();
  cudaStream_t stream = nullptr;
  cuda::check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  native_ = stream;
  cublasHandle_t blas = nullptr;
  cuda::check(cublasCreate(&blas), "cublasCreate");
  blas_ = blas;
  cuda::check(cublasSetStream(blas, stream), "cublasSetStream");
  // Ours, so that cuBLAS never allocates within a step.
  blas_workspace_ = device_allocate(kWorkspaceBytes);
  cuda::check(cublasSetWorkspace(blas, blas_workspace_, kWorkspaceBytes), "cublasSetWorkspace");
  cuda::check(cublasSetMathMode(blas, CUBLAS_PEDANTIC_MATH), "cublasSetMathMode");
}

Stream::~Stream() {
  if (blas_ != nullptr) {
    ++synchronizations;  // cuBLAS waits for the device
    cublasDestroy(static_cast<cublasHandle_t>(blas_));
  }
  device_free(blas_workspace_, kWorkspaceBytes);
  if (native_ != nullptr) cudaStreamDestroy(static_cast<cudaStream_t>(native_));
}

Stream::Stream(Stream&& other) noexcept
    : native_(std::exchange(other.native_, nullptr)),
      blas_(std::exchange(other.blas_, nullptr)),
      blas_workspace_(std::exchange(other.blas_workspace_, nullptr)) {}

Stream& Stream::operator=(Stream&& other) noexcept {
  std::swap(native_, other.native_);
  std::swap(blas_, other.blas_);
  std::swap(blas_workspace_, other.blas_workspace_);
  return *this;
}

void Stream::synchronize() const {
  ++synchronizations;
  cuda::check(cudaStreamSynchronize(handle(*this)), "cudaStreamSynchronize");
}

TimeMark::TimeMark() {
  require_device();
  cudaEvent_t event = nullptr;
  cuda::check(cudaEventCreate(&event), "cudaEventCreate");
  native_ = event;
}
TimeMark::~TimeMark() { cudaEventDestroy(static_cast<cudaEvent_t>(native_)); }
void TimeMark::set(const Stream& stream) {
  cuda::check(cudaEventRecord(static_cast<cudaEvent_t>(native_), handle(stream)),
              "cudaEventRecord");
}
double TimeMark::seconds_since(const TimeMark& earlier) const {
  const auto end = static_cast<cudaEvent_t>(native_);
  cuda::check(cudaEventSynchronize(end), "cudaEventSynchronize");
  float milliseconds = 0;
  cuda::check(cudaEventElapsedTime(&milliseconds, static_cast<cudaEvent_t>(earlier.native_), end),
              "cudaEventElapsedTime");
  return milliseconds * 1e-3;
}

int64_t stream_bytes() { return kWorkspaceBytes; }

bool checks_reads() { return false; }

Counters counters() {
  return {allocations, synchronizations, launches, memory.now(), memory.peak()};
}
void restart_peak_device_bytes() { memory.restart_peak(); }

AvailableMemory available_memory() {
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  require_device();
  cuda::check(cudaMemGetInfo(&free_bytes, &total_bytes), "cudaMemGetInfo");
  return {available_host_memory(), static_cast<int64_t>(free_bytes), /*shared=*/false};
}

DeviceInfo device_info() {
  require_device();
  int device = 0;
  cuda::check(cudaGetDevice(&device), "cudaGetDevice");
  cudaDeviceProp properties{};
  cuda::check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  int runtime = 0;
  int driver = 0;
  cuda::check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  cuda::check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  const auto version = [](int number) {
    return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
  };
  const std::string name = std::string(properties.name) + " (sm_" +
                           std::to_string(properties.major) + std::to_string(properties.minor) +
                           ")";
  return {"cuda",
          name,
          "CUDA " + version(runtime) + ", driver " + version(driver) + ", CUB " +
              std::to_string(CUB_MAJOR_VERSION) + "." + std::to_string(CUB_MINOR_VERSION),
          "cuda, " + name + ", driver " + version(driver) + ", nvcc " +
              std::to_string(__CUDACC_VER_MAJOR__) + "." + std::to_string(__CUDACC_VER_MINOR__) +
              ", cuBLAS " + cublas_version(),
          static_cast<int64_t>(properties.totalGlobalMem),
          properties.l2CacheSize,
          1};
}

void set_threads(int) {}

void* device_allocate(int64_t bytes) {
  if (bytes == 0) return nullptr;
  require_device();
  ++allocations;
  void* pointer = nullptr;
  const cudaError_t status = cudaMalloc(&pointer, static_cast<size_t>(bytes));
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw out_of_memory(bytes, memory.now(), available_memory().device);
  }
  cuda::check(status, "cudaMalloc");
  memory.add(bytes);
  return pointer;
}

void device_free(void* pointer, int64_t bytes) noexcept {
  if (pointer == nullptr) return;
  memory.add(-bytes);
  cudaFree(pointer);  // waits, as promised
}

void copy_to_device(void* device, const void* host, int64_t bytes, const Stream& stream) {
  if (bytes == 0) return;
  cuda::check(cudaMemcpyAsync(device, host, static_cast<size_t>(bytes), cudaMemcpyHostToDevice,
                              handle(stream)),
              "copy to device");
  stream.synchronize();
}

void copy_to_host(void* host, const void* device, int64_t bytes, const Stream& stream) {
  if (bytes == 0) return;
  cuda::check(cudaMemcpyAsync(host, device, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost,
                              handle(stream)),
              "copy to host");
  stream.synchronize();
}

void copy_on_device(void* to, const void* from, int64_t bytes, const Stream& stream) {
  if (bytes == 0) return;
  cuda::check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice,
                              handle(stream)),
              "copy on device");
}

void fill_zero(void* device, int64_t bytes, const Stream& stream) {
  if (bytes == 0) return;
  cuda::check(cudaMemsetAsync(device, 0, static_cast<size_t>(bytes), handle(stream)), "fill_zero");
}

}  // namespace derrd
