#pragma once

// The machine: kernels as decoded instructions, warps of 32 lanes in lockstep, blocks of warps.

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/ptx_executor/device.h"
#include "tests/ptx_executor/ptx.h"

namespace derrd::ptx {

constexpr int kLanes = 32;
using Mask = uint32_t;
constexpr Mask kAllLanes = 0xFFFF'FFFF;

// Codes of the runtime's errors.
constexpr int kIllegalAddress = 700;
constexpr int kAssert = 710;
constexpr int kIllegalInstruction = 715;
constexpr int kMisalignedAddress = 716;
constexpr int kLaunchFailure = 719;

/// Calls f(lane) for the lanes of a mask, in ascending order.
template <class F>
void each_lane(Mask lanes, F f) {
  for (; lanes != 0; lanes &= lanes - 1) f(std::countr_zero(lanes));
}

class Warp;
class Block;
struct Kernel;
struct Instruction;
using Handler = void (*)(Warp&, const Instruction&, Mask);

/// Decoded: operands are byte offsets from the warp's registers. Constants, which all lanes see
/// alike, lie in front of them, at offsets that are negative as int32_t.
///
/// A register is an array over lanes: of 4 bytes for types up to 32 bits (16-bit values in the low
/// half, the rest unspecified), of 8 bytes for 64-bit types. A predicate is one word with a bit per
/// lane.
struct alignas(64) Instruction {
  Handler run = nullptr;
  uint32_t d = 0;
  uint32_t a = 0;
  uint32_t b = 0;
  uint32_t c = 0;
  uint32_t e = 0;      ///< fourth source, or second destination
  int32_t guard = -1;  ///< predicate; -1: always
  int32_t target = 0;  ///< of a branch
  uint8_t size = 0;    ///< bytes of an element of a memory access
  uint8_t count = 1;   ///< elements of a vector
  uint8_t flags = 0;   ///< per handler
  bool guard_negated = false;
  int64_t value = 0;               ///< displacement, or an immediate
  const uint32_t* list = nullptr;  ///< registers of a vector
};
static_assert(sizeof(Instruction) == 64);

/// Error of a kernel: the runtime's code and a sentence.
class Fault : public std::runtime_error {
 public:
  Fault(int code, const std::string& what) : std::runtime_error(what), code_(code) {}
  int code() const { return code_; }

