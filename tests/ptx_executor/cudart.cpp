// The functions of the CUDA runtime that programs, CUB, Thrust and cooperative groups call.

#include <cuda_runtime_api.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>

#include "tests/ptx_executor/context.h"

namespace ptxe {

namespace {

thread_local cudaError_t last_error = cudaSuccess;

struct CallConfiguration {
  dim3 grid;
  dim3 block;
  size_t shared = 0;
  cudaStream_t stream = nullptr;
};
thread_local std::vector<CallConfiguration> call_configurations;

Context& context() { return Context::instance(); }

class Lock {
 public:
  Lock() : lock_(context().mutex) {}

 private:
  std::lock_guard<std::recursive_mutex> lock_;
};

bool no_device() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return visible != nullptr && (*visible == '\0' || *visible == '-');
}

Dim dim(dim3 d) { return {d.x, d.y, d.z}; }

std::map<const void*, size_t>& pinned() {
  static std::map<const void*, size_t> map;
  return map;
}

/// What a copy moves where; nullopt if the pointers are not what the kind says.
std::optional<cudaMemcpyKind> copy_kind(const void* to, const void* from, size_t bytes,
                                        cudaMemcpyKind kind) {
  const bool to_device = DeviceMemory::is_device(to);
  const bool from_device = DeviceMemory::is_device(from);
  if ((to_device && !on_device(to, bytes)) || (from_device && !on_device(from, bytes)))
    return std::nullopt;
  const cudaMemcpyKind actual =
      to_device ? (from_device ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice)
                : (from_device ? cudaMemcpyDeviceToHost : cudaMemcpyHostToHost);
  if (kind != cudaMemcpyDefault && kind != actual) return std::nullopt;
  return actual;
}

cudaError_t refuse_copy(const char* name, const void* to, const void* from, size_t bytes) {
  auto& memory = DeviceMemory::instance();
  context().say(std::string("cudaErrorInvalidValue: ") + name + " of " + std::to_string(bytes) +
                " bytes from " + memory.describe(reinterpret_cast<uint64_t>(from)) + " to " +
                memory.describe(reinterpret_cast<uint64_t>(to)));
  return note(cudaErrorInvalidValue);
}

cudaError_t copy_async(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                       CUstream_st* s) {
  if (bytes == 0) return cudaSuccess;
  const auto actual = copy_kind(to, from, bytes, kind);
  if (!actual) return refuse_copy("cudaMemcpyAsync", to, from, bytes);
  if (s->capture != nullptr || *actual == cudaMemcpyDeviceToDevice) {
    return note(context().submit(s, [=] { copy_bytes(to, from, bytes); }));
  }
  if (*actual == cudaMemcpyHostToDevice) {
    // Pageable bytes are staged now; pinned ones are read when the copy's turn comes, as late as
    // that may be.
    const auto after = pinned().upper_bound(from);
    const bool is_pinned =
        after != pinned().begin() &&
        static_cast<const char*>(from) <
            static_cast<const char*>(std::prev(after)->first) + std::prev(after)->second;
    if (is_pinned) return note(context().submit(s, [=] { copy_bytes(to, from, bytes); }));
    auto staged = std::make_shared<std::vector<char>>(static_cast<const char*>(from),
                                                      static_cast<const char*>(from) + bytes);
    return note(context().submit(s, [=] { copy_bytes(to, staged->data(), bytes); }));
  }
  // Until it is done nobody may read what it writes.
  if (context().sticky == cudaSuccess) std::memset(to, 0xFF, bytes);
  return note(context().submit(s, [=] { copy_bytes(to, from, bytes); }));
}

cudaError_t set_async(void* to, int value, size_t bytes, CUstream_st* s) {
  if (bytes == 0) return cudaSuccess;
  if (!on_device(to, bytes)) return refuse_copy("cudaMemset", to, to, bytes);
  return note(context().submit(s, [=] {
    if (!on_device(to, bytes))
      throw Fault(cudaErrorIllegalAddress, "a memset at " + DeviceMemory::instance().describe(
                                                                reinterpret_cast<uint64_t>(to)));
    std::memset(DeviceMemory::bytes(reinterpret_cast<uint64_t>(to)), value, bytes);
    context().profile("\"set\": " + std::to_string(bytes));
    if (Options::get().globalcheck) written::mark(reinterpret_cast<uint64_t>(to), bytes);
  }));
}

/// Calls so far that wait for a stream or the device, and that allocate.
int64_t waits = 0, allocations = 0;

/// Says a call that waits, or may, for those who count them.
void trace(const char* name) {
  if (Options::get().trace) context().say(name);
}
void count(int64_t& calls, const char* name) {
  ++calls;
  trace(name);
}

cudaError_t wait_for(CUstream_st* s) {
  context().finish(s);
  return note(context().sticky);
}

cudaError_t launch_entry(const void* function, dim3 grid, dim3 block, void** arguments,
                         size_t shared, cudaStream_t stream) {
  const Lock lock;
  if (no_device()) return note(cudaErrorNoDevice);
  Entry* entry = context().entry(function);
  if (entry == nullptr) return note(cudaErrorInvalidDeviceFunction);
  CUstream_st* s = context().stream(stream);
  if (s == nullptr) return note(cudaErrorInvalidResourceHandle);
  return note(context().launch(*entry, dim(grid), dim(block), arguments, shared, s));
}

int attribute_value(cudaDeviceAttr attribute) {
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      return 1024;
    case cudaDevAttrMaxBlockDimX:
    case cudaDevAttrMaxBlockDimY:
      return 1024;
    case cudaDevAttrMaxBlockDimZ:
      return 64;
    case cudaDevAttrMaxGridDimX:
      return 0x7FFF'FFFF;
    case cudaDevAttrMaxGridDimY:
    case cudaDevAttrMaxGridDimZ:
      return 65535;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      return 48 * 1024;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      return 227 * 1024;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      return 228 * 1024;
    case cudaDevAttrReservedSharedMemoryPerBlock:
      return 1024;
    case cudaDevAttrTotalConstantMemory:
      return 65536;
    case cudaDevAttrWarpSize:
      return 32;
    case cudaDevAttrMaxPitch:
      return 0x7FFF'FFFF;
    case cudaDevAttrMaxRegistersPerBlock:
    case cudaDevAttrMaxRegistersPerMultiprocessor:
      return 65536;
    case cudaDevAttrClockRate:
      return 1'980'000;
    case cudaDevAttrMemoryClockRate:
      return 3'201'000;
    case cudaDevAttrGlobalMemoryBusWidth:
      return 6144;
    case cudaDevAttrL2CacheSize:
      return 60 << 20;
    case cudaDevAttrMultiProcessorCount:
      return 132;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      return 2048;
    case cudaDevAttrMaxBlocksPerMultiprocessor:
      return 32;
    case cudaDevAttrComputeCapabilityMajor:
      return 9;
    case cudaDevAttrComputeCapabilityMinor:
      return 0;
    case cudaDevAttrConcurrentKernels:
    case cudaDevAttrUnifiedAddressing:
    case cudaDevAttrCooperativeLaunch:
    case cudaDevAttrStreamPrioritiesSupported:
    case cudaDevAttrGlobalL1CacheSupported:
    case cudaDevAttrLocalL1CacheSupported:
    case cudaDevAttrComputePreemptionSupported:
    case cudaDevAttrMemoryPoolsSupported:
    case cudaDevAttrCanMapHostMemory:
    case cudaDevAttrGpuOverlap:
      return 1;
    case cudaDevAttrAsyncEngineCount:
      return 3;
    case cudaDevAttrTextureAlignment:
      return 512;
    default:
      return 0;
  }
}

}  // namespace

