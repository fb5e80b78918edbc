// Warps, blocks and launches: which instruction runs next, and who waits for whom.

#include "tests/ptx_executor/machine.h"

#include <algorithm>
#include <bit>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <thread>

namespace ptxe {

namespace {

constexpr int kNever = 0x7FFF'FFFF;
constexpr int kLaunchFailure = 719;
constexpr int64_t kFuel =
    4096;  // instructions of a warp before another one of its block has its turn

std::string lanes_text(Mask m) {
  std::string text;
  for (int l = 0; l < kLanes; ++l) {
    if (((m >> l) & 1) == 0) continue;
    int last = l;
    while (last + 1 < kLanes && ((m >> (last + 1)) & 1) != 0) ++last;
    text += (text.empty() ? "" : ",") + std::to_string(l) +
            (last > l ? "-" + std::to_string(last) : "");
    l = last;
  }
  return text.empty() ? "none" : text;
}

}  // namespace

// ---------------------------------------------------------------- options and findings

const Options* Options::read() {
  static const auto* options = new Options([] {  // outlives the statics of the program
    Options made;
    const auto number = [](const char* name, long otherwise) {
      const char* text = std::getenv(name);
      return text == nullptr || *text == '\0' ? otherwise : std::strtol(text, nullptr, 10);
    };
    made.threads = static_cast<int>(number("PTX_EXECUTOR_THREADS", 0));
    if (made.threads <= 0)
      made.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    if (const char* path = std::getenv("PTX_EXECUTOR_PROFILE"); path != nullptr && *path != '\0') {
      made.profile = true;
      made.profile_path = path;
    }
    made.strict = number("PTX_EXECUTOR_STRICT", 0) != 0;
    made.initcheck = number("PTX_EXECUTOR_INITCHECK", 1) != 0;
    made.racecheck = number("PTX_EXECUTOR_RACECHECK", 0) != 0;
    made.globalcheck = number("PTX_EXECUTOR_GLOBALCHECK", 0) != 0;
    made.seed = static_cast<uint64_t>(number("PTX_EXECUTOR_SEED", 0));
    made.fail = static_cast<uint64_t>(number("PTX_EXECUTOR_FAIL", 0));
    made.l2_bytes = static_cast<uint64_t>(number("PTX_EXECUTOR_L2", 50'000'000));
    made.replays = static_cast<uint64_t>(number("PTX_EXECUTOR_REPLAYS", -1));
    made.trace = number("PTX_EXECUTOR_TRACE", 0) != 0;
    return made;
  }());
  return options;
}
const Options* const Options::options_ = Options::read();

bool is_toolkit_source(const Warp& w, const Instruction& i) {
  const Kernel& kernel = w.block->kernel();
  const std::string source =
      kernel.module->source(kernel.origins[static_cast<size_t>(w.number_of(i))].location);
  for (const char* folder :
       {"/cub/", "/thrust/", "/cuda/std/", "/cccl/", "/targets/x86_64-linux/include/"}) {
    if (source.find(folder) != std::string::npos) return true;
  }
  return kernel.name.find("cub") != std::string::npos && source.empty();
}

void report_finding(const Warp& w, const Instruction& i, int lane, const char* kind,
                    const std::string& what) {
  if (Options::get().strict) w.fault(i, lane, kLaunchFailure, std::string(kind) + ": " + what);
  static std::mutex mutex;
  static std::set<std::pair<std::string, int>> said;
  const std::lock_guard lock(mutex);
  const Kernel& kernel = w.block->kernel();
  if (!said.emplace(kernel.name, kernel.origins[static_cast<size_t>(w.number_of(i))].line).second)
    return;
  std::fprintf(stderr, "ptx-executor: %s: %s\n  %s\n", kind, what.c_str(),
               w.where(i, lane).c_str());
}

void Counters::add(const Counters& o) {
  warp_instructions += o.warp_instructions;
  lane_instructions += o.lane_instructions;
  longest_warp = std::max(longest_warp, o.longest_warp);
  global_loads += o.global_loads;
  global_stores += o.global_stores;
  load_sectors += o.load_sectors;
  store_sectors += o.store_sectors;
  loaded_footprint += o.loaded_footprint;
  stored_footprint += o.stored_footprint;
  l2_sectors += o.l2_sectors;
  memory_sectors += o.memory_sectors;
  load_bytes += o.load_bytes;
  store_bytes += o.store_bytes;
  shared_requests += o.shared_requests;
  shared_conflicts += o.shared_conflicts;
  atomics += o.atomics;
  barriers += o.barriers;
  divergent_branches += o.divergent_branches;
}

int64_t Launch::shared_bytes() const { return kernel->static_shared + dynamic_shared; }

// ---------------------------------------------------------------- warps

void Warp::begin(Mask lanes) {
  groups_.assign(1, Group{0, lanes});
  alive = lanes;
  active = 0;
  carry = 0;
  epoch = 1;
  instructions = 0;
  running_ = false;
  rotate_ = false;
  alive_changed_ = false;
}

bool Warp::ready() const {
  if (finished()) return false;
  return alive_changed_ || std::any_of(groups_.begin(), groups_.end(), [](const Group& g) {
           return g.state == Group::State::ready;
         });
}

void Warp::put_back() {
  if (!running_) return;
  running_ = false;
  if (active != 0) groups_.push_back(Group{pc, active});
  active = 0;
}

bool Warp::schedule() {
  put_back();
  if (alive_changed_) {  // those who wait for lanes that have left look again
    alive_changed_ = false;
    for (Group& g : groups_) {
      if (g.state == Group::State::at_sync) g.state = Group::State::ready;
    }
  }
  int first = kNever;
  int last = -1;
  for (const Group& g : groups_) {
    if (g.state != Group::State::ready) continue;
    first = std::min(first, g.pc);
    last = std::max(last, g.pc);
  }
  if (first == kNever) return false;
  // The hindmost lanes go first, so that they meet the others; after a long turn it is the foremost
  // ones' once.
  const int chosen = rotate_ ? last : first;
  limit_ = kNever;
  Mask lanes = 0;
  size_t kept = 0;
  for (const Group& g : groups_) {
    if (g.state == Group::State::ready && g.pc == chosen) {
      lanes |= g.mask;
    } else {
      if (g.state == Group::State::ready && g.pc > chosen) limit_ = std::min(limit_, g.pc);
      groups_[kept++] = g;
    }
  }
  groups_.resize(kept);
  rotate_ = false;
  pc = chosen;
  active = lanes;
  running_ = true;
  return true;
}

void Warp::run(int64_t fuel) {
  const Instruction* code = block->kernel().code.data();
  Counters& counters = block->worker().counters;
  if (!schedule()) return;
  const int64_t start = fuel;
  uint64_t lane_count = 0;
  for (;;) {
    if (pc >= limit_) [[unlikely]] {
      if (!schedule()) break;
    }
    if (--fuel < 0) [[unlikely]] {
      rotate_ = !groups_.empty();
      put_back();
      break;
    }
    const Instruction& i = code[pc];
    Mask m = active;
    if (i.guard >= 0)
      m &= predicate(static_cast<uint32_t>(i.guard)) ^ (i.guard_negated ? kAllLanes : 0);
    ++pc;
    lane_count += static_cast<uint64_t>(std::popcount(m));
    if (m != 0) i.run(*this, i, m);
  }
  instructions += static_cast<uint64_t>(start - fuel);
  counters.warp_instructions += static_cast<uint64_t>(start - fuel);
  counters.lane_instructions += lane_count;
}

void Warp::branch(Mask taken, int target) {
  const Mask others = active & ~taken;
  if (others == 0) {
    pc = target;
    return;
  }
  ++block->worker().counters.divergent_branches;
  groups_.push_back(Group{target, taken});
  active = others;
  limit_ = 0;
}

void Warp::exit(Mask lanes) {
  alive &= ~lanes;
  active &= ~lanes;
  alive_changed_ = true;
  if (active == 0) running_ = false;
  limit_ = 0;
  block->threads_left(static_cast<uint32_t>(std::popcount(lanes)));
}

Mask Warp::gather(const Instruction& i, Mask lanes, const uint32_t* member, bool uniform) {
  const int here = number_of(i);
  const Mask first = member[std::countr_zero(lanes)];
  // The usual case: everybody that is named is here.
  if (uniform || std::all_of(member, member + kLanes, [&](uint32_t x) { return x == first; })) {
    if ((first & alive & ~lanes) == 0) return lanes;
  }
  // Those that came before.
  Mask all = lanes;
  size_t kept = 0;
  for (const Group& g : groups_) {
    if (g.state == Group::State::at_sync && g.pc == here)
      all |= g.mask;
    else
      groups_[kept++] = g;
  }
  groups_.resize(kept);
  Mask complete = 0;
  for (Mask rest = all; rest != 0; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    Mask same = 0;
    for (Mask other = all; other != 0; other &= other - 1) {
      const int o = std::countr_zero(other);
      if (member[o] == member[l]) same |= Mask{1} << o;
    }
    if ((member[l] & alive & ~same) == 0) complete |= Mask{1} << l;
  }
  const Mask waiting = all & ~complete;
  if (waiting != 0) groups_.push_back(Group{here, waiting, Group::State::at_sync});
  const Mask skipping = active & ~lanes;  // whose guard is false
  if (skipping != 0 && complete != lanes) {
    groups_.push_back(Group{here + 1, skipping});
    active = complete;
  } else {
    active = complete | skipping;
  }
  if (active == 0) running_ = false;
  limit_ = 0;
  if (complete != 0) pc = here + 1;
  return complete;
}

void Warp::wait_at_barrier(Mask lanes, uint8_t barrier, uint32_t reduce_register,
                           uint8_t reduce_kind) {
  groups_.push_back(
      Group{pc, lanes, Group::State::at_barrier, barrier, reduce_register, reduce_kind});
  active &= ~lanes;
  if (active == 0) running_ = false;
  limit_ = 0;
}

void Warp::release(uint8_t barrier, uint32_t reduced) {
  for (Group& g : groups_) {
    if (g.state != Group::State::at_barrier || g.barrier != barrier) continue;
    g.state = Group::State::ready;
    if (g.reduce_kind == 1) {
      for (int l = 0; l < kLanes; ++l) {
        if (((g.mask >> l) & 1) != 0) cells<uint32_t>(g.reduce_register)[l] = reduced;
      }
    } else if (g.reduce_kind != 0) {
      Mask& p = predicate(g.reduce_register);
      p = (p & ~g.mask) | (reduced != 0 ? g.mask : 0);
    }
  }
  ++epoch;
}

int Warp::number_of(const Instruction& i) const {
  return static_cast<int>(&i - block->kernel().code.data());
}

std::string Warp::where(const Instruction& i, int lane) const {
  const Launch& launch = block->launch();
  const Kernel& kernel = block->kernel();
  const Origin& origin = kernel.origins[static_cast<size_t>(number_of(i))];
  const uint32_t thread = static_cast<uint32_t>(index * kLanes + lane);
  const Dim& b = launch.block;
  char text[256];
  std::snprintf(text, sizeof text, "block (%u,%u,%u), thread (%u,%u,%u)", block->index.x,
                block->index.y, block->index.z, thread % b.x, thread / b.x % b.y,
                thread / (b.x * b.y));
  const std::string source = kernel.module->source_chain(origin.location);
  return "in " + kernel.name + ", " + text + ", PTX line " + std::to_string(origin.line) + ": " +
         kernel.module->line_text(origin.line) + (source.empty() ? "" : "\n  at " + source);
}

void Warp::fault(const Instruction& i, int lane, int code, const std::string& what) const {
  throw Fault(code, what + "\n  " + where(i, lane));
}

// ---------------------------------------------------------------- blocks

Block::Block(const Launch& launch, Worker& worker, const std::atomic<bool>& stop)
    : launch_(launch), worker_(worker), stop_(stop) {
  const Kernel& k = *launch.kernel;
  const auto threads = static_cast<uint32_t>(launch.block.count());
  const size_t count = (threads + kLanes - 1) / kLanes;
  warps_.resize(count);
  const size_t stride =
      (k.register_bytes + 63) / 64 * 64 + 64;  // an odd number of lines between warps' registers
  worker.registers.resize(count * stride + 64);
  auto* registers = reinterpret_cast<std::byte*>(
      (reinterpret_cast<uintptr_t>(worker.registers.data()) + 63) / 64 * 64);
  const auto local = static_cast<size_t>(k.local_bytes) * kLanes;
  worker.local.resize(count * local + 64);
  auto* local_begin = reinterpret_cast<std::byte*>(
      (reinterpret_cast<uintptr_t>(worker.local.data()) + 63) / 64 * 64);
  shared_bytes = launch.shared_bytes();
  worker.shared.resize(static_cast<size_t>(shared_bytes) * 2 + 2048);
  shared = reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(worker.shared.data()) + 1023) /
                                        1024 * 1024);
  written = reinterpret_cast<uint8_t*>(shared + shared_bytes);
  for (size_t i = 0; i < count; ++i) {
    Warp& w = warps_[i];
    w.registers = registers + i * stride;
    w.local = local_begin + i * local;
    w.block = this;
    w.index = static_cast<int>(i);
    std::memcpy(w.registers, k.initial.data(), k.register_bytes);
    fill_specials(w, true);
  }
  worker.ranges.assign(k.code.size(), CachedRange{});
  if (Options::get().racecheck) {
    last_write.resize(static_cast<size_t>(shared_bytes) / 4 + 1);
    last_read.resize(last_write.size());
  }
}

