// The functions of the CUDA runtime that the project, CUB and cooperative groups call. A program
// that calls another one ends with the loader's message, which names it.

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>

#include "tests/ptx_executor/context.h"

namespace derrd::ptx {

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

/// Calls f() and keeps its error. Without a device that is the error.
template <class F>
cudaError_t with_device(F f) {
  const Lock lock;
  return note(no_device() ? cudaErrorNoDevice : f());
}

/// Calls so far that wait for a stream or the device, and that allocate.
int64_t waits = 0, allocations = 0;

/// A call that waits, or may: listed for those who count such calls, refused while a capture
/// forbids it.
/// @param calls counts it, refused or not
template <class F>
cudaError_t waiting_call(const char* name, F f, int64_t* calls = nullptr) {
  return with_device([&] {
    if (calls != nullptr) ++*calls;
    if (Options::get().trace) say(std::string(name));
    const cudaError_t forbidden = context().unsafe_call(name);
    return forbidden != cudaSuccess ? forbidden : f();
  });
}

/// Calls f(stream) and keeps its error; refuses an unknown stream.
template <class F>
cudaError_t with_stream(cudaStream_t handle, F f) {
  return with_device([&] {
    CUstream_st* s = context().stream(handle);
    return s == nullptr ? cudaErrorInvalidResourceHandle : f(*s);
  });
}

/// Calls f(entry, kernel) and keeps its error; refuses what is no kernel.
template <class F>
cudaError_t with_kernel(const void* function, F f) {
  return with_device([&] {
    Entry* entry = context().entry(function);
    if (entry == nullptr) return cudaErrorInvalidDeviceFunction;
    try {
      return f(*entry, context().kernel(*entry));
    } catch (const std::exception& error) {
      say(std::string(error.what()));
      return cudaErrorInvalidDeviceFunction;
    }
  });
}

// ---------------------------------------------------------------- copies

std::map<const void*, size_t>& pinned() {
  static std::map<const void*, size_t> map;
  return map;
}
bool is_pinned(const void* pointer) {
  const auto after = pinned().upper_bound(pointer);
  if (after == pinned().begin()) return false;
  const auto& [begin, size] = *std::prev(after);
  return static_cast<const char*>(pointer) < static_cast<const char*>(begin) + size;
}

/// The actual kind of a copy; nullopt if the pointers are not what `kind` says.
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
  say("cudaErrorInvalidValue: {} of {} bytes from {} to {}", name, bytes,
      memory.describe(address_of(from)), memory.describe(address_of(to)));
  return cudaErrorInvalidValue;
}

cudaError_t copy_async(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                       CUstream_st& s) {
  if (bytes == 0) return cudaSuccess;
  const auto actual = copy_kind(to, from, bytes, kind);
  if (!actual) return refuse_copy("cudaMemcpyAsync", to, from, bytes);
  const bool captured = s.capture != nullptr;
  if (!captured && *actual == cudaMemcpyHostToDevice && !is_pinned(from)) {
    // Pageable bytes are staged now; pinned ones are read when the copy's turn comes, as late as
    // that may be.
    const auto* begin = static_cast<const char*>(from);
    auto staged = std::make_shared<std::vector<char>>(begin, begin + bytes);
    return context().submit(s, [=] { copy_bytes(to, staged->data(), bytes); });
  }
  // Until it is done nobody may read what it writes.
  if (!captured && !DeviceMemory::is_device(to) && context().sticky == cudaSuccess)
    std::memset(to, 0xFF, bytes);
  return context().submit(s, [=] { copy_bytes(to, from, bytes); });
}

cudaError_t set_async(void* to, int value, size_t bytes, CUstream_st& s) {
  if (bytes == 0) return cudaSuccess;
  if (!on_device(to, bytes)) return refuse_copy("cudaMemset", to, to, bytes);
  return context().submit(s, [=] {
    const uint64_t address = address_of(to);
    if (!on_device(to, bytes))
      throw Fault(cudaErrorIllegalAddress,
                  "a memset at " + DeviceMemory::instance().describe(address));
    std::memset(DeviceMemory::bytes(address), value, bytes);
    context().profile(fmt::format("\"set\": {}", bytes));
    if (Options::get().globalcheck) written::mark(address, bytes);
  });
}

