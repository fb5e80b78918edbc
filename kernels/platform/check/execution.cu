#include "kernels/platform/execution.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <array>
#include <condition_variable>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <utility>

// This file is compiled without the thread sanitizer's instrumentation: what lanes do to the
// executor's own state is no race of theirs. The sanitizer is told what it has to know through
// its interface, and so is the address sanitizer; the functions are null where the program is not
// linked with them.
extern "C" {
[[gnu::weak]] void* __tsan_get_current_fiber(void);
[[gnu::weak]] void* __tsan_create_fiber(unsigned flags);
[[gnu::weak]] void __tsan_destroy_fiber(void* fiber);
[[gnu::weak]] void __tsan_switch_to_fiber(void* fiber, unsigned flags);
[[gnu::weak]] void __tsan_set_fiber_name(void* fiber, const char* name);
[[gnu::weak]] void __tsan_acquire(void* token);
[[gnu::weak]] void __tsan_release(void* token);
[[gnu::weak]] void __sanitizer_start_switch_fiber(void** fake_stack, const void* stack_bottom,
                                                  size_t stack_size);
[[gnu::weak]] void __sanitizer_finish_switch_fiber(void* fake_stack, const void** old_bottom,
                                                   size_t* old_size);
}

namespace derrd::check {

namespace {

constexpr size_t kStackBytes = 256 * 1024;
constexpr size_t kGuardBytes = 4096;

/// Token of an order: all before its release is ordered before all after its acquire.
struct alignas(8) Token {};
void acquire(Token* token) {
  if (__tsan_acquire != nullptr) __tsan_acquire(token);
}
void release(Token* token) {
  if (__tsan_release != nullptr) __tsan_release(token);
}

/// One launch, as the blocks see it.
struct Launch {
  const char* name = "";
  int64_t blocks = 0;
  void (*run)(const void*) = nullptr;
  const void* context = nullptr;
  uint32_t number = 0;
};
Token launch_begin;
Token launch_end;

/// An execution with a stack: a lane, or the host thread that runs a block's lanes.
struct Fiber {
  ucontext_t start;  ///< for its first turn
  bool started = true;
  void* resume[5] = {};  ///< of __builtin_setjmp, for each later turn
  void* stack = nullptr;
  size_t stack_bytes = 0;
  void* thread = nullptr;  ///< the thread sanitizer's
  void* fake_stack = nullptr;
};

enum class State { kRunnable, kWaiting, kDone };

struct Group;

struct Lane : Fiber {
  State state = State::kDone;
  const Group* waits_for = nullptr;
  const char* waits_in = "";
  std::source_location waits_at;
};

/// The lanes of a tile or of a block, which meet in barriers and collectives.
struct Group {
  unsigned first;
  unsigned size;
  unsigned arrived = 0;
  unsigned barriers = 0;
  /// Alternately used, so that a lane that is late to leave a barrier does not acquire what others
  /// release at the next.
  Token barrier[2] = {};
  Mail mail[kTileLanes] = {};
};

/// A block: its lanes take turns on one host thread, which makes a run repeatable.
class Block {
 public:
  explicit Block(int64_t index);
  ~Block();
  Block(const Block&) = delete;

  void run(const Launch& launch);

  Position position() const { return {index_, launch_->blocks, current_}; }
  uint32_t stamp() const { return stamp_; }
  Group& block_group() { return block_; }
  Group& tile_group() { return tiles_[current_ / kTileLanes]; }
  void synchronize(Group& group, const char* what, std::source_location where);
  Mail exchange(const char* what, std::source_location where, Mail mine, Combine combine,
                const void* context);
  /// Writes the report of what the current lane does, and aborts.
  [[noreturn]] void report(const char* format, ...) const __attribute__((format(printf, 2, 3)));

 private:
  /// Waits until all lanes of the group are here; the last one to come calls last() before any goes
  /// on.
  template <class Last>
  void meet(Group& group, const char* what, std::source_location where, const Last& last);
  static void lane_main();
  void leave();
  void switch_from(Fiber& from, unsigned offset);
  static void switch_to(Fiber& from, Fiber& to);
  std::string place(const Lane& lane) const;