void Block::fill_specials(Warp& w, bool all) {
  const Dim& b = launch_.block;
  for (const auto& [special, offset] : kernel().specials) {
    const bool of_block = special == Special::ctaid_x || special == Special::ctaid_y ||
                          special == Special::ctaid_z || special == Special::smid;
    if (!all && !of_block) continue;
    auto* cells = w.cells<uint32_t>(offset);
    for (uint32_t l = 0; l < kLanes; ++l) {
      const uint32_t thread = static_cast<uint32_t>(w.index) * kLanes + l;
      uint32_t value = 0;
      switch (special) {
        case Special::tid_x:
          value = thread % b.x;
          break;
        case Special::tid_y:
          value = thread / b.x % b.y;
          break;
        case Special::tid_z:
          value = thread / (b.x * b.y);
          break;
        case Special::ntid_x:
          value = b.x;
          break;
        case Special::ntid_y:
          value = b.y;
          break;
        case Special::ntid_z:
          value = b.z;
          break;
        case Special::ctaid_x:
          value = index.x;
          break;
        case Special::ctaid_y:
          value = index.y;
          break;
        case Special::ctaid_z:
          value = index.z;
          break;
        case Special::nctaid_x:
          value = launch_.grid.x;
          break;
        case Special::nctaid_y:
          value = launch_.grid.y;
          break;
        case Special::nctaid_z:
          value = launch_.grid.z;
          break;
        case Special::laneid:
          value = l;
          break;
        case Special::warpid:
          value = static_cast<uint32_t>(w.index);
          break;
        case Special::nwarpid:
          value = 64;
          break;
        case Special::smid:
          value = static_cast<uint32_t>(number % 132);
          break;
        case Special::nsmid:
          value = 132;
          break;
        case Special::gridid:
          value = 1;
          break;
        case Special::lanemask_eq:
          value = 1u << l;
          break;
        case Special::lanemask_le:
          value = (2u << l) - 1;
          break;
        case Special::lanemask_lt:
          value = (1u << l) - 1;
          break;
        case Special::lanemask_ge:
          value = ~((1u << l) - 1);
          break;
        case Special::lanemask_gt:
          value = ~((2u << l) - 1);
          break;
        case Special::dynamic_smem_size:
          value = launch_.dynamic_shared;
          break;
        case Special::total_smem_size:
          value = static_cast<uint32_t>(shared_bytes);
          break;
        case Special::zero:
          value = 0;
          break;
        case Special::one:
          value = 1;
          break;
      }
      cells[l] = value;
    }
  }
}

