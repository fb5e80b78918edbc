#include "tests/ptx_executor/context.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

namespace derrd::ptx {

namespace {

struct FatHeader {
  uint32_t magic;
  uint16_t version;
  uint16_t header_size;
  uint64_t size;
};
struct FatEntry {
  uint16_t kind;  // 1: PTX
  uint16_t version;
  uint32_t header_size;
  uint64_t size;
  uint32_t compressed_size;
  uint32_t options;
  uint16_t minor;
  uint16_t major;
  uint32_t architecture;
};
constexpr uint32_t kFatMagic = 0xBA55ED50;
constexpr uint32_t kArchitecture = 90;

double now_milliseconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::milli>(now).count();
}

}  // namespace

Context& Context::instance() {
  static auto* made = new Context;  // outlives the statics of the program
  return *made;
}

Context::Context() {
  DeviceMemory::instance();
  if (const char* path = std::getenv("PTX_EXECUTOR_REGISTERS"); path != nullptr) {
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line)) {
      std::istringstream words(line);
      std::string name;
      int count = 0;
      if (words >> name >> count) registers_[name] = count;
    }
  }
  if (std::getenv("PTX_EXECUTOR_LEAKS") != nullptr) {
    std::atexit([] { instance().report_leaks(); });
  }
}

void Context::report_leaks() {
  for (const auto& [address, allocation] : DeviceMemory::instance().allocations()) {
    if (allocation.live && !allocation.code_owned)
      say("leak: {} of {} bytes was not freed", allocation.name, allocation.size);
  }
  for (size_t i = 0; i < streams_.size(); ++i) say("leak: a stream was not destroyed");
}

// ---------------------------------------------------------------- programs

Binary* Context::add_binary(const void* wrapper) {
  struct Wrapper {
    int magic;
    int version;
    const void* data;
    void* more;
  };
  binaries_.push_back(std::make_unique<Binary>());
  binaries_.back()->data = static_cast<const Wrapper*>(wrapper)->data;
  return binaries_.back().get();
}

void Context::add_function(Binary* binary, const void* host, const char* name) {
  entries_[host] = std::make_unique<Entry>(Entry{binary, name, nullptr, -1});
}

Entry* Context::entry(const void* host) {
  const auto found = entries_.find(host);
  if (found != entries_.end()) return found->second.get();
  for (const auto& [key, made] : entries_) {  // a cudaKernel_t is the entry itself
    if (made.get() == host) return made.get();
  }
  return nullptr;
}

void Context::load(Binary& binary) {
  if (binary.module != nullptr) return;
  const auto* header = static_cast<const FatHeader*>(binary.data);
  if (header->magic != kFatMagic)
    throw Fault(cudaErrorInvalidKernelImage, "a program that is no fat binary");
  const auto* at = static_cast<const char*>(binary.data) + header->header_size;
  const char* end = at + header->size;
  const FatEntry* best = nullptr;
  while (at < end) {
    const auto* entry = reinterpret_cast<const FatEntry*>(at);
    if (entry->kind == 1 && entry->architecture <= kArchitecture &&
        (best == nullptr || entry->architecture > best->architecture))
      best = entry;
    at += entry->header_size + entry->size;
  }
  if (best == nullptr)
    throw Fault(cudaErrorNoKernelImageForDevice,
                "the program holds no PTX: build it for CMAKE_CUDA_ARCHITECTURES=90-virtual");
  if (best->compressed_size != 0)
    throw Fault(cudaErrorNoKernelImageForDevice,
                "the program's PTX is compressed: build it with --compress-mode=none");
  const char* text = reinterpret_cast<const char*>(best) + best->header_size;
  binary.module = std::make_unique<Module>(std::string(text, strnlen(text, best->size)));
  make_variables(binary);
}