  int64_t index_;
  const Launch* launch_ = nullptr;
  uint32_t stamp_ = 0;
  bool descending_ = false;
  unsigned current_ = 0;
  unsigned unfinished_ = 0;
  Fiber host_;
  std::array<Lane, kBlockThreads> lanes_;
  Group block_{0, kBlockThreads};
  std::array<Group, kBlockTiles> tiles_{Group{0, kTileLanes}, Group{kTileLanes, kTileLanes}};
};

thread_local Block* block_of_thread = nullptr;

void Block::report(const char* format, ...) const {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  std::fprintf(stderr, "simt check: %s: block %lld, thread %u: %s\n", launch_->name,
               static_cast<long long>(index_), current_, text);
  std::abort();
}

Block::Block(int64_t index) : index_(index) {
  block_of_thread = this;
  if (__tsan_get_current_fiber != nullptr) host_.thread = __tsan_get_current_fiber();
  for (unsigned i = 0; i < kBlockThreads; ++i) {
    Lane& lane = lanes_[i];
    lane.stack_bytes = kStackBytes;
    void* memory = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, kGuardBytes, PROT_NONE) != 0) {
      std::perror("simt check: no memory for a lane's stack");
      std::abort();
    }
    lane.stack = static_cast<char*>(memory) + kGuardBytes;
    if (__tsan_create_fiber != nullptr) {
      lane.thread = __tsan_create_fiber(0);
      const std::string name = "block " + std::to_string(index) + " lane " + std::to_string(i);
      __tsan_set_fiber_name(lane.thread, name.c_str());
    }
    getcontext(&lane.start);
    lane.start.uc_stack.ss_sp = lane.stack;
    lane.start.uc_stack.ss_size = lane.stack_bytes;
    lane.start.uc_link = nullptr;
    makecontext(&lane.start, &Block::lane_main, 0);
    lane.started = false;
  }
}

Block::~Block() {
  for (Lane& lane : lanes_) {
    if (lane.thread != nullptr) __tsan_destroy_fiber(lane.thread);
    munmap(static_cast<char*>(lane.stack) - kGuardBytes, kGuardBytes + kStackBytes);
  }
}

void Block::switch_to(Fiber& from, Fiber& to) {
  if (__sanitizer_start_switch_fiber != nullptr) {
    __sanitizer_start_switch_fiber(&from.fake_stack, to.stack, to.stack_bytes);
  }
  constexpr unsigned kWithoutOrderingMemory = 1;
  if (to.thread != nullptr) __tsan_switch_to_fiber(to.thread, kWithoutOrderingMemory);
  // swapcontext would set the signal mask each time, by a system call.
  if (__builtin_setjmp(from.resume) == 0) {
    if (std::exchange(to.started, true)) __builtin_longjmp(to.resume, 1);
    setcontext(&to.start);
  }
  if (__sanitizer_finish_switch_fiber != nullptr) {
    __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
  }
}

/// Goes on with the next runnable lane, beginning `offset` lanes behind the current one.
void Block::switch_from(Fiber& from, unsigned offset) {
  for (unsigned i = offset; i < kBlockThreads + offset; ++i) {
    const unsigned next =
        (descending_ ? current_ + kBlockThreads * 2 - i : current_ + i) % kBlockThreads;
    if (lanes_[next].state != State::kRunnable) continue;
    current_ = next;
    if (&lanes_[next] != &from) switch_to(from, lanes_[next]);
    return;
  }
  if (unfinished_ == 0) return switch_to(from, host_);
  // Every lane waits; a lane that another one waits for waits elsewhere itself.
  const Group& group = *lanes_[current_].waits_for;
  unsigned other = group.first;
  while (lanes_[other].waits_for == &group) ++other;
  report("divergence: waits in %s while thread %u waits in %s", place(lanes_[current_]).c_str(),
         other, place(lanes_[other]).c_str());
}

std::string Block::place(const Lane& lane) const {
  return std::string(lane.waits_in) + " (" + lane.waits_at.file_name() + ":" +
         std::to_string(lane.waits_at.line()) + ")";
}

void Block::run(const Launch& launch) {
  launch_ = &launch;
  stamp_ = launch.number * static_cast<uint32_t>(kMaxBlocks) + static_cast<uint32_t>(index_) + 1;
  // Both orders occur, from block to block and from launch to launch.
  descending_ = stamp_ % 2 == 0;
  unfinished_ = kBlockThreads;
  for (Lane& lane : lanes_) lane.state = State::kRunnable;
  current_ = descending_ ? kBlockThreads - 1 : 0;
  switch_from(host_, 0);
}

/// A lane lives as long as its host thread and runs its part of one launch after the other.
void Block::lane_main() {
  Block& block = *block_of_thread;
  if (__sanitizer_finish_switch_fiber != nullptr) {
    const void* bottom = nullptr;
    size_t size = 0;
    __sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
    if (block.host_.stack == nullptr) {  // the first lane of all is entered from the host thread
      block.host_.stack = const_cast<void*>(bottom);
      block.host_.stack_bytes = size;
    }
  }
  for (;;) {
    acquire(&launch_begin);
    block.launch_->run(block.launch_->context);
    release(&launch_end);
    block.leave();
  }
}

void Block::leave() {
  Lane& lane = lanes_[current_];
  for (const Group* group : {&tile_group(), &block_}) {
    if (group->arrived == 0) continue;
    unsigned other = group->first;
    while (lanes_[other].state != State::kWaiting || lanes_[other].waits_for != group) ++other;
    report("divergence: leaves the kernel while thread %u waits in %s", other,
           place(lanes_[other]).c_str());
  }
  lane.state = State::kDone;
  --unfinished_;
  switch_from(lane, 1);
}