 private:
  int code_;
};

/// Registers that a kernel finds set.
enum class Special : uint8_t {
  // which differ between the lanes of a warp
  tid_x,
  tid_y,
  tid_z,
  laneid,
  lanemask_eq,
  lanemask_le,
  lanemask_lt,
  lanemask_ge,
  lanemask_gt,
  // which a launch sets once
  ntid_x,
  ntid_y,
  ntid_z,
  nctaid_x,
  nctaid_y,
  nctaid_z,
  warpid,
  nsmid,
  dynamic_smem_size,
  total_smem_size,
  // which differ between blocks
  ctaid_x,
  ctaid_y,
  ctaid_z,
  smid,
};

/// Origin of an instruction in the texts.
struct Origin {
  int line = 0;       ///< PTX line
  int location = -1;  ///< index into the module's source locations, or -1
};

struct Kernel {
  std::string name;
  Module* module = nullptr;
  const Function* function = nullptr;
  std::vector<Instruction> code;
  std::vector<Origin> origins;  ///< per instruction
  uint32_t register_bytes = 0;
  std::vector<std::byte> constants;  ///< what lies in front of a warp's registers
  std::vector<std::pair<Special, uint32_t>> specials;
  std::vector<std::unique_ptr<std::vector<uint32_t>>> lists;
  int64_t static_shared = 0;
  int64_t local_bytes = 0;  ///< per thread
};

struct Dim {
  uint32_t x = 1;
  uint32_t y = 1;
  uint32_t z = 1;
  uint64_t count() const { return uint64_t{x} * y * z; }
};

/// Counts of one launch.
struct Counters {
  uint64_t warp_instructions = 0;
  uint64_t lane_instructions = 0;
  uint64_t longest_warp = 0;  ///< instructions of the warp that issues most
  uint64_t global_loads = 0;  ///< warp-wide requests
  uint64_t global_stores = 0;
  uint64_t load_sectors = 0;  ///< of 32 bytes
  uint64_t store_sectors = 0;
  uint64_t loaded_footprint = 0;  ///< distinct sectors of the launch
  uint64_t stored_footprint = 0;
  uint64_t l2_sectors = 0;      ///< loads that the L1 cache lacks, and stores
  uint64_t memory_sectors = 0;  ///< moved between the L2 cache and memory
  uint64_t load_bytes = 0;      ///< asked for by lanes
  uint64_t store_bytes = 0;
  uint64_t shared_requests = 0;
  uint64_t shared_conflicts = 0;  ///< passes beyond the first
  uint64_t atomics = 0;           ///< by lanes
  uint64_t barriers = 0;          ///< arrivals of warps
  uint64_t divergent_branches = 0;
  void add(const Counters& other);
};
/// Counts and their names in a profile.
constexpr std::pair<const char*, uint64_t Counters::*> kCounts[] = {
    {"warp_instructions", &Counters::warp_instructions},
    {"lane_instructions", &Counters::lane_instructions},
    {"longest_warp", &Counters::longest_warp},
    {"loads", &Counters::global_loads},
    {"load_bytes", &Counters::load_bytes},
    {"load_sectors", &Counters::load_sectors},
    {"loaded_footprint", &Counters::loaded_footprint},
    {"stores", &Counters::global_stores},
    {"store_bytes", &Counters::store_bytes},
    {"store_sectors", &Counters::store_sectors},
    {"stored_footprint", &Counters::stored_footprint},
    {"l2_sectors", &Counters::l2_sectors},
    {"memory_sectors", &Counters::memory_sectors},
    {"shared_requests", &Counters::shared_requests},
    {"shared_conflicts", &Counters::shared_conflicts},
    {"atomics", &Counters::atomics},
    {"barriers", &Counters::barriers},
    {"divergent_branches", &Counters::divergent_branches}};

struct Launch {
  const Kernel* kernel = nullptr;
  Dim grid;
  Dim block;
  uint32_t dynamic_shared = 0;
  std::vector<std::byte> parameters;
  int64_t shared_bytes() const;
};

/// Options that are read from the environment once.
struct Options {
  int threads = 0;
  bool profile = false;
  std::string profile_path;
  bool strict = false;       ///< findings that hardware tolerates fail the launch too
  bool racecheck = true;     ///< of shared memory
  bool globalcheck = false;  ///< races and unwritten reads of global memory
  uint64_t seed = 0;         ///< order in which warps run
  bool trace = false;
  uint64_t l2_bytes = 0;            ///< of the cache that a profile assumes
  uint64_t replays = ~uint64_t{0};  ///< of a graph that are executed
  uint64_t fail = 0;  ///< the kernel of that number, from 1, ends in an illegal access
  static const Options& get() { return options_ != nullptr ? *options_ : *read(); }

 private:
  static const Options* read();
  static const Options* const options_;
};

/// Writes a message to standard error, or to the file of PTX_EXECUTOR_LOG.
void say(const std::string& text);
template <class... T>
void say(fmt::format_string<T...> format, T&&... values) {
  say(fmt::format(format, std::forward<T>(values)...));
}
/// Says a finding once per kernel and PTX line; with Options::strict it is an error.
void report_finding(const Warp& warp, const Instruction& instruction, int lane, const char* kind,
                    const std::string& what);
/// Reads of unwritten shared memory and races are no findings in the toolkit's own headers, which
/// know what they do.
bool is_toolkit_source(const Warp& warp, const Instruction& instruction);

/// Lanes of a warp that are at the same instruction.
struct Group {
  enum class State : uint8_t { ready, at_sync, at_barrier };
  int pc = 0;
  Mask mask = 0;
  State state = State::ready;
  uint8_t barrier = 0;
  uint32_t reduce_register = 0;  ///< where a reducing barrier's result goes
  uint8_t reduce_kind = 0;
};

struct CachedRange {
  uint64_t begin = 1;
  uint64_t size = 0;
};

/// Memory and counters that a worker thread owns.
struct Worker {
  std::vector<CachedRange> ranges;  ///< per instruction: the allocation that it met last
  std::vector<std::byte> registers;
  std::vector<std::byte> shared;
  std::vector<uint8_t> written;  ///< per byte of shared memory: the mark of the last block to write
  uint8_t mark = 0;
  std::vector<std::byte> local;
  Counters counters;
};

class Warp {
 public:
  // ---- read and written by instructions
  std::byte* registers = nullptr;
  Block* block = nullptr;
  const Instruction* program = nullptr;  ///< all of the kernel's
  int index = 0;                         ///< in the block
  int pc = 0;                            ///< of the next instruction
  Mask active = 0;                       ///< the running group
  Mask alive = 0;                        ///< not left the kernel
  std::byte* local = nullptr;            ///< of lane 0; a lane's memory has Kernel::local_bytes
  uint32_t epoch = 1;                    ///< grows at a warp's own synchronisations, for races
  uint64_t instructions = 0;             ///< issued in this block