cudaError_t wait_for(CUstream_st& s) {
  context().finish(s);
  return context().sticky;
}

cudaError_t launch_entry(const void* function, dim3 grid, dim3 block, void** arguments,
                         size_t shared, cudaStream_t stream) {
  return with_stream(stream, [&](CUstream_st& s) {
    Entry* entry = context().entry(function);
    if (entry == nullptr) return cudaErrorInvalidDeviceFunction;
    return context().launch(*entry, {grid.x, grid.y, grid.z}, {block.x, block.y, block.z},
                            arguments, shared, s);
  });
}

constexpr std::pair<cudaDeviceAttr, int> kAttributes[] = {
    {cudaDevAttrMaxThreadsPerBlock, h200::kThreadsPerBlock},
    {cudaDevAttrMaxBlockDimX, h200::kThreadsPerBlock},
    {cudaDevAttrMaxBlockDimY, h200::kThreadsPerBlock},
    {cudaDevAttrMaxBlockDimZ, 64},
    {cudaDevAttrMaxGridDimX, 0x7FFF'FFFF},
    {cudaDevAttrMaxGridDimY, 65535},
    {cudaDevAttrMaxGridDimZ, 65535},
    {cudaDevAttrMaxSharedMemoryPerBlock, h200::kSharedPerBlock},
    {cudaDevAttrMaxSharedMemoryPerBlockOptin, h200::kSharedOptIn},
    {cudaDevAttrMaxSharedMemoryPerMultiprocessor, h200::kSharedPerProcessor},
    {cudaDevAttrReservedSharedMemoryPerBlock, h200::kSharedReserved},
    {cudaDevAttrWarpSize, 32},
    {cudaDevAttrMaxRegistersPerBlock, h200::kRegisters},
    {cudaDevAttrMaxRegistersPerMultiprocessor, h200::kRegisters},
    {cudaDevAttrL2CacheSize, h200::kCache},
    {cudaDevAttrMultiProcessorCount, h200::kProcessors},
    {cudaDevAttrMaxThreadsPerMultiProcessor, h200::kThreadsPerProcessor},
    {cudaDevAttrMaxBlocksPerMultiprocessor, h200::kBlocksPerProcessor},
    {cudaDevAttrComputeCapabilityMajor, 9},
    {cudaDevAttrComputeCapabilityMinor, 0},
};

}  // namespace

cudaError_t note(cudaError_t error) {
  if (error != cudaSuccess && error != cudaErrorNotReady) last_error = error;
  return error;
}

}  // namespace derrd::ptx

using namespace derrd::ptx;