template <class Last>
void Block::meet(Group& group, const char* what, std::source_location where, const Last& last) {
  Lane& lane = lanes_[current_];
  lane.waits_for = &group;
  lane.waits_in = what;
  lane.waits_at = where;
  for (unsigned other = group.first; other < group.first + group.size; ++other) {
    const Lane& that = lanes_[other];
    if (that.state == State::kDone) {
      report("divergence: comes to %s, but thread %u has left the kernel", place(lane).c_str(),
             other);
    }
    if (that.state == State::kWaiting && that.waits_for == &group &&
        (that.waits_at.line() != where.line() || that.waits_at.column() != where.column())) {
      report("divergence: comes to %s, but thread %u waits in %s", place(lane).c_str(), other,
             place(that).c_str());
    }
  }
  if (++group.arrived < group.size) {
    lane.state = State::kWaiting;
    return switch_from(lane, 1);
  }
  last();
  group.arrived = 0;
  for (unsigned other = group.first; other < group.first + group.size; ++other) {
    lanes_[other].state = State::kRunnable;
  }
}

void Block::synchronize(Group& group, const char* what, std::source_location where) {
  Token* const token = &group.barrier[group.barriers % 2];
  release(token);
  meet(group, what, where, [&] { ++group.barriers; });
  acquire(token);
}

Mail Block::exchange(const char* what, std::source_location where, Mail mine, Combine combine,
                     const void* context) {
  Group& tile = tile_group();
  Mail& mail = tile.mail[current_ % kTileLanes];
  mail = mine;
  meet(tile, what, where, [&] { combine(tile.mail, context); });
  return mail;
}

/// The host threads, one per block that can run at once, so that adjacent blocks never share one:
/// nothing but the launch itself orders them.
class Executor {
 public:
  Executor() {
    for (int64_t i = 0; i < kMaxBlocks; ++i) {
      threads_[static_cast<size_t>(i)] = std::thread([this, i] { serve(i); });
    }
  }
  ~Executor() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void run(Launch launch) {
    const std::lock_guard one_at_a_time(launch_mutex_);
    release(&launch_begin);
    std::unique_lock lock(mutex_);
    launch.number = launch_.number + 1;
    launch_ = launch;
    running_ = launch.blocks;
    changed_.notify_all();
    changed_.wait(lock, [this] { return running_ == 0; });
    acquire(&launch_end);
  }

 private:
  void serve(int64_t index) {
    Block block(index);
    uint32_t seen = 0;
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return stopping_ || launch_.number != seen; });
      if (stopping_) return;
      seen = launch_.number;
      if (index >= launch_.blocks) continue;
      lock.unlock();
      block.run(launch_);
      lock.lock();
      if (--running_ == 0) changed_.notify_all();
    }
  }

  std::mutex launch_mutex_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Launch launch_;
  int64_t running_ = 0;
  bool stopping_ = false;
  std::array<std::thread, kMaxBlocks> threads_;
};

}  // namespace

Position position() { return block_of_thread->position(); }

void synchronize_block(std::source_location where) {
  Block& block = *block_of_thread;
  block.synchronize(block.block_group(), "block.sync", where);
}
void synchronize_tile(std::source_location where) {
  Block& block = *block_of_thread;
  block.synchronize(block.tile_group(), "tile.sync", where);
}

Mail exchange(const char* what, std::source_location where, Mail mine, Combine combine,
              const void* context) {
  Block& block = *block_of_thread;
  return block.exchange(what, where, mine, combine, context);
}

void check_source_lane(unsigned source) {
  if (source >= kTileLanes) {
    block_of_thread->report("shfl from lane %u of a tile of %u", source, kTileLanes);
  }
}

void mark_written(uint32_t* stamp) { *stamp = block_of_thread->stamp(); }

void check_written(const uint32_t* stamp, int64_t index) {
  if (*stamp != block_of_thread->stamp()) {
    block_of_thread->report("reads element %lld of shared memory, which the block has not written",
                            static_cast<long long>(index));
  }
}

void check_shared_index(int64_t index, int64_t size) {
  if (index < 0 || index >= size) {
    block_of_thread->report("index %lld outside a shared array of %lld",
                            static_cast<long long>(index), static_cast<long long>(size));
  }
}

void check_index(int64_t index, int64_t size) {
  if (index >= 0 && index < size) return;
  const auto i = static_cast<long long>(index);
  const auto n = static_cast<long long>(size);
  if (block_of_thread != nullptr)
    block_of_thread->report("index %lld outside a view of %lld", i, n);
  std::fprintf(stderr, "simt check: host: index %lld outside a view of %lld\n", i, n);
  std::abort();
}

void run_kernel(const char* name, int64_t blocks, void (*run)(const void*), const void* context) {
  static Executor executor;
  executor.run({name, blocks, run, context});
}

}  // namespace derrd::check

namespace derrd {

void set_threads(int) {}

namespace cpu {

void run_chunks(int64_t chunks, void (*run)(const void*, int64_t), const void* context) {
  for (int64_t chunk = 0; chunk < chunks; ++chunk) run(context, chunk);
}

bool within_chunk() { return false; }

bool strict_as_gpu() { return true; }

ExecutorInfo executor_info() { return {"check", "", static_cast<int>(check::kMaxBlocks)}; }

}  // namespace cpu

}  // namespace derrd