  template <class T>
  T* cells(uint32_t offset) const {
    return reinterpret_cast<T*>(registers + static_cast<int32_t>(offset));
  }
  Mask& predicate(uint32_t offset) const { return *cells<Mask>(offset); }

  void begin(Mask lanes);
  /// Runs until all its lanes wait or have left, or for about `fuel` instructions.
  void run(int64_t fuel);
  bool finished() const { return alive == 0; }
  bool ready() const;
  const std::vector<Group>& groups() const { return groups_; }
  std::vector<Group>& groups() { return groups_; }

  // ---- for instructions that steer
  /// The lanes of `taken` go to `target`, the other active ones on.
  void branch(Mask taken, int target);
  void exit(Mask lanes);
  /// For an instruction that the lanes of `member` (per lane; `uniform`: of all) execute together.
  /// Returns the lanes that go on with it now: all that it names have come. The others are parked.
  Mask gather(const Instruction& instruction, Mask lanes, const uint32_t* member, bool uniform);
  /// Parks the running group at a barrier of the block.
  void wait_at_barrier(Mask lanes, uint8_t barrier, uint32_t reduce_register, uint8_t reduce_kind);
  void release(uint8_t barrier, uint32_t reduced);
  [[noreturn]] void fault(const Instruction& instruction, int lane, int code,
                          const std::string& what) const;
  std::string where(const Instruction& instruction, int lane) const;
  int number_of(const Instruction& instruction) const {
    return static_cast<int>(&instruction - program);
  }

 private:
  bool schedule();
  void put_back();

  std::vector<Group> groups_;  // all but the running one
  int limit_ = 0;  // at this pc another group waits to be merged, or 0: look what happened
  bool running_ = false;
  bool rotate_ = false;
  bool alive_changed_ = false;
};

struct Barrier {
  uint32_t arrived = 0;   ///< threads
  uint32_t expected = 0;  ///< 0: all that are alive
  uint32_t votes = 0;     ///< of a reducing one: threads whose predicate is true
  uint32_t voters = 0;
};

class Block {
 public:
  /// Stops between turns of its warps when `stop` becomes true: another block has failed.
  Block(const Launch& launch, Worker& worker, const std::atomic<bool>& stop);
  void run(uint64_t number);

  const Launch& launch() const { return launch_; }
  const Kernel& kernel() const { return *launch_.kernel; }
  Worker& worker() { return worker_; }
  const Worker& worker() const { return worker_; }
  Dim index;
  uint64_t number = 0;
  std::byte* shared = nullptr;
  uint8_t* written = nullptr;  ///< per byte of shared memory: `mark` once it has been written
  uint8_t mark = 0;
  int64_t shared_bytes = 0;
  uint32_t alive_threads = 0;
  uint32_t epoch = 1;  ///< grows with every barrier of all threads

  /// Shared memory's last accesses, per 4 bytes, for races.
  struct Access {
    uint32_t block_epoch = 0;
    uint32_t warp_epoch = 0;
    uint32_t thread = 0;
    bool many = false;  ///< reads by several threads
  };
  std::vector<Access> last_write;
  std::vector<Access> last_read;

  void arrive(uint8_t barrier, uint32_t threads, uint32_t expected, uint32_t votes,
              uint32_t voters);
  void threads_left(uint32_t threads);
  std::string stuck() const;