void Context::make_variables(Binary& binary) {
  for (const Variable& v : binary.module->variables()) {
    if (v.space == Space::shared || v.external) continue;
    const auto size = static_cast<size_t>(v.size);
    const uint64_t address = DeviceMemory::instance().allocate(std::max<size_t>(size, 1), v.name);
    binary.variables[v.name] = address;
    std::memset(DeviceMemory::bytes(address), 0, size);
    std::memcpy(DeviceMemory::bytes(address), v.bytes.data(), std::min(v.bytes.size(), size));
    if (Options::get().globalcheck) written::mark(address, size);
  }
  for (const Variable& v : binary.module->variables()) {
    for (const auto& [offset, name] : v.references) {
      const auto found = binary.variables.find(name);
      if (found != binary.variables.end())
        std::memcpy(DeviceMemory::bytes(binary.variables[v.name]) + offset, &found->second, 8);
    }
  }
}

const Kernel& Context::kernel(Entry& entry) {
  if (entry.kernel == nullptr) {
    load(*entry.binary);
    const Function* function = entry.binary->module->function(entry.name);
    if (function == nullptr || !function->defined)
      throw Fault(cudaErrorInvalidDeviceFunction, "there is no kernel " + entry.name);
    entry.kernel = decode(*entry.binary->module, *function, entry.binary->variables);
  }
  return *entry.kernel;
}

int Context::registers_of(const Kernel& kernel) {
  const auto found = registers_.find(kernel.name);
  if (found != registers_.end()) return found->second;
  if (kernel.function->max_registers != 0) return kernel.function->max_registers;
  const int threads = std::max(kernel.function->max_threads, kernel.function->required_threads);
  return threads == 0 ? 32 : std::min(64, h200::kRegisters / threads);
}

// ---------------------------------------------------------------- streams

CUstream_st* Context::stream(cudaStream_t handle) {
  if (handle == nullptr || handle == cudaStreamLegacy || handle == cudaStreamPerThread)
    return &legacy_;
  for (const auto& s : streams_) {
    if (s.get() == handle) return s.get();
  }
  return nullptr;
}

cudaStream_t Context::create_stream(bool blocking) {
  streams_.push_back(std::make_unique<CUstream_st>());
  streams_.back()->blocking = blocking;
  return streams_.back().get();
}

void Context::destroy_stream(CUstream_st& s) {
  finish(s);  // the real one lets it run out behind our back
  std::erase_if(streams_, [&](const auto& kept) { return kept.get() == &s; });
}

cudaError_t Context::submit(CUstream_st& s, std::function<void()> work,
                            std::shared_ptr<Marker>* marker, const Kernel* kernel) {
  if (sticky != cudaSuccess) return sticky;
  if (s.capture != nullptr) {
    if (s.capture->invalid) return cudaErrorStreamCaptureInvalidated;
    auto& nodes = s.capture->graph->nodes;
    nodes.push_back({std::move(work), kernel, s.last_nodes});
    s.last_nodes = {nodes.size() - 1};
    return cudaSuccess;
  }
  Operation made{std::move(work), {}, std::make_shared<Marker>(Marker{&s})};
  if (&s == &legacy_) {
    for (const auto& capture : captures_) {
      const auto waits = [](const CUstream_st* other) { return other->blocking; };
      if (capture->mode != cudaStreamCaptureModeRelaxed &&
          std::any_of(capture->streams.begin(), capture->streams.end(), waits)) {
        capture->invalid = true;
        return cudaErrorStreamCaptureImplicit;
      }
    }
    for (const auto& other : streams_) {
      if (other->blocking && !other->pending.empty())
        made.after.push_back(other->pending.back().marker);
    }
  } else if (s.blocking && !legacy_.pending.empty()) {
    made.after.push_back(legacy_.pending.back().marker);
  }
  if (marker != nullptr) *marker = made.marker;
  s.pending.push_back(std::move(made));
  return cudaSuccess;
}