cudaError_t note(cudaError_t error) {
  if (error != cudaSuccess && error != cudaErrorNotReady) last_error = error;
  return error;
}

}  // namespace ptxe

using namespace ptxe;

extern "C" {

// ---------------------------------------------------------------- what nvcc's host code calls

void** __cudaRegisterFatBinary(void* wrapper) {
  const Lock lock;
  return reinterpret_cast<void**>(context().add_binary(wrapper));
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void** handle) {
  const Lock lock;
  context().remove_binary(reinterpret_cast<Binary*>(handle));
}
char __cudaInitModule(void**) { return 1; }
void __cudaRegisterFunction(void** handle, const char* host, char*, const char* name, int, uint3*,
                            uint3*, dim3*, dim3*, int*) {
  const Lock lock;
  context().add_function(reinterpret_cast<Binary*>(handle), host, name);
}
void __cudaRegisterVar(void** handle, char* host, char*, const char* name, int, size_t size, int,
                       int) {
  const Lock lock;
  context().add_variable(reinterpret_cast<Binary*>(handle), host, name, size);
}
void __cudaRegisterManagedVar(void**, void**, char*, const char* name, int, size_t, int, int) {
  context().say(std::string("managed variables are not executed: ") + name);
}
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, CUstream_st* stream) {
  call_configurations.push_back({grid, block, shared, stream});
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared, void* stream) {
  if (call_configurations.empty()) return note(cudaErrorMissingConfiguration);
  const CallConfiguration c = call_configurations.back();
  call_configurations.pop_back();
  *grid = c.grid;
  *block = c.block;
  *shared = c.shared;
  *static_cast<cudaStream_t*>(stream) = c.stream;
  return cudaSuccess;
}
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* function) {
  const Lock lock;
  Entry* entry = context().entry(function);
  if (entry == nullptr) return note(cudaErrorInvalidDeviceFunction);
  *kernel = reinterpret_cast<cudaKernel_t>(entry);
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments,
                               size_t shared, cudaStream_t stream) {
  return launch_entry(kernel, grid, block, arguments, shared, stream);
}
cudaError_t __cudaLaunchKernel_ptsz(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments,
                                    size_t shared, cudaStream_t stream) {
  return launch_entry(kernel, grid, block, arguments, shared, stream);
}