 private:
  void complete_if_full(uint8_t barrier);
  uint32_t special(Special special, uint32_t thread) const;
  /// @param all false: only those that differ between blocks
  void fill_specials(Warp& warp, bool all);

  const Launch& launch_;
  Worker& worker_;
  const std::atomic<bool>& stop_;
  std::vector<Warp> warps_;
  std::vector<size_t> order_;  ///< in which the warps have their turns
  std::array<Barrier, 16> barriers_{};
};

/// Decodes a kernel and all that it calls.
/// @param variables addresses of the module's variables
/// @throws PtxError
std::unique_ptr<Kernel> decode(Module& module, const Function& function,
                               const std::map<std::string, uint64_t>& variables);

/// Executes a launch to its end on the worker threads. @throws Fault
void execute(const Launch& launch, Counters& counters);

// ---------------------------------------------------------------- tables of handlers

/// An arithmetic instruction's handler and the types of its operands.
struct Arithmetic {
  Handler run = nullptr;  ///< null: an instruction that the executor lacks
  Type result = Type::none;
  std::array<Type, 4> sources{};
  int source_count = 0;
  uint8_t flags = 0;           ///< for Instruction::flags
  bool second_result = false;  ///< setp p|q
};
Arithmetic arithmetic(const Statement& statement);
/// A conversion between two types.
/// @param flags 0, or modifiers as arithmetic() makes them of a statement
Handler conversion(Type to, Type from, uint8_t flags = 0);

// Instruction::flags of loads, stores and atomics
constexpr uint8_t kWideAddress = 1;  ///< the address register has 64 bits
constexpr uint8_t kStrong = 2;       ///< volatile, relaxed or the like: may meet atomics
constexpr uint8_t kUniform = 4;      ///< the address is the displacement, for all lanes

Handler load(Space space, int size, int count, bool sign_extend, int register_bytes);
Handler store(Space space, int size, int count, int register_bytes);
Handler atomic(Space space, const Statement& statement, Type type, bool returns);
Handler async_copy(int size);

namespace control {
void bra(Warp& warp, const Instruction& i, Mask lanes);
void exit(Warp& warp, const Instruction& i, Mask lanes);
void trap(Warp& warp, const Instruction& i, Mask lanes);
void nothing(Warp& warp, const Instruction& i, Mask lanes);
void fence(Warp& warp, const Instruction& i, Mask lanes);
void barrier(Warp& warp, const Instruction& i, Mask lanes);
void warp_barrier(Warp& warp, const Instruction& i, Mask lanes);
void shuffle(Warp& warp, const Instruction& i, Mask lanes);
/// The lane from which each lane takes its value, by the operands b and c of each. Returns the
/// lanes whose source is in their segment.
/// @param kind 0 up, 1 down, 2 bfly, 3 idx
Mask shuffle_sources(int kind, const uint32_t* b, const uint32_t* c, uint32_t* sources);
void vote(Warp& warp, const Instruction& i, Mask lanes);
void match(Warp& warp, const Instruction& i, Mask lanes);
void redux(Warp& warp, const Instruction& i, Mask lanes);
void active_mask(Warp& warp, const Instruction& i, Mask lanes);
void print(Warp& warp, const Instruction& i, Mask lanes);
void assert_fail(Warp& warp, const Instruction& i, Mask lanes);
}  // namespace control

/// The bytes of device memory that have been written, for Options::globalcheck, and the number
/// of the launch, for Options::profile too.
namespace written {
void mark(uint64_t address, uint64_t bytes);
void copy(uint64_t to, uint64_t from, uint64_t bytes);
/// The first byte that nobody wrote, or address + bytes.
uint64_t first_unwritten(uint64_t address, uint64_t bytes);
/// A new launch: accesses of earlier ones are ordered before its own.
void next_launch();
}  // namespace written

/// Bytes behind a generic, global or other address of a lane; checks it. For instructions that are
/// not the usual loads and stores.
std::byte* lane_bytes(Warp& warp, const Instruction& i, Space space, uint64_t address,
                      uint32_t size, int lane, bool writes);

}  // namespace derrd::ptx