cudaError_t Context::submit_wait(CUstream_st& s, const CUevent_st& event) {
  if (event.capture != nullptr) {  // the stream joins the capture, in whose order of nodes the
                                   // dependency lies already
    if (s.capture != nullptr && s.capture != event.capture) return cudaErrorStreamCaptureMerge;
    if (s.capture == nullptr) {
      if (!s.pending.empty() && &s == &legacy_) return cudaErrorStreamCaptureImplicit;
      s.capture = event.capture;
      s.last_nodes.clear();
      event.capture->streams.push_back(&s);
    }
    s.last_nodes.insert(s.last_nodes.end(), event.last_nodes.begin(), event.last_nodes.end());
    return cudaSuccess;
  }
  if (s.capture != nullptr)
    return event.marker == nullptr || event.marker->done ? cudaSuccess
                                                         : cudaErrorStreamCaptureIsolation;
  if (event.marker == nullptr || event.marker->done) return cudaSuccess;
  const auto waited = event.marker;
  const cudaError_t status = submit(s, [] {});
  if (status == cudaSuccess) s.pending.back().after.push_back(waited);
  return status;
}

void Context::run_front(CUstream_st& s) {
  // What it waits for runs first, and may be in other streams.
  const std::vector<std::shared_ptr<Marker>> after = s.pending.front().after;
  for (const auto& marker : after) finish(marker);
  if (s.pending.empty()) return;
  const Operation operation = std::move(s.pending.front());
  s.pending.pop_front();
  if (sticky == cudaSuccess) {
    try {
      operation.work();
    } catch (const Fault& fault) {
      fail(fault);
    } catch (const PtxError& error) {
      fail(Fault(cudaErrorInvalidPtx, error.what()));
    }
  }
  operation.marker->done = true;
  operation.marker->milliseconds = now_milliseconds();
}

void Context::finish(CUstream_st& s) {
  while (!s.pending.empty()) run_front(s);
}

void Context::finish(const std::shared_ptr<Marker>& marker) {
  while (!marker->done && !marker->stream->pending.empty()) run_front(*marker->stream);
}

void Context::finish_all() {
  finish(legacy_);
  for (const auto& s : streams_) finish(*s);
}

void Context::fail(const Fault& fault) {
  if (sticky != cudaSuccess) return;
  sticky = static_cast<cudaError_t>(fault.code());
  say("{}: {}", cudaGetErrorName(sticky), fault.what());
}

// ---------------------------------------------------------------- captures

cudaError_t Context::begin_capture(CUstream_st& s, cudaStreamCaptureMode mode) {
  if (&s == &legacy_) return cudaErrorStreamCaptureUnsupported;
  if (s.capture != nullptr) return cudaErrorIllegalState;
  auto made = std::make_shared<Capture>(
      Capture{new CUgraph_st, mode, std::this_thread::get_id(), false, &s, {&s}});
  s.capture = made;
  s.last_nodes.clear();
  captures_.push_back(made);
  return cudaSuccess;
}

cudaError_t Context::end_capture(CUstream_st& s, cudaGraph_t* graph) {
  if (graph != nullptr) *graph = nullptr;
  const auto capture = s.capture;
  if (capture == nullptr) return cudaErrorIllegalState;
  if (capture->origin != &s) return cudaErrorStreamCaptureUnmatched;
  if (capture->mode != cudaStreamCaptureModeRelaxed &&
      capture->thread != std::this_thread::get_id())
    return cudaErrorStreamCaptureWrongThread;
  for (CUstream_st* each : capture->streams) each->capture = nullptr;
  std::erase(captures_, capture);
  if (capture->invalid) {
    delete capture->graph;
    return cudaErrorStreamCaptureInvalidated;
  }
  if (graph != nullptr) *graph = capture->graph;
  return cudaSuccess;
}

cudaError_t Context::unsafe_call(const char* name) {
  bool forbidden = false;
  for (const auto& capture : captures_) {
    if (capture->mode == cudaStreamCaptureModeRelaxed) continue;
    if (capture->mode == cudaStreamCaptureModeGlobal ||
        capture->thread == std::this_thread::get_id()) {
      forbidden = true;
      capture->invalid = true;
    }
  }
  if (forbidden) say("{} while a stream is captured", name);
  return forbidden ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}

