#include "tests/ptx_executor/context.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include <unistd.h>

namespace ptxe {

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

uint64_t symbol_address(Module& module, const std::string& name);

Context& context() { return Context::instance(); }

std::unordered_map<const Module*, Binary*>& owners() {
  static std::unordered_map<const Module*, Binary*> map;
  return map;
}

uint64_t symbol_address(Module& module, const std::string& name) {
  const Binary* binary = owners().at(&module);
  const auto found = binary->variables.find(name);
  return found == binary->variables.end() ? 0 : found->second;
}

double now_milliseconds() {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string name_of(cudaError_t error) { return cudaGetErrorName(error); }

}  // namespace

Context& Context::instance() {
  static auto* made = new Context;  // outlives the statics of the program
  return *made;
}

Context::Context() {
  DeviceMemory::instance();
  legacy_.blocking = true;
  std::atexit([] {
    if (std::getenv("PTX_EXECUTOR_LEAKS") != nullptr) {
      for (const auto& [address, allocation] : DeviceMemory::instance().allocations()) {
        if (allocation.live && !allocation.code_owned) {
          context().say("leak: " + allocation.name + " of " + std::to_string(allocation.size) +
                        " bytes was not freed");
        }
      }
      for (size_t i = 0; i < context().streams_.size(); ++i) {
        context().say("leak: a stream was not destroyed");
      }
    }
  });
}

void Context::say(const std::string& text) {
  static FILE* out = [] {
    const char* path = std::getenv("PTX_EXECUTOR_LOG");
    FILE* file = path != nullptr && *path != '\0' ? std::fopen(path, "a") : nullptr;
    return file != nullptr ? file : stderr;
  }();
  std::fprintf(out, "ptx-executor: %s\n", text.c_str());
  std::fflush(out);
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

void Context::remove_binary(Binary*) {}  // kernels may still be asked for by statics that go later

void Context::add_function(Binary* binary, const void* host, const char* name) {
  auto made = std::make_unique<Entry>();
  made->binary = binary;
  made->name = name;
  entries_[host] = std::move(made);
}

void Context::add_variable(Binary* binary, const void* host, const char* name, size_t size) {
  variables_[host] = std::make_unique<DeviceVariable>(DeviceVariable{binary, name, size});
}

Entry* Context::entry(const void* host) {
  const auto found = entries_.find(host);
  if (found != entries_.end()) return found->second.get();
  for (const auto& [key, made] : entries_) {  // a cudaKernel_t is the entry itself
    if (made.get() == host) return made.get();
  }
  return nullptr;
}

DeviceVariable* Context::variable(const void* host) {
  const auto found = variables_.find(host);
  return found == variables_.end() ? nullptr : found->second.get();
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
  owners()[binary.module.get()] = &binary;
  auto& memory = DeviceMemory::instance();
  for (const Variable& v : binary.module->variables()) {
    if (v.space == Space::shared || v.external) continue;
    const uint64_t address =
        memory.allocate(static_cast<uint64_t>(std::max<int64_t>(v.size, 1)), v.name);
    binary.variables[v.name] = address;
    std::memset(DeviceMemory::bytes(address), 0, static_cast<size_t>(v.size));
    std::memcpy(DeviceMemory::bytes(address), v.bytes.data(),
                std::min(v.bytes.size(), static_cast<size_t>(v.size)));
    if (Options::get().globalcheck) written::mark(address, static_cast<uint64_t>(v.size));
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
    entry.kernel = decode(*entry.binary->module, *function, symbol_address);
  }
  return *entry.kernel;
}

uint64_t Context::variable_address(const DeviceVariable& variable) {
  load(*variable.binary);
  return symbol_address(*variable.binary->module, variable.name);
}

int Context::registers_of(const Entry& entry, const Kernel& kernel) {
  if (!registers_read_) {
    registers_read_ = true;
    if (const char* path = std::getenv("PTX_EXECUTOR_REGISTERS")) {
      std::ifstream file(path);
      std::string line;
      while (std::getline(file, line)) {
        std::istringstream words(line);
        std::string name;
        int count = 0;
        if (words >> name >> count) registers_[name] = count;
      }
    }
  }
  const auto found = registers_.find(entry.name);
  if (found != registers_.end()) return found->second;
  if (kernel.function->max_registers != 0) return kernel.function->max_registers;
  const int threads = std::max(kernel.function->max_threads, kernel.function->required_threads);
  return threads == 0 ? 32 : std::min(64, 65536 / threads);  // unknown: a guess that always fits
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

cudaStream_t Context::create_stream(bool blocking, int priority) {
  streams_.push_back(std::make_unique<CUstream_st>());
  streams_.back()->blocking = blocking;
  streams_.back()->priority = priority;
  return streams_.back().get();
}

void Context::destroy_stream(CUstream_st* s) {
  finish(s);  // the real one lets it run out behind our back
  std::erase_if(streams_, [&](const auto& kept) { return kept.get() == s; });
}

cudaError_t Context::submit(CUstream_st* s, std::function<void()> work,
                            std::shared_ptr<Marker>* marker, const Kernel* kernel) {
  if (sticky != cudaSuccess) return sticky;
  if (s->capture != nullptr) {
    if (s->capture->invalid) return cudaErrorStreamCaptureInvalidated;
    auto& nodes = s->capture->graph->nodes;
    nodes.push_back({std::move(work), kernel, s->last_nodes});
    s->last_nodes = {nodes.size() - 1};
    return cudaSuccess;
  }
  Operation made;
  made.work = std::move(work);
  made.marker = std::make_shared<Marker>();
  made.marker->stream = s;
  if (s == &legacy_) {
    for (const auto& capture : captures_) {
      if (capture->mode == cudaStreamCaptureModeRelaxed) continue;
      for (const CUstream_st* other : capture->streams) {
        if (other->blocking) {
          invalidate(*capture);
          return cudaErrorStreamCaptureImplicit;
        }
      }
    }
    for (const auto& other : streams_) {
      if (other->blocking && !other->pending.empty())
        made.after.push_back(other->pending.back().marker);
    }
  } else if (s->blocking && !legacy_.pending.empty()) {
    made.after.push_back(legacy_.pending.back().marker);
  }
  if (marker != nullptr) *marker = made.marker;
  s->pending.push_back(std::move(made));
  return cudaSuccess;
}

cudaError_t Context::submit_wait(CUstream_st* s, const CUevent_st& event) {
  if (event.capture != nullptr) {  // the stream joins the capture, in whose order of nodes the
                                   // dependency lies already
    if (s->capture != nullptr && s->capture != event.capture) return cudaErrorStreamCaptureMerge;
    if (s->capture == nullptr) {
      if (!s->pending.empty() && s == &legacy_) return cudaErrorStreamCaptureImplicit;
      s->capture = event.capture;
      s->last_nodes.clear();
      event.capture->streams.push_back(s);
    }
    s->last_nodes.insert(s->last_nodes.end(), event.last_nodes.begin(), event.last_nodes.end());
    return cudaSuccess;
  }
  if (s->capture != nullptr)
    return event.marker == nullptr || event.marker->done ? cudaSuccess
                                                         : cudaErrorStreamCaptureIsolation;
  if (event.marker == nullptr || event.marker->done) return cudaSuccess;
  const auto waited = event.marker;
  const cudaError_t status = submit(s, [] {});
  if (status == cudaSuccess) s->pending.back().after.push_back(waited);
  return status;
}

void Context::run_front(CUstream_st* s) {
  // What it waits for runs first, and may be in other streams.
  const std::vector<std::shared_ptr<Marker>> after = s->pending.front().after;
  for (const auto& marker : after) finish(marker);
  if (s->pending.empty()) return;
  const Operation operation = std::move(s->pending.front());
  s->pending.pop_front();
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

void Context::finish(CUstream_st* s) {
  while (!s->pending.empty()) run_front(s);
}

void Context::finish(const std::shared_ptr<Marker>& marker) {
  while (!marker->done && !marker->stream->pending.empty()) run_front(marker->stream);
}

void Context::finish_all() {
  finish(&legacy_);
  for (size_t i = 0; i < streams_.size(); ++i) finish(streams_[i].get());
}

void Context::fail(const Fault& fault) {
  if (sticky != cudaSuccess) return;
  sticky = static_cast<cudaError_t>(fault.code());
  say(name_of(sticky) + ": " + fault.what());
}

// ---------------------------------------------------------------- captures

bool Context::any_capture() const { return !captures_.empty(); }

void Context::invalidate(Capture& capture) { capture.invalid = true; }

cudaError_t Context::begin_capture(CUstream_st* s, cudaStreamCaptureMode mode) {
  if (s == &legacy_) return cudaErrorStreamCaptureUnsupported;
  if (s->capture != nullptr) return cudaErrorIllegalState;
  auto made = std::make_shared<Capture>();
  made->graph = new CUgraph_st;
  made->mode = mode;
  made->thread = std::this_thread::get_id();
  made->origin = s;
  made->streams = {s};
  made->id = ++capture_ids_;
  s->capture = made;
  s->last_nodes.clear();
  captures_.push_back(made);
  return cudaSuccess;
}

cudaError_t Context::end_capture(CUstream_st* s, cudaGraph_t* graph) {
  if (graph != nullptr) *graph = nullptr;
  const auto capture = s->capture;
  if (capture == nullptr) return cudaErrorIllegalState;
  if (capture->origin != s) return cudaErrorStreamCaptureUnmatched;
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
      invalidate(*capture);
    }
  }
  if (forbidden) say(std::string(name) + " while a stream is captured");
  return forbidden ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}

cudaError_t Context::captured(CUstream_st* s, const char* name) {
  if (s->capture == nullptr) return cudaSuccess;
  invalidate(*s->capture);
  say(std::string(name) + " of a stream that is captured");
  return cudaErrorStreamCaptureUnsupported;
}

// ---------------------------------------------------------------- launches

namespace {

constexpr int64_t kSharedDefault = 48 * 1024;
constexpr int64_t kSharedOptIn = 227 * 1024;

/// The profile's line of a launch.
std::string members(const Launch& launch, const Counters& c) {
  std::ostringstream out;
  const auto extents = [&](const char* name, const Dim& d) {
    out << ", \"" << name << "\": [" << d.x << ", " << d.y << ", " << d.z << "]";
  };
  out << "\"kernel\": \"" << launch.kernel->name << '"';
  extents("grid", launch.grid);
  extents("block", launch.block);
  const std::pair<const char*, uint64_t> counts[] = {
      {"shared_bytes", static_cast<uint64_t>(launch.shared_bytes())},
      {"warp_instructions", c.warp_instructions},
      {"lane_instructions", c.lane_instructions},
      {"longest_warp", c.longest_warp},
      {"loads", c.global_loads},
      {"load_bytes", c.load_bytes},
      {"load_sectors", c.load_sectors},
      {"loaded_footprint", c.loaded_footprint},
      {"stores", c.global_stores},
      {"store_bytes", c.store_bytes},
      {"store_sectors", c.store_sectors},
      {"stored_footprint", c.stored_footprint},
      {"l2_sectors", c.l2_sectors},
      {"memory_sectors", c.memory_sectors},
      {"shared_requests", c.shared_requests},
      {"shared_conflicts", c.shared_conflicts},
      {"atomics", c.atomics},
      {"barriers", c.barriers},
      {"divergent_branches", c.divergent_branches}};
  for (const auto& [name, value] : counts) out << ", \"" << name << "\": " << value;
  return out.str();
}

}  // namespace

cudaError_t Context::launch(Entry& entry, Dim grid, Dim block, void** arguments,
                            size_t dynamic_shared, CUstream_st* s) {
  if (sticky != cudaSuccess) return sticky;
  const auto refuse = [&](cudaError_t error, const std::string& why) {
    std::ostringstream text;
    text << name_of(error) << ": launch of " << entry.name << " with grid (" << grid.x << ","
         << grid.y << "," << grid.z << "), block (" << block.x << "," << block.y << "," << block.z
         << "), " << dynamic_shared << " bytes of dynamic shared memory: " << why;
    say(text.str());
    return error;
  };
  const Kernel* kernel = nullptr;
  try {
    kernel = &this->kernel(entry);
  } catch (const Fault& fault) {
    return refuse(static_cast<cudaError_t>(fault.code()), fault.what());
  } catch (const PtxError& error) {
    return refuse(cudaErrorInvalidPtx, error.what());
  }
  const Function& function = *kernel->function;
  const uint64_t threads = block.count();
  if (threads == 0 || grid.count() == 0)
    return refuse(cudaErrorInvalidConfiguration, "an extent is 0");
  if (threads > 1024 || block.x > 1024 || block.y > 1024 || block.z > 64)
    return refuse(cudaErrorInvalidConfiguration, "a block has at most 1024 threads, 64 deep");
  if (grid.x > 0x7FFF'FFFF || grid.y > 65535 || grid.z > 65535)
    return refuse(cudaErrorInvalidConfiguration, "a grid extends at most 2^31 - 1, 65535, 65535");
  if ((function.max_threads != 0 && threads > static_cast<uint64_t>(function.max_threads)) ||
      (function.required_threads != 0 &&
       threads != static_cast<uint64_t>(function.required_threads))) {
    return refuse(cudaErrorLaunchOutOfResources, "more threads than its launch bounds name");
  }
  const int64_t limit = entry.dynamic_shared_limit >= 0 ? entry.dynamic_shared_limit
                                                        : kSharedDefault - kernel->static_shared;
  if (static_cast<int64_t>(dynamic_shared) > std::max<int64_t>(0, limit)) {
    return refuse(cudaErrorInvalidValue,
                  "more shared memory than cudaFuncAttributeMaxDynamicSharedMemorySize allows");
  }
  if (const auto found = registers_.find(entry.name);
      found != registers_.end() || !registers_read_) {
    const uint64_t per_warp =
        (static_cast<uint64_t>(registers_of(entry, *kernel)) * 32 + 255) / 256 * 256;
    if (per_warp * ((threads + 31) / 32) > 65536)
      return refuse(cudaErrorLaunchOutOfResources, "more registers than a multiprocessor has");
  }
  auto made = std::make_shared<Launch>();
  made->kernel = kernel;
  made->grid = grid;
  made->block = block;
  made->dynamic_shared = static_cast<uint32_t>(dynamic_shared);
  made->parameters.resize(static_cast<size_t>(function.parameter_bytes));
  for (size_t p = 0; p < function.parameters.size(); ++p) {
    const Parameter& parameter = function.parameters[p];
    std::memcpy(made->parameters.data() + parameter.offset, arguments[p],
                static_cast<size_t>(parameter.size));
  }
  const auto run = [this, made] {
    Counters counters;
    if (Options::get().trace)
      say("runs " + made->kernel->name + ", " + std::to_string(made->grid.count()) + " blocks of " +
          std::to_string(made->block.count()));
    static uint64_t number = 0;
    if (++number == Options::get().fail)
      throw Fault(cudaErrorIllegalAddress, "kernel " + std::to_string(number) + ", " +
                                               made->kernel->name +
                                               ", fails because PTX_EXECUTOR_FAIL says so");
    execute(*made, counters);
    if (Options::get().profile) profile(members(*made, counters));
  };
  return submit(s, run, nullptr, kernel);
}

cudaError_t Context::replay(CUgraphExec_st& graph, CUstream_st* s) {
  if (graph.replays++ >= Options::get().replays)
    return submit(s, [this] { profile("\"skipped\": \"replay\""); });
  ++replays_;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const CUgraph_st::Node& node = graph.nodes[n];
    std::string members = ", \"replay\": " + std::to_string(replays_) +
                          ", \"node\": " + std::to_string(n) + ", \"after\": [";
    for (const size_t before : node.after)
      members += (members.back() == '[' ? "" : ", ") + std::to_string(before);
    const auto work = [this, run = node.work, members = members + "]"] {
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
      path.replace(at, 2, std::to_string(getpid()));
    profile_.open(path);
  }
  profile_ << '{' << members << node_ << '}' << std::endl;
}

// ---------------------------------------------------------------- bytes

bool on_device(const void* pointer, size_t bytes) {
  return DeviceMemory::is_device(pointer) &&
         DeviceMemory::instance().find(reinterpret_cast<uint64_t>(pointer), bytes) != nullptr;
}

void copy_bytes(void* to, const void* from, size_t bytes) {
  const auto side = [](const void* pointer) {
    return DeviceMemory::is_device(pointer)
               ? DeviceMemory::bytes(reinterpret_cast<uint64_t>(pointer))
               : const_cast<std::byte*>(static_cast<const std::byte*>(pointer));
  };
  for (const void* pointer : {static_cast<const void*>(to), from}) {
    if (DeviceMemory::is_device(pointer) && !on_device(pointer, bytes)) {
      throw Fault(cudaErrorIllegalAddress,
                  "a copy of " + std::to_string(bytes) + " bytes at " +
                      DeviceMemory::instance().describe(reinterpret_cast<uint64_t>(pointer)));
    }
  }
  std::memmove(side(to), side(from), bytes);
  Context::instance().profile("\"copy\": " + std::to_string(bytes));
  if (!Options::get().globalcheck) return;
  const auto target = reinterpret_cast<uint64_t>(to);
  const auto source = reinterpret_cast<uint64_t>(from);
  if (DeviceMemory::is_device(to)) {
    if (DeviceMemory::is_device(from))
      written::copy(target, source, bytes);
    else
      written::mark(target, bytes);
  } else if (DeviceMemory::is_device(from)) {
    const uint64_t first = written::first_unwritten(source, bytes);
    if (first != source + bytes) {
      Context::instance().say("uninitialised: a copy to the host of " + std::to_string(bytes) +
                              " bytes reads " + DeviceMemory::instance().describe(first) +
                              ", which nobody has written");
    }
  }
}

}  // namespace ptxe