extern "C" {

// ---------------------------------------------------------------- what nvcc's host code calls

void** __cudaRegisterFatBinary(void* wrapper) {
  const Lock lock;
  return reinterpret_cast<void**>(context().add_binary(wrapper));
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}  // statics that go later may still ask for its kernels
char __cudaInitModule(void**) { return 1; }
void __cudaRegisterFunction(void** handle, const char* host, char*, const char* name, int, uint3*,
                            uint3*, dim3*, dim3*, int*) {
  const Lock lock;
  context().add_function(reinterpret_cast<Binary*>(handle), host, name);
}
/// The host's side of a variable; kernels find the device's by its name.
void __cudaRegisterVar(void**, char*, char*, const char*, int, size_t, int, int) {}
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

// ---------------------------------------------------------------- launches

cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** arguments,
                             size_t shared, cudaStream_t stream) {
  return launch_entry(function, grid, block, arguments, shared, stream);
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function,
                                void** arguments) {
  for (unsigned a = 0; a < config->numAttrs; ++a) {
    const auto& [id, padding, value] = config->attrs[a];
    const auto& cluster = value.clusterDim;
    const char* what = nullptr;
    if (id == cudaLaunchAttributeClusterDimension && cluster.x * cluster.y * cluster.z > 1)
      what = "clusters of several blocks";
    if (id == cudaLaunchAttributeCooperative && value.cooperative != 0)
      what = "cooperative launches";
    if (what != nullptr) {
      say("{} are not executed", what);
      return note(cudaErrorNotSupported);
    }
  }
  return launch_entry(function, config->gridDim, config->blockDim, arguments,
                      config->dynamicSmemBytes, config->stream);
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  return with_kernel(function, [&](const Entry& entry, const Kernel& kernel) {
    *attributes = {};
    attributes->sharedSizeBytes = static_cast<size_t>(kernel.static_shared);
    attributes->localSizeBytes = static_cast<size_t>(kernel.local_bytes);
    attributes->numRegs = context().registers_of(kernel);
    const int bound = kernel.function->max_threads;
    const int rounded = std::max(1, (attributes->numRegs + 7) / 8 * 8);
    attributes->maxThreadsPerBlock =
        std::min(h200::kThreadsPerBlock, bound != 0 ? bound : h200::kRegisters / rounded / 32 * 32);
    attributes->ptxVersion = kernel.module->target();
    attributes->binaryVersion = 90;
    attributes->maxDynamicSharedSizeBytes =
        entry.dynamic_shared_limit >= 0
            ? entry.dynamic_shared_limit
            : static_cast<int>(h200::kSharedPerBlock - kernel.static_shared);
    attributes->preferredShmemCarveout = -1;
    return cudaSuccess;
  });
}
cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  return with_kernel(function, [&](Entry& entry, const Kernel& kernel) {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    if (value < 0 || value + kernel.static_shared > h200::kSharedOptIn)
      return cudaErrorInvalidValue;
    entry.dynamic_shared_limit = value;
    return cudaSuccess;
  });
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks,
                                                                   const void* function,
                                                                   int threads, size_t dynamic,
                                                                   unsigned) {
  return with_kernel(function, [&](const Entry&, const Kernel& kernel) {
    if (threads <= 0 || threads > h200::kThreadsPerBlock) return cudaErrorInvalidValue;
    const int warps = (threads + 31) / 32;
    const int registers = std::max(256, (context().registers_of(kernel) * 32 + 255) / 256 * 256);
    const auto shared = static_cast<int>(
        (kernel.static_shared + static_cast<int64_t>(dynamic) + h200::kSharedReserved + 127) / 128 *
        128);
    *blocks = std::min({h200::kBlocksPerProcessor, h200::kThreadsPerProcessor / 32 / warps,
                        h200::kRegisters / registers / warps, h200::kSharedPerProcessor / shared});
    return cudaSuccess;
  });
}

// ---------------------------------------------------------------- devices

cudaError_t cudaGetDeviceCount(int* count) {
  *count = no_device() ? 0 : 1;
  return note(no_device() ? cudaErrorNoDevice : cudaSuccess);
}
cudaError_t cudaGetDevice(int* device) {
  return with_device([&] {
    *device = 0;
    return cudaSuccess;
  });
}
cudaError_t cudaSetDevice(int device) {
  return with_device([&] { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; });
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  return with_device([&] {
    if (device != 0) return cudaErrorInvalidDevice;
    for (const auto& [known, number] : kAttributes) {
      if (known != attribute) continue;
      *value = number;
      return cudaSuccess;
    }
    say("the executor does not know the device attribute {}", static_cast<int>(attribute));
    return cudaErrorNotSupported;
  });
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
  return with_device([&] {
    if (device != 0) return cudaErrorInvalidDevice;
    *p = {};
    std::strcpy(p->name, "PTX executor posing as an H200");
    p->major = 9;
    p->warpSize = 32;
    p->totalGlobalMem = DeviceMemory::instance().capacity();
    p->l2CacheSize = h200::kCache;
    p->multiProcessorCount = h200::kProcessors;
    p->maxThreadsPerBlock = h200::kThreadsPerBlock;
    p->maxThreadsPerMultiProcessor = h200::kThreadsPerProcessor;
    p->regsPerBlock = p->regsPerMultiprocessor = h200::kRegisters;
    p->sharedMemPerBlock = h200::kSharedPerBlock;
    p->sharedMemPerBlockOptin = h200::kSharedOptIn;
    p->sharedMemPerMultiprocessor = h200::kSharedPerProcessor;
    return cudaSuccess;
  });
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
  const auto finish = [] {
    context().finish_all();
    return context().sticky;
  };
  return waiting_call("cudaDeviceSynchronize", finish, &waits);
}