// ---------------------------------------------------------------- launches

cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** arguments,
                             size_t shared, cudaStream_t stream) {
  return launch_entry(function, grid, block, arguments, shared, stream);
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function,
                                void** arguments) {
  for (unsigned a = 0; a < config->numAttrs; ++a) {
    const cudaLaunchAttribute& attribute = config->attrs[a];
    if (attribute.id == cudaLaunchAttributeClusterDimension &&
        attribute.val.clusterDim.x * attribute.val.clusterDim.y * attribute.val.clusterDim.z > 1) {
      context().say("clusters of several blocks are not executed");
      return note(cudaErrorNotSupported);
    }
    if (attribute.id == cudaLaunchAttributeCooperative && attribute.val.cooperative != 0) {
      context().say("cooperative launches are not executed");
      return note(cudaErrorNotSupported);
    }
  }
  return launch_entry(function, config->gridDim, config->blockDim, arguments,
                      config->dynamicSmemBytes, config->stream);
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  const Lock lock;
  CUstream_st* s = context().stream(stream);
  if (s == nullptr) return note(cudaErrorInvalidResourceHandle);
  return note(context().submit(s, [=] { function(data); }));
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  const Lock lock;
  if (no_device()) return note(cudaErrorNoDevice);
  Entry* entry = context().entry(function);
  if (entry == nullptr) return note(cudaErrorInvalidDeviceFunction);
  try {
    const Kernel& kernel = context().kernel(*entry);
    *attributes = {};
    attributes->sharedSizeBytes = static_cast<size_t>(kernel.static_shared);
    attributes->localSizeBytes = static_cast<size_t>(kernel.local_bytes);
    attributes->numRegs = context().registers_of(*entry, kernel);
    const int bound = kernel.function->max_threads;
    attributes->maxThreadsPerBlock =
        bound != 0
            ? std::min(bound, 1024)
            : std::min(1024, 65536 / std::max(1, (attributes->numRegs + 7) / 8 * 8) / 32 * 32);
    attributes->ptxVersion = kernel.module->target();
    attributes->binaryVersion = 90;
    attributes->maxDynamicSharedSizeBytes =
        entry->dynamic_shared_limit >= 0 ? entry->dynamic_shared_limit
                                         : static_cast<int>(48 * 1024 - kernel.static_shared);
    attributes->preferredShmemCarveout = -1;
  } catch (const std::exception& error) {
    context().say(error.what());
    return note(cudaErrorInvalidDeviceFunction);
  }
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  const Lock lock;
  Entry* entry = context().entry(function);
  if (entry == nullptr) return note(cudaErrorInvalidDeviceFunction);
  if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize) {
    try {
      if (value < 0 || value + context().kernel(*entry).static_shared > 227 * 1024)
        return note(cudaErrorInvalidValue);
    } catch (const std::exception& error) {
      context().say(error.what());
      return note(cudaErrorInvalidDeviceFunction);
    }
    entry->dynamic_shared_limit = value;
  }
  return cudaSuccess;
}
cudaError_t cudaFuncSetCacheConfig(const void*, cudaFuncCache) { return cudaSuccess; }
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks,
                                                                   const void* function,
                                                                   int threads, size_t dynamic,
                                                                   unsigned) {
  const Lock lock;
  cudaFuncAttributes attributes;
  const cudaError_t status = cudaFuncGetAttributes(&attributes, function);
  if (status != cudaSuccess) return status;
  if (threads <= 0 || threads > 1024) return note(cudaErrorInvalidValue);
  const int warps = (threads + 31) / 32;
  const int registers = std::max(256, (attributes.numRegs * 32 + 255) / 256 * 256);
  const auto shared =
      static_cast<int>((attributes.sharedSizeBytes + dynamic + 1024 + 127) / 128 * 128);
  *blocks = std::min({32, 64 / warps, 65536 / registers / warps, 228 * 1024 / shared});
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* function,
                                                          int threads, size_t dynamic) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, function, threads, dynamic,
                                                                0);
}
cudaError_t cudaOccupancyAvailableDynamicSMemPerBlock(size_t* bytes, const void* function,
                                                      int blocks, int) {
  const Lock lock;
  cudaFuncAttributes attributes;
  const cudaError_t status = cudaFuncGetAttributes(&attributes, function);
  if (status != cudaSuccess) return status;
  if (blocks <= 0) return note(cudaErrorInvalidValue);
  const int64_t room =
      228 * 1024 / blocks - 1024 - static_cast<int64_t>(attributes.sharedSizeBytes);
  *bytes = static_cast<size_t>(std::clamp<int64_t>(room, 0, 227 * 1024));
  return cudaSuccess;
}

