#pragma once

// State of the runtime: modules and kernels, streams whose work waits until somebody has to see it,
// recordings of streams (captures), errors.

#include <cuda_runtime_api.h>

#include <deque>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "tests/ptx_executor/machine.h"

namespace derrd::ptx {

/// PTX of one source file of a program; parsed when a kernel of it is first asked for.
struct Binary {
  const void* data = nullptr;  ///< the fat binary
  std::unique_ptr<Module> module;
  std::map<std::string, uint64_t> variables;  ///< their addresses
};

/// A __global__ function.
struct Entry {
  Binary* binary = nullptr;
  std::string name;
  std::unique_ptr<Kernel> kernel;
  int dynamic_shared_limit = -1;  ///< set by cudaFuncSetAttribute
};

/// Becomes done when the operation that carries it has run.
struct Marker {
  CUstream_st* stream = nullptr;
  bool done = false;
  double milliseconds = 0;
};

struct Operation {
  std::function<void()> work;
  std::vector<std::shared_ptr<Marker>> after;
  std::shared_ptr<Marker> marker;
};

struct Capture {
  CUgraph_st* graph = nullptr;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread;
  bool invalid = false;
  CUstream_st* origin = nullptr;
  std::vector<CUstream_st*> streams;
};

}  // namespace derrd::ptx

struct CUstream_st {
  bool blocking = true;  ///< waits for the legacy stream, and that one for it
  std::deque<derrd::ptx::Operation> pending;
  std::shared_ptr<derrd::ptx::Capture> capture;
  std::vector<size_t> last_nodes;  ///< nodes of its capture that the next node waits for
};

struct CUevent_st {
  unsigned flags = 0;
  std::shared_ptr<derrd::ptx::Marker> marker;    ///< null: never recorded
  std::shared_ptr<derrd::ptx::Capture> capture;  ///< recorded in one
  std::vector<size_t> last_nodes;                ///< the stream's at that point
};

struct CUgraph_st {
  struct Node {
    std::function<void()> work;
    const derrd::ptx::Kernel* kernel = nullptr;  ///< null: a copy, a fill or a product
    std::vector<size_t> after;                   ///< the nodes that it waits for
  };
  std::vector<Node> nodes;  ///< in an order that all dependencies allow
};
struct CUgraphExec_st {
  std::vector<CUgraph_st::Node> nodes;
  uint64_t replays = 0;
};

namespace derrd::ptx {

class Context {
 public:
  static Context& instance();

  std::recursive_mutex mutex;

  // ---- programs
  Binary* add_binary(const void* wrapper);
  void add_function(Binary* binary, const void* host, const char* name);
  /// The kernel's entry, by the host's function or the entry itself; null if unknown.
  Entry* entry(const void* host);
  /// @throws Fault, PtxError
  const Kernel& kernel(Entry& entry);
  /// Registers of a thread: what PTX_EXECUTOR_REGISTERS says, else a number that always fits.
  int registers_of(const Kernel& kernel);

  // ---- streams
  CUstream_st* stream(cudaStream_t handle);  ///< the legacy one for 0; null if unknown
  cudaStream_t create_stream(bool blocking);
  void destroy_stream(CUstream_st& stream);
  /// Queues work, or adds it to the graph that the stream captures.
  /// @param kernel that the work launches; null for other work
  cudaError_t submit(CUstream_st& stream, std::function<void()> work,
                     std::shared_ptr<Marker>* marker = nullptr, const Kernel* kernel = nullptr);
  cudaError_t submit_wait(CUstream_st& stream, const CUevent_st& event);
  void finish(CUstream_st& stream);
  void finish(const std::shared_ptr<Marker>& marker);
  void finish_all();

  // ---- captures
  cudaError_t begin_capture(CUstream_st& stream, cudaStreamCaptureMode mode);
  cudaError_t end_capture(CUstream_st& stream, cudaGraph_t* graph);
  /// Refuses a call that may wait while a capture forbids it, and makes the capture invalid.
  cudaError_t unsafe_call(const char* name);
  /// Refuses a call that waits for a captured stream, and makes the capture invalid.
  cudaError_t captured(CUstream_st& stream, const char* name);

  // ---- errors
  cudaError_t sticky = cudaSuccess;
  void fail(const Fault& fault);

  // ---- launches
  cudaError_t launch(Entry& entry, Dim grid, Dim block, void** arguments, size_t dynamic_shared,
                     CUstream_st& stream);
  /// Runs a graph's nodes, in the stream's order; at most Options::replays times.
  cudaError_t replay(CUgraphExec_st& graph, CUstream_st& stream);
  /// Writes a line of the profile, if there is one: the members of a JSON object.
  void profile(const std::string& members);

 private:
  Context();
  void report_leaks();
  void load(Binary& binary);
  void make_variables(Binary& binary);
  /// An error and its reason if a launch is to be refused, else cudaSuccess.
  std::pair<cudaError_t, std::string> refusal(const Entry& entry, const Kernel& kernel,
                                              const Launch& launch);
  void run(const Launch& launch);
  void run_front(CUstream_st& stream);

  std::vector<std::unique_ptr<Binary>> binaries_;
  std::unordered_map<const void*, std::unique_ptr<Entry>> entries_;
  CUstream_st legacy_;
  std::vector<std::unique_ptr<CUstream_st>> streams_;
  std::vector<std::shared_ptr<Capture>> captures_;
  uint64_t launches_ = 0;
  uint64_t replays_ = 0;
  std::ofstream profile_;
  std::string node_;                      ///< the node of a graph that runs now, for the profile
  std::map<std::string, int> registers_;  ///< by kernel, of PTX_EXECUTOR_REGISTERS
};

inline uint64_t address_of(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }
/// Copies bytes; device sides are device addresses. @throws Fault
void copy_bytes(void* to, const void* from, size_t bytes);
/// True if [pointer, pointer + bytes) lies in one live allocation of the device.
bool on_device(const void* pointer, size_t bytes);
/// Keeps the error for cudaGetLastError.
cudaError_t note(cudaError_t error);

}  // namespace derrd::ptx