void Block::run(uint64_t block_number) {
  number = block_number;
  const Dim& g = launch_.grid;
  index = {static_cast<uint32_t>(number % g.x), static_cast<uint32_t>(number / g.x % g.y),
           static_cast<uint32_t>(number / (uint64_t{g.x} * g.y))};
  if (shared_bytes > 0) {
    std::memset(shared, 0xFF, static_cast<size_t>(shared_bytes));
    std::memset(written, 0, static_cast<size_t>(shared_bytes));
  }
  barriers_.fill({});
  const auto threads = static_cast<uint32_t>(launch_.block.count());
  alive_threads = threads;
  ++epoch;
  for (Warp& w : warps_) {
    const uint32_t left = threads - static_cast<uint32_t>(w.index) * kLanes;
    w.begin(left >= kLanes ? kAllLanes : (Mask{1} << left) - 1);
    fill_specials(w, false);
  }
  std::vector<size_t> order(warps_.size());
  std::iota(order.begin(), order.end(), 0);
  const uint64_t seed = Options::get().seed;
  std::minstd_rand random(static_cast<uint32_t>(seed * 7919 + number + 1));
  while (alive_threads > 0 && !stop_.load(std::memory_order_relaxed)) {
    if (seed != 0) std::shuffle(order.begin(), order.end(), random);
    bool progress = false;
    for (const size_t n : order) {
      if (!warps_[n].ready()) continue;
      progress = true;
      warps_[n].run(seed != 0 ? static_cast<int64_t>(random() % kFuel) + 1 : kFuel);
    }
    if (!progress) throw Fault(kLaunchFailure, "the block cannot go on: " + stuck());
  }
  for (const Warp& w : warps_)
    worker_.counters.longest_warp = std::max(worker_.counters.longest_warp, w.instructions);
}