// ---------------------------------------------------------------- devices

cudaError_t cudaGetDeviceCount(int* count) {
  *count = no_device() ? 0 : 1;
  return note(no_device() ? cudaErrorNoDevice : cudaSuccess);
}
cudaError_t cudaGetDevice(int* device) {
  if (no_device()) return note(cudaErrorNoDevice);
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  return note(no_device() ? cudaErrorNoDevice : device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}
cudaError_t cudaInitDevice(int device, unsigned, unsigned) { return cudaSetDevice(device); }
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (no_device()) return note(cudaErrorNoDevice);
  if (device != 0) return note(cudaErrorInvalidDevice);
  *value = attribute_value(attribute);
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
  if (no_device()) return note(cudaErrorNoDevice);
  if (device != 0) return note(cudaErrorInvalidDevice);
  *p = {};
  std::strcpy(p->name, "PTX executor posing as an H200");
  p->totalGlobalMem = DeviceMemory::instance().capacity();
  p->sharedMemPerBlock = 48 * 1024;
  p->regsPerBlock = p->regsPerMultiprocessor = 65536;
  p->warpSize = 32;
  p->memPitch = 0x7FFF'FFFF;
  p->maxThreadsPerBlock = 1024;
  p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
  p->maxThreadsDim[2] = 64;
  p->maxGridSize[0] = 0x7FFF'FFFF;
  p->maxGridSize[1] = p->maxGridSize[2] = 65535;
  p->totalConstMem = 65536;
  p->major = 9;
  p->minor = 0;
  p->textureAlignment = 512;
  p->multiProcessorCount = 132;
  p->canMapHostMemory = p->concurrentKernels = p->ECCEnabled = p->unifiedAddressing = 1;
  p->asyncEngineCount = 3;
  p->memoryBusWidth = 6144;
  p->l2CacheSize = 60 << 20;
  p->maxThreadsPerMultiProcessor = 2048;
  p->streamPrioritiesSupported = p->globalL1CacheSupported = p->localL1CacheSupported = 1;
  p->sharedMemPerMultiprocessor = 228 * 1024;
  p->computePreemptionSupported = p->cooperativeLaunch = p->memoryPoolsSupported = 1;
  p->sharedMemPerBlockOptin = 227 * 1024;
  p->maxBlocksPerMultiProcessor = 32;
  p->reservedSharedMemPerBlock = 1024;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = no_device() ? 0 : CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  const Lock lock;
  count(waits, "cudaDeviceSynchronize");
  if (no_device()) return note(cudaErrorNoDevice);
  if (const cudaError_t status = context().unsafe_call("cudaDeviceSynchronize");
      status != cudaSuccess)
    return note(status);
  context().finish_all();
  return note(context().sticky);
}
cudaError_t cudaDeviceReset() { return cudaDeviceSynchronize(); }
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  if (least != nullptr) *least = 0;
  if (greatest != nullptr) *greatest = -5;
  return cudaSuccess;
}
cudaError_t cudaDeviceSetLimit(cudaLimit, size_t) { return cudaSuccess; }
cudaError_t cudaDeviceGetLimit(size_t* value, cudaLimit) {
  *value = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDeviceFlags(unsigned) { return cudaSuccess; }
cudaError_t cudaProfilerStart() { return cudaSuccess; }
cudaError_t cudaProfilerStop() { return cudaSuccess; }

// ---------------------------------------------------------------- errors

cudaError_t cudaGetLastError() {
  const Lock lock;
  const cudaError_t error =
      context().sticky != cudaSuccess && last_error != cudaSuccess ? context().sticky : last_error;
  last_error = context().sticky != cudaSuccess ? context().sticky : cudaSuccess;
  return error;
}
cudaError_t cudaPeekAtLastError() { return last_error; }

// ---------------------------------------------------------------- memory

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  const Lock lock;
  count(allocations, "cudaMalloc");
  if (no_device()) return note(cudaErrorNoDevice);
  if (pointer == nullptr) return note(cudaErrorInvalidValue);
  *pointer = nullptr;
  if (context().sticky != cudaSuccess) return note(context().sticky);
  if (const cudaError_t status = context().unsafe_call("cudaMalloc"); status != cudaSuccess)
    return note(status);
  if (bytes == 0) return cudaSuccess;
  const uint64_t address = DeviceMemory::instance().allocate(bytes);
  if (address == 0) return note(cudaErrorMemoryAllocation);
  *pointer = reinterpret_cast<void*>(address);
  return cudaSuccess;
}
cudaError_t cudaFree(void* pointer) {
  const Lock lock;
  trace("cudaFree");
  if (pointer == nullptr) return cudaSuccess;
  if (const cudaError_t status = context().unsafe_call("cudaFree"); status != cudaSuccess)
    return note(status);
  context().finish_all();  // a free waits for the device
  if (!DeviceMemory::instance().release(reinterpret_cast<uint64_t>(pointer))) {
    context().say("cudaErrorInvalidValue: cudaFree of " +
                  DeviceMemory::instance().describe(reinterpret_cast<uint64_t>(pointer)));
    return note(cudaErrorInvalidValue);
  }
  return note(context().sticky);
}
cudaError_t cudaMallocAsync(void** pointer, size_t bytes, cudaStream_t) {
  const Lock lock;
  count(allocations, "cudaMallocAsync");
  if (no_device()) return note(cudaErrorNoDevice);
  if (context().any_capture()) {
    context().say("cudaMallocAsync in a capture is not executed");
    return note(cudaErrorNotSupported);
  }
  *pointer =
      bytes == 0 ? nullptr : reinterpret_cast<void*>(DeviceMemory::instance().allocate(bytes));
  return note(bytes != 0 && *pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess);
}
cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
  const Lock lock;
  CUstream_st* s = context().stream(stream);
  if (s == nullptr) return note(cudaErrorInvalidResourceHandle);
  if (pointer == nullptr) return cudaSuccess;
  return note(context().submit(s, [=] {
    if (!DeviceMemory::instance().release(reinterpret_cast<uint64_t>(pointer)))
      throw Fault(cudaErrorInvalidValue, "cudaFreeAsync of what is not allocated");
  }));
}
cudaError_t cudaMallocHost(void** pointer, size_t bytes) {
  const Lock lock;
  *pointer = std::malloc(std::max<size_t>(bytes, 1));
  pinned()[*pointer] = bytes;
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned) {
  return cudaMallocHost(pointer, bytes);
}
cudaError_t cudaFreeHost(void* pointer) {
  const Lock lock;
  context().finish_all();
  if (pinned().erase(pointer) == 0) return note(cudaErrorInvalidValue);
  std::free(pointer);
  return cudaSuccess;
}
cudaError_t cudaHostRegister(void* pointer, size_t bytes, unsigned) {
  const Lock lock;
  pinned()[pointer] = bytes;
  return cudaSuccess;
}
cudaError_t cudaHostUnregister(void* pointer) {
  const Lock lock;
  return note(pinned().erase(pointer) == 0 ? cudaErrorHostMemoryNotRegistered : cudaSuccess);
}
cudaError_t cudaMallocManaged(void**, size_t, unsigned) {
  context().say("managed memory is not executed");
  return note(cudaErrorNotSupported);
}
cudaError_t cudaMemGetInfo(size_t* available, size_t* total) {
  const Lock lock;
  if (no_device()) return note(cudaErrorNoDevice);
  const auto& memory = DeviceMemory::instance();
  *total = memory.capacity();
  *available = memory.capacity() - std::min(memory.capacity(), memory.live_bytes());
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const Lock lock;
  CUstream_st* s = context().stream(stream);
  if (s == nullptr) return note(cudaErrorInvalidResourceHandle);
  return copy_async(to, from, bytes, kind, s);
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  const Lock lock;
  count(waits, "cudaMemcpy");
  if (const cudaError_t status = context().unsafe_call("cudaMemcpy"); status != cudaSuccess)
    return note(status);
  CUstream_st* s = context().stream(nullptr);
  const cudaError_t status = copy_async(to, from, bytes, kind, s);
  return status != cudaSuccess ? status : wait_for(s);
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  const Lock lock;
  CUstream_st* s = context().stream(stream);
  if (s == nullptr) return note(cudaErrorInvalidResourceHandle);
  return set_async(to, value, bytes, s);
}
cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  const Lock lock;
  if (const cudaError_t status = context().unsafe_call("cudaMemset"); status != cudaSuccess)
    return note(status);
  return set_async(to, value, bytes, context().stream(nullptr));
}
cudaError_t cudaGetSymbolAddress(void** pointer, const void* symbol) {
  const Lock lock;
  const DeviceVariable* variable = context().variable(symbol);
  if (variable == nullptr) return note(cudaErrorInvalidSymbol);
  *pointer = reinterpret_cast<void*>(context().variable_address(*variable));
  return cudaSuccess;
}
cudaError_t cudaGetSymbolSize(size_t* size, const void* symbol) {
  const Lock lock;
  const DeviceVariable* variable = context().variable(symbol);
  if (variable == nullptr) return note(cudaErrorInvalidSymbol);
  *size = variable->size;
  return cudaSuccess;
}
cudaError_t cudaMemcpyToSymbolAsync(const void* symbol, const void* from, size_t bytes,
                                    size_t offset, cudaMemcpyKind kind, cudaStream_t stream) {
  void* address = nullptr;
  if (const cudaError_t status = cudaGetSymbolAddress(&address, symbol); status != cudaSuccess)
    return status;
  return cudaMemcpyAsync(static_cast<char*>(address) + offset, from, bytes, kind, stream);
}
cudaError_t cudaMemcpyToSymbol(const void* symbol, const void* from, size_t bytes, size_t offset,
                               cudaMemcpyKind kind) {
  void* address = nullptr;
  if (const cudaError_t status = cudaGetSymbolAddress(&address, symbol); status != cudaSuccess)
    return status;
  return cudaMemcpy(static_cast<char*>(address) + offset, from, bytes, kind);
}
cudaError_t cudaMemcpyFromSymbolAsync(void* to, const void* symbol, size_t bytes, size_t offset,
                                      cudaMemcpyKind kind, cudaStream_t stream) {
  void* address = nullptr;
  if (const cudaError_t status = cudaGetSymbolAddress(&address, symbol); status != cudaSuccess)
    return status;
  return cudaMemcpyAsync(to, static_cast<char*>(address) + offset, bytes, kind, stream);
}
cudaError_t cudaMemcpyFromSymbol(void* to, const void* symbol, size_t bytes, size_t offset,
                                 cudaMemcpyKind kind) {
  void* address = nullptr;
  if (const cudaError_t status = cudaGetSymbolAddress(&address, symbol); status != cudaSuccess)
    return status;
  return cudaMemcpy(to, static_cast<char*>(address) + offset, bytes, kind);
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  const Lock lock;
  *attributes = {};
  if (on_device(pointer, 1)) {
    attributes->type = cudaMemoryTypeDevice;
    attributes->devicePointer = const_cast<void*>(pointer);
  } else {
    attributes->type = cudaMemoryTypeUnregistered;
    attributes->hostPointer = const_cast<void*>(pointer);
  }
  return cudaSuccess;
}