// ---------------------------------------------------------------- errors

cudaError_t cudaGetLastError() {
  const Lock lock;
  const cudaError_t sticky = context().sticky;
  const cudaError_t error =
      sticky != cudaSuccess && last_error != cudaSuccess ? sticky : last_error;
  last_error = sticky;
  return error;
}
cudaError_t cudaPeekAtLastError() { return last_error; }

// ---------------------------------------------------------------- memory

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  if (pointer == nullptr) return note(cudaErrorInvalidValue);
  *pointer = nullptr;
  const auto allocate = [&] {
    if (context().sticky != cudaSuccess) return context().sticky;
    if (bytes == 0) return cudaSuccess;
    *pointer = reinterpret_cast<void*>(DeviceMemory::instance().allocate(bytes));
    return *pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
  };
  return waiting_call("cudaMalloc", allocate, &allocations);
}
cudaError_t cudaFree(void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  return waiting_call("cudaFree", [&] {
    context().finish_all();  // a free waits for the device
    auto& memory = DeviceMemory::instance();
    if (memory.release(address_of(pointer))) return context().sticky;
    say("cudaErrorInvalidValue: cudaFree of {}", memory.describe(address_of(pointer)));
    return cudaErrorInvalidValue;
  });
}
cudaError_t cudaMallocHost(void** pointer, size_t bytes) {
  const Lock lock;
  *pointer = std::malloc(std::max<size_t>(bytes, 1));
  pinned()[*pointer] = bytes;
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* pointer) {
  const Lock lock;
  context().finish_all();
  if (pinned().erase(pointer) == 0) return note(cudaErrorInvalidValue);
  std::free(pointer);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* available, size_t* total) {
  return with_device([&] {
    const auto& memory = DeviceMemory::instance();
    *total = memory.capacity();
    *available = memory.capacity() - std::min(memory.capacity(), memory.live_bytes());
    return cudaSuccess;
  });
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return with_stream(stream, [&](CUstream_st& s) { return copy_async(to, from, bytes, kind, s); });
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  const auto copy = [&] {
    CUstream_st& s = *context().stream(nullptr);
    const cudaError_t status = copy_async(to, from, bytes, kind, s);
    return status != cudaSuccess ? status : wait_for(s);
  };
  return waiting_call("cudaMemcpy", copy, &waits);
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  return with_stream(stream, [&](CUstream_st& s) { return set_async(to, value, bytes, s); });
}
cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  return waiting_call("cudaMemset",
                      [&] { return set_async(to, value, bytes, *context().stream(nullptr)); });
}

// ---------------------------------------------------------------- streams

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return with_device([&] {
    if (context().sticky != cudaSuccess) return context().sticky;
    *stream = context().create_stream((flags & cudaStreamNonBlocking) == 0);
    return cudaSuccess;
  });
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, 0); }
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return with_stream(stream, [&](CUstream_st& s) {
    if (&s == context().stream(nullptr)) return cudaErrorInvalidResourceHandle;
    context().destroy_stream(s);
    return context().sticky;
  });
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return with_stream(stream, [&](CUstream_st& s) {
    ++waits;
    if (const cudaError_t status = context().captured(s, "cudaStreamSynchronize");
        status != cudaSuccess)
      return status;
    return waiting_call("cudaStreamSynchronize", [&] {
      const cudaError_t status = wait_for(s);
      context().profile("\"wait\": \"cudaStreamSynchronize\"");
      return status;
    });
  });
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  return with_stream(stream, [&](CUstream_st& s) {
    return event == nullptr ? cudaErrorInvalidResourceHandle : context().submit_wait(s, *event);
  });
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  return with_stream(stream, [&](CUstream_st& s) {
    *status = s.capture == nullptr ? cudaStreamCaptureStatusNone
              : s.capture->invalid ? cudaStreamCaptureStatusInvalidated
                                   : cudaStreamCaptureStatusActive;
    return cudaSuccess;
  });
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  return with_stream(stream, [&](CUstream_st& s) {
    if (context().sticky != cudaSuccess) return context().sticky;
    return context().begin_capture(s, mode);
  });
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return with_stream(stream, [&](CUstream_st& s) { return context().end_capture(s, graph); });
}