void Block::arrive(uint8_t barrier, uint32_t threads, uint32_t expected, uint32_t votes,
                   uint32_t voters) {
  Barrier& b = barriers_[barrier];
  b.arrived += threads;
  b.expected = expected;
  b.votes += votes;
  b.voters += voters;
  ++worker_.counters.barriers;
  complete_if_full(barrier);
}

void Block::complete_if_full(uint8_t number_of_barrier) {
  Barrier& b = barriers_[number_of_barrier];
  if (b.arrived == 0) return;
  const uint32_t expected = b.expected != 0 ? b.expected : alive_threads;
  if (b.arrived < expected) return;
  const Barrier full = b;
  b = {};
  ++epoch;
  for (Warp& w : warps_) {
    for (const Group& g : w.groups()) {
      if (g.state != Group::State::at_barrier || g.barrier != number_of_barrier) continue;
      const uint32_t reduced = g.reduce_kind == 1   ? full.votes
                               : g.reduce_kind == 2 ? full.votes == full.voters
                                                    : full.votes != 0;
      w.release(number_of_barrier, reduced);
      break;
    }
  }
}

void Block::threads_left(uint32_t threads) {
  alive_threads -= threads;
  if (alive_threads == 0) return;
  for (uint8_t b = 0; b < barriers_.size(); ++b) {
    if (barriers_[b].arrived != 0 && barriers_[b].expected == 0) complete_if_full(b);
  }
}