cudaError_t Context::captured(CUstream_st& s, const char* name) {
  if (s.capture == nullptr) return cudaSuccess;
  s.capture->invalid = true;
  say("{} of a stream that is captured", name);
  return cudaErrorStreamCaptureUnsupported;
}

// ---------------------------------------------------------------- launches

namespace {

/// Members of the profile's line of a launch.
std::string members(const Launch& launch, const Counters& c) {
  const auto extents = [](const Dim& d) { return fmt::format("[{}, {}, {}]", d.x, d.y, d.z); };
  std::string line = fmt::format(
      "\"kernel\": \"{}\", \"grid\": {}, \"block\": {}, \"shared_bytes\": {}", launch.kernel->name,
      extents(launch.grid), extents(launch.block), launch.shared_bytes());
  for (const auto& [name, member] : kCounts) line += fmt::format(", \"{}\": {}", name, c.*member);
  return line;
}

}  // namespace

std::pair<cudaError_t, std::string> Context::refusal(const Entry& entry, const Kernel& kernel,
                                                     const Launch& launch) {
  const Dim& grid = launch.grid;
  const Dim& block = launch.block;
  const Function& function = *kernel.function;
  const uint64_t threads = block.count();
  if (threads == 0 || grid.count() == 0) return {cudaErrorInvalidConfiguration, "an extent is 0"};
  if (threads > 1024 || block.x > 1024 || block.y > 1024 || block.z > 64)
    return {cudaErrorInvalidConfiguration, "a block has at most 1024 threads, 64 deep"};
  if (grid.x > 0x7FFF'FFFF || grid.y > 65535 || grid.z > 65535)
    return {cudaErrorInvalidConfiguration, "a grid extends at most 2^31 - 1, 65535, 65535"};
  if ((function.max_threads != 0 && threads > static_cast<uint64_t>(function.max_threads)) ||
      (function.required_threads != 0 &&
       threads != static_cast<uint64_t>(function.required_threads)))
    return {cudaErrorLaunchOutOfResources, "more threads than its launch bounds name"};
  const int64_t limit = entry.dynamic_shared_limit >= 0
                            ? entry.dynamic_shared_limit
                            : h200::kSharedPerBlock - kernel.static_shared;
  if (int64_t{launch.dynamic_shared} > std::max<int64_t>(0, limit))
    return {cudaErrorInvalidValue,
            "more shared memory than cudaFuncAttributeMaxDynamicSharedMemorySize allows"};
  const uint64_t per_warp = static_cast<uint64_t>(registers_of(kernel) * 32 + 255) / 256 * 256;
  if (registers_.contains(kernel.name) && per_warp * ((threads + 31) / 32) > h200::kRegisters)
    return {cudaErrorLaunchOutOfResources, "more registers than a multiprocessor has"};
  return {cudaSuccess, ""};
}

cudaError_t Context::launch(Entry& entry, Dim grid, Dim block, void** arguments,
                            size_t dynamic_shared, CUstream_st& s) {
  if (sticky != cudaSuccess) return sticky;
  auto made = std::make_shared<Launch>();
  made->grid = grid;
  made->block = block;
  made->dynamic_shared = static_cast<uint32_t>(std::min<size_t>(dynamic_shared, ~uint32_t{0}));
  std::pair<cudaError_t, std::string> refused;
  try {
    made->kernel = &kernel(entry);
    refused = refusal(entry, *made->kernel, *made);
  } catch (const Fault& fault) {
    refused = {static_cast<cudaError_t>(fault.code()), fault.what()};
  } catch (const PtxError& error) {
    refused = {cudaErrorInvalidPtx, error.what()};
  }
  if (refused.first != cudaSuccess) {
    say("{}: launch of {} with grid ({},{},{}), block ({},{},{}), {} bytes of dynamic shared "
        "memory: {}",
        cudaGetErrorName(refused.first), entry.name, grid.x, grid.y, grid.z, block.x, block.y,
        block.z, dynamic_shared, refused.second);
    return refused.first;
  }
  const Function& function = *made->kernel->function;
  made->parameters.resize(static_cast<size_t>(function.parameter_bytes));
  for (size_t p = 0; p < function.parameters.size(); ++p) {
    const Parameter& parameter = function.parameters[p];
    std::memcpy(made->parameters.data() + parameter.offset, arguments[p],
                static_cast<size_t>(parameter.size));
  }
  return submit(
      s, [this, made] { run(*made); }, nullptr, made->kernel);
}

void Context::run(const Launch& launch) {
  if (Options::get().trace)
    say("runs {}, {} blocks of {}", launch.kernel->name, launch.grid.count(), launch.block.count());
  if (++launches_ == Options::get().fail)
    throw Fault(cudaErrorIllegalAddress,
                fmt::format("kernel {}, {}, fails because PTX_EXECUTOR_FAIL says so", launches_,
                            launch.kernel->name));
  Counters counters;
  execute(launch, counters);
  if (Options::get().profile) profile(members(launch, counters));
}

cudaError_t Context::replay(CUgraphExec_st& graph, CUstream_st& s) {
  if (graph.replays++ >= Options::get().replays)
    return submit(s, [this] { profile("\"skipped\": \"replay\""); });
  ++replays_;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const CUgraph_st::Node& node = graph.nodes[n];
    const std::string members = fmt::format(", \"replay\": {}, \"node\": {}, \"after\": [{}]",
                                            replays_, n, fmt::join(node.after, ", "));
    const auto work = [this, run = node.work, members] {
      node_ = members;
      run();
      node_.clear();
    };
    if (const cudaError_t status = submit(s, work, nullptr, node.kernel); status != cudaSuccess)
      return status;
  }
  return cudaSuccess;
}