// ---------------------------------------------------------------- streams

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int priority) {
  const Lock lock;
  if (no_device()) return note(cudaErrorNoDevice);
  if (context().sticky != cudaSuccess) return note(context().sticky);
  *stream = context().create_stream((flags & cudaStreamNonBlocking) == 0, priority);
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return cudaStreamCreateWithPriority(stream, flags, 0);
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithPriority(stream, 0, 0);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const Lock lock;
  CUstream_st* s = stream == nullptr ? nullptr : context().stream(stream);
  if (s == nullptr || s == context().stream(nullptr)) return note(cudaErrorInvalidResourceHandle);
  context().destroy_stream(s);
  return note(context().sticky);
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const Lock lock;
  count(waits, "cudaStreamSynchronize");
  CUstream_st* s = context().stream(stream);
  if (s == nullptr) return note(cudaErrorInvalidResourceHandle);
  if (const cudaError_t status = context().captured(s, "cudaStreamSynchronize");
      status != cudaSuccess)
    return note(status);
  if (const cudaError_t status = context().unsafe_call("cudaStreamSynchronize");
      status != cudaSuccess)
    return note(status);
  const cudaError_t status = wait_for(s);
  context().profile("\"wait\": \"cudaStreamSynchronize\"");
  return status;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const Lock lock;
  CUstream_st* s = context().stream(stream);
  if (s == nullptr) return note(cudaErrorInvalidResourceHandle);
  if (const cudaError_t status = context().captured(s, "cudaStreamQuery"); status != cudaSuccess)
    return note(status);
  return wait_for(s);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const Lock lock;
  CUstream_st* s = context().stream(stream);
  if (s == nullptr || event == nullptr) return note(cudaErrorInvalidResourceHandle);
  return note(context().submit_wait(s, *event));
}
cudaError_t cudaStreamGetFlags(cudaStream_t stream, unsigned* flags) {
  const Lock lock;
  const CUstream_st* s = context().stream(stream);
  if (s == nullptr) return note(cudaErrorInvalidResourceHandle);
  *flags = s->blocking ? cudaStreamDefault : cudaStreamNonBlocking;
  return cudaSuccess;
}
cudaError_t cudaStreamGetPriority(cudaStream_t stream, int* priority) {
  const Lock lock;
  const CUstream_st* s = context().stream(stream);
  if (s == nullptr) return note(cudaErrorInvalidResourceHandle);
  *priority = s->priority;
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const Lock lock;
  const CUstream_st* s = context().stream(stream);
  if (s == nullptr) return note(cudaErrorInvalidResourceHandle);
  *status = s->capture == nullptr ? cudaStreamCaptureStatusNone
            : s->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                  : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  const Lock lock;
  CUstream_st* s = context().stream(stream);
  if (s == nullptr) return note(cudaErrorInvalidResourceHandle);
  if (context().sticky != cudaSuccess) return note(context().sticky);
  return note(context().begin_capture(s, mode));
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const Lock lock;
  CUstream_st* s = context().stream(stream);
  if (s == nullptr) return note(cudaErrorInvalidResourceHandle);
  return note(context().end_capture(s, graph));
}
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  *mode = cudaStreamCaptureModeGlobal;
  return cudaSuccess;
}