std::string Block::stuck() const {
  std::string text = "in " + kernel().name + ", block (" + std::to_string(index.x) + "," +
                     std::to_string(index.y) + "," + std::to_string(index.z) + ")";
  int lines = 0;
  for (const Warp& w : warps_) {
    if (w.finished()) continue;
    for (const Group& g : w.groups()) {
      if (++lines > 12) return text + "\n  ...";
      const int at = g.state == Group::State::at_barrier ? g.pc - 1 : g.pc;
      const Origin& origin = kernel().origins[static_cast<size_t>(at)];
      const std::string source = kernel().module->source(origin.location);
      text += "\n  warp " + std::to_string(w.index) + ", lanes " + lanes_text(g.mask) +
              (g.state == Group::State::at_barrier ? " wait at the block's barrier"
                                                   : " wait for lanes that don't come") +
              ", PTX line " + std::to_string(origin.line) + ": " +
              kernel().module->line_text(origin.line) + (source.empty() ? "" : " (" + source + ")");
    }
    if (w.alive != kAllLanes)
      text += "\n  warp " + std::to_string(w.index) + ": lanes " + lanes_text(~w.alive) +
              " have left the kernel";
  }
  return text;
}

// ---------------------------------------------------------------- launches

namespace {

/// Threads that run the blocks of one launch after another.
class Pool {
 public:
  static Pool& instance() {
    static auto* pool = new Pool;
    return *pool;
  }