// ---------------------------------------------------------------- events

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return with_device([&] {
    *event = new CUevent_st{flags, nullptr, nullptr, {}};
    return cudaSuccess;
  });
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (event == nullptr) return note(cudaErrorInvalidResourceHandle);
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return with_stream(stream, [&](CUstream_st& s) {
    if (event == nullptr) return cudaErrorInvalidResourceHandle;
    event->capture = s.capture;
    event->last_nodes = s.last_nodes;
    if (s.capture != nullptr)
      return s.capture->invalid ? cudaErrorStreamCaptureInvalidated : cudaSuccess;
    return context().submit(
        s, [] {}, &event->marker);
  });
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event == nullptr) return note(cudaErrorInvalidResourceHandle);
  if (event->capture != nullptr) return note(cudaErrorCapturedEvent);
  return waiting_call("cudaEventSynchronize", [&] {
    if (event->marker != nullptr) context().finish(event->marker);
    return context().sticky;
  });
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  const Lock lock;
  if (start == nullptr || end == nullptr || start->marker == nullptr || end->marker == nullptr ||
      ((start->flags | end->flags) & cudaEventDisableTiming) != 0)
    return note(cudaErrorInvalidResourceHandle);
  if (!start->marker->done || !end->marker->done) return cudaErrorNotReady;
  *milliseconds = static_cast<float>(end->marker->milliseconds - start->marker->milliseconds);
  return note(context().sticky);
}

// ---------------------------------------------------------------- graphs

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  if (graph == nullptr) return note(cudaErrorInvalidValue);
  *executable = new CUgraphExec_st{graph->nodes, 0};
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return with_stream(stream, [&](CUstream_st& s) {
    if (Options::get().trace) say("cudaGraphLaunch");
    return executable == nullptr ? cudaErrorInvalidResourceHandle
                                 : context().replay(*executable, s);
  });
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

// ---------------------------------------------------------------- what the executor's cuBLAS calls

#define DERRD_PTX_EXPORT __attribute__((visibility("default")))

/// Queues work of the host on device memory, in a stream's order.
DERRD_PTX_EXPORT cudaError_t ptxExecutorSubmit(cudaStream_t stream, std::function<void()>* work) {
  return with_stream(stream, [&](CUstream_st& s) { return context().submit(s, std::move(*work)); });
}
/// The bytes behind a device range, or null if it is not all in one live allocation.
/// @param access 0 none, 1 read, 2 written
DERRD_PTX_EXPORT void* ptxExecutorBytes(const void* pointer, size_t bytes, int access) {
  if (!on_device(pointer, bytes)) return nullptr;
  const uint64_t address = address_of(pointer);
  if (Options::get().globalcheck && access == 2) written::mark(address, bytes);
  if (Options::get().globalcheck && access == 1) {
    const uint64_t first = written::first_unwritten(address, bytes);
    if (first != address + bytes)
      say("uninitialised: cuBLAS reads {}, which nobody has written",
          DeviceMemory::instance().describe(first));
  }
  return DeviceMemory::bytes(address);
}
/// Writes a line of the profile.
DERRD_PTX_EXPORT void ptxExecutorProfile(const char* members) { context().profile(members); }
/// Tells hidden_calls.cpp how many calls have waited and allocated.
DERRD_PTX_EXPORT void ptxExecutorCalls(int64_t* waited, int64_t* allocated) {
  const Lock lock;
  *waited = waits;
  *allocated = allocations;
}
/// @throws Fault
DERRD_PTX_EXPORT void ptxExecutorFault(const char* what) {
  throw Fault(cudaErrorIllegalAddress, what);
}

}  // extern "C"