// ---------------------------------------------------------------- events

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  const Lock lock;
  if (no_device()) return note(cudaErrorNoDevice);
  *event = new CUevent_st{flags, nullptr, nullptr, {}};
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (event == nullptr) return note(cudaErrorInvalidResourceHandle);
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const Lock lock;
  CUstream_st* s = context().stream(stream);
  if (s == nullptr || event == nullptr) return note(cudaErrorInvalidResourceHandle);
  event->capture = s->capture;
  event->last_nodes = s->last_nodes;
  if (s->capture != nullptr)
    return note(s->capture->invalid ? cudaErrorStreamCaptureInvalidated : cudaSuccess);
  return note(context().submit(
      s, [] {}, &event->marker));
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned) {
  return cudaEventRecord(event, stream);
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const Lock lock;
  trace("cudaEventSynchronize");
  if (event == nullptr) return note(cudaErrorInvalidResourceHandle);
  if (event->capture != nullptr) return note(cudaErrorCapturedEvent);
  if (const cudaError_t status = context().unsafe_call("cudaEventSynchronize");
      status != cudaSuccess)
    return note(status);
  if (event->marker != nullptr) context().finish(event->marker);
  return note(context().sticky);
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const Lock lock;
  if (event == nullptr) return note(cudaErrorInvalidResourceHandle);
  if (event->capture != nullptr) return note(cudaErrorCapturedEvent);
  if (const cudaError_t status = context().unsafe_call("cudaEventQuery"); status != cudaSuccess)
    return note(status);
  if (event->marker != nullptr && !event->marker->done) {
    context().finish(event->marker);  // the next query finds it done
    return cudaErrorNotReady;
  }
  return note(context().sticky);
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  const Lock lock;
  if (start == nullptr || end == nullptr || start->marker == nullptr || end->marker == nullptr ||
      ((start->flags | end->flags) & cudaEventDisableTiming) != 0) {
    return note(cudaErrorInvalidResourceHandle);
  }
  if (!start->marker->done || !end->marker->done) return cudaErrorNotReady;
  *milliseconds = static_cast<float>(end->marker->milliseconds - start->marker->milliseconds);
  return note(context().sticky);
}