void Context::profile(const std::string& members) {
  if (!Options::get().profile) return;
  if (!profile_.is_open()) {
    std::string path = Options::get().profile_path;
    if (const size_t at = path.find("%p"); at != std::string::npos)
      path.replace(at, 2, fmt::to_string(getpid()));
    profile_.open(path);
  }
  profile_ << '{' << members << node_ << '}' << std::endl;
}

// ---------------------------------------------------------------- bytes

bool on_device(const void* pointer, size_t bytes) {
  return DeviceMemory::is_device(pointer) &&
         DeviceMemory::instance().find(address_of(pointer), bytes) != nullptr;
}

void copy_bytes(void* to, const void* from, size_t bytes) {
  const auto side = [](const void* pointer) {
    return DeviceMemory::is_device(pointer)
               ? DeviceMemory::bytes(address_of(pointer))
               : const_cast<std::byte*>(static_cast<const std::byte*>(pointer));
  };
  for (const void* pointer : {static_cast<const void*>(to), from}) {
    if (DeviceMemory::is_device(pointer) && !on_device(pointer, bytes)) {
      throw Fault(cudaErrorIllegalAddress,
                  fmt::format("a copy of {} bytes at {}", bytes,
                              DeviceMemory::instance().describe(address_of(pointer))));
    }
  }
  std::memmove(side(to), side(from), bytes);
  Context::instance().profile("\"copy\": " + std::to_string(bytes));
  if (!Options::get().globalcheck) return;
  const auto target = address_of(to);
  const auto source = address_of(from);
  if (DeviceMemory::is_device(to)) {
    if (DeviceMemory::is_device(from))
      written::copy(target, source, bytes);
    else
      written::mark(target, bytes);
  } else if (DeviceMemory::is_device(from)) {
    const uint64_t first = written::first_unwritten(source, bytes);
    if (first != source + bytes) {
      say("uninitialised: a copy to the host of {} bytes reads {}, which nobody has written", bytes,
          DeviceMemory::instance().describe(first));
    }
  }
}

}  // namespace derrd::ptx