  /// Runs f(worker) on `count` threads, this one among them, and waits.
  void run(int count, const std::function<void(Worker&)>& f) {
    while (static_cast<int>(workers_.size()) < count)
      workers_.push_back(std::make_unique<Worker>());
    if (count > 1) {
      while (static_cast<int>(threads_.size()) < count - 1) {
        threads_.emplace_back(&Pool::work, this, threads_.size() + 1, generation_);
        threads_.back().detach();
      }
      const std::lock_guard lock(mutex_);
      work_ = &f;
      wanted_ = count - 1;
      running_ = count - 1;
      ++generation_;
      wake_.notify_all();
    }
    f(*workers_[0]);
    if (count > 1) {
      std::unique_lock lock(mutex_);
      done_.wait(lock, [&] { return running_ == 0; });
    }
  }

 private:
  void work(size_t number, uint64_t seen) {
    for (;;) {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return generation_ != seen; });
      seen = generation_;
      if (static_cast<int>(number) > wanted_) continue;
      const auto* f = work_;
      lock.unlock();
      (*f)(*workers_[number]);
      lock.lock();
      if (--running_ == 0) done_.notify_all();
    }
  }

  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  const std::function<void(Worker&)>* work_ = nullptr;
  int wanted_ = 0;
  int running_ = 0;
  uint64_t generation_ = 0;
};

}  // namespace

void execute(const Launch& launch, Counters& counters) {
  const uint64_t blocks = launch.grid.count();
  if (Options::get().globalcheck || Options::get().profile) written::next_launch();
  std::atomic<uint64_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&](Worker& worker) {
    worker.counters = {};
    try {
      Block block(launch, worker, stop);
      for (;;) {
        // In ascending order, so that a block that waits for an earlier one waits for one that
        // runs.
        const uint64_t number = next.fetch_add(1);
        if (number >= blocks || stop.load(std::memory_order_relaxed)) break;
        block.run(number);
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
      stop = true;
    }
    const std::lock_guard lock(mutex);
    counters.add(worker.counters);
  };
  // For a profile too: no block waits for another, so counts are the same every time.
  const int threads = Options::get().globalcheck || Options::get().profile
                          ? 1
                          : static_cast<int>(std::min<uint64_t>(
                                static_cast<uint64_t>(Options::get().threads), (blocks + 1) / 2));
  Pool::instance().run(std::max(1, threads), work);
  if (failure) std::rethrow_exception(failure);
}

}  // namespace ptxe