// ---------------------------------------------------------------- graphs

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  const Lock lock;
  if (graph == nullptr) return note(cudaErrorInvalidValue);
  *executable = new CUgraphExec_st{graph->nodes, 0};
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable, cudaGraph_t graph,
                                          unsigned long long flags) {
  return cudaGraphInstantiate(executable, graph, flags);
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  const Lock lock;
  trace("cudaGraphLaunch");
  CUstream_st* s = context().stream(stream);
  if (s == nullptr || executable == nullptr) return note(cudaErrorInvalidResourceHandle);
  return note(context().replay(*executable, s));
}
cudaError_t cudaGraphExecUpdate(cudaGraphExec_t executable, cudaGraph_t graph,
                                cudaGraphExecUpdateResultInfo* result) {
  const Lock lock;
  if (executable == nullptr || graph == nullptr || result == nullptr)
    return note(cudaErrorInvalidValue);
  *result = {};
  const bool same =
      std::equal(executable->nodes.begin(), executable->nodes.end(), graph->nodes.begin(),
                 graph->nodes.end(), [](const CUgraph_st::Node& a, const CUgraph_st::Node& b) {
                   return a.kernel == b.kernel && a.work.target_type() == b.work.target_type();
                 });
  if (!same) {
    result->result = cudaGraphExecUpdateErrorTopologyChanged;
    return note(cudaErrorGraphExecUpdateFailure);
  }
  executable->nodes = graph->nodes;
  return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  if (graph == nullptr || count == nullptr) return note(cudaErrorInvalidValue);
  if (nodes != nullptr) return note(cudaErrorNotSupported);
  *count = graph->nodes.size();
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  if (graph == nullptr) return note(cudaErrorInvalidValue);
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  if (executable == nullptr) return note(cudaErrorInvalidValue);
  delete executable;
  return cudaSuccess;
}

/// For the cuBLAS that belongs to this runtime: work of the host on device memory, in a stream's
/// order.
__attribute__((visibility("default"))) cudaError_t ptxExecutorSubmit(cudaStream_t stream,
                                                                     std::function<void()>* work) {
  const Lock lock;
  CUstream_st* s = context().stream(stream);
  if (s == nullptr) return cudaErrorInvalidResourceHandle;
  return context().submit(s, std::move(*work));
}
/// The bytes behind a device range, or null if it is not all in one live allocation. Access: 0
/// none, 1 read, 2 written.
__attribute__((visibility("default"))) void* ptxExecutorBytes(const void* pointer, size_t bytes,
                                                              int access) {
  if (Options::get().globalcheck && access != 0 && on_device(pointer, bytes)) {
    const auto address = reinterpret_cast<uint64_t>(pointer);
    if (access == 2) {
      written::mark(address, bytes);
    } else if (const uint64_t first = written::first_unwritten(address, bytes);
               first != address + bytes) {
      context().say("uninitialised: cuBLAS reads " + DeviceMemory::instance().describe(first) +
                    ", which nobody has written");
    }
  }
  return on_device(pointer, bytes) ? DeviceMemory::bytes(reinterpret_cast<uint64_t>(pointer))
                                   : nullptr;
}
/// A line of the profile: a product.
__attribute__((visibility("default"))) void ptxExecutorProfile(const char* members) {
  context().profile(members);
}
/// For hidden_calls.cpp.
__attribute__((visibility("default"))) void ptxExecutorCalls(int64_t* waited, int64_t* allocated) {
  const Lock lock;
  *waited = waits;
  *allocated = allocations;
}
__attribute__((visibility("default"))) void ptxExecutorFault(const char* what) {
  throw Fault(cudaErrorIllegalAddress, what);
}

}  // extern "C"
