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

namespace derrd::ptx {

namespace {

constexpr int kNever = 0x7FFF'FFFF;
constexpr int64_t kFuel = 4096;  // instructions of a warp before the next one has its turn

std::string lanes_text(Mask m) {
  std::string text;
  for (int l = 0; l < kLanes; ++l) {
    if (((m >> l) & 1) == 0) continue;
    int last = l;
    while (last + 1 < kLanes && ((m >> (last + 1)) & 1) != 0) ++last;
    text += fmt::format("{}{}", text.empty() ? "" : ",", l);
    if (last > l) text += fmt::format("-{}", last);
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

void say(const std::string& text) {
  static FILE* out = [] {
    const char* path = std::getenv("PTX_EXECUTOR_LOG");
    FILE* file = path == nullptr || *path == '\0' ? nullptr : std::fopen(path, "a");
    return file != nullptr ? file : stderr;
  }();
  std::fprintf(out, "ptx-executor: %s\n", text.c_str());
  std::fflush(out);
}

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
  say(fmt::format("{}: {}\n  {}", kind, what, w.where(i, lane)));
}

void Counters::add(const Counters& other) {
  const uint64_t longest = std::max(longest_warp, other.longest_warp);
  for (const auto& [name, count] : kCounts) this->*count += other.*count;
  longest_warp = longest;
}

int64_t Launch::shared_bytes() const { return kernel->static_shared + dynamic_shared; }

// ---------------------------------------------------------------- warps

void Warp::begin(Mask lanes) {
  groups_.assign(1, Group{0, lanes});
  alive = lanes;
  active = 0;
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
    const Instruction& i = program[pc];
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

std::string Warp::where(const Instruction& i, int lane) const {
  const Kernel& kernel = block->kernel();
  const Origin& origin = kernel.origins[static_cast<size_t>(number_of(i))];
  const auto thread = static_cast<uint32_t>(index * kLanes + lane);
  const Dim& b = block->launch().block;
  const Dim& at = block->index;
  const std::string source = kernel.module->source_chain(origin.location);
  return fmt::format("in {}, block ({},{},{}), thread ({},{},{}), PTX line {}: {}{}{}", kernel.name,
                     at.x, at.y, at.z, thread % b.x, thread / b.x % b.y, thread / (b.x * b.y),
                     origin.line, kernel.module->line_text(origin.line),
                     source.empty() ? "" : "\n  at ", source);
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
  const auto aligned = [](auto& bytes, size_t size, size_t align) {
    bytes.resize(std::max(bytes.size(), size + 3 * align));  // with room on both sides
    return reinterpret_cast<std::byte*>(
        (reinterpret_cast<uintptr_t>(bytes.data()) + 2 * align - 1) / align * align);
  };
  const size_t before = k.constants.size();
  const size_t stride =
      before + (k.register_bytes + 63) / 64 * 64 + 64;  // an odd number of lines between warps
  std::byte* registers = aligned(worker.registers, count * stride, 64) + before;
  const auto local = static_cast<size_t>(k.local_bytes) * kLanes;
  std::byte* local_begin = aligned(worker.local, count * local, 64);
  shared_bytes = launch.shared_bytes();
  shared = aligned(worker.shared, static_cast<size_t>(shared_bytes), 1024);
  worker.written.resize(std::max(worker.written.size(), static_cast<size_t>(shared_bytes)));
  written = worker.written.data();
  for (size_t i = 0; i < count; ++i) {
    Warp& w = warps_[i];
    w.registers = registers + i * stride;
    w.local = local_begin + i * local;
    w.block = this;
    w.program = k.code.data();
    w.index = static_cast<int>(i);
    std::memcpy(w.registers - before, k.constants.data(), before);
    fill_specials(w, true);
  }
  order_.resize(count);
  std::iota(order_.begin(), order_.end(), 0);
  worker.ranges.assign(k.code.size(), CachedRange{});
  if (Options::get().racecheck) {
    last_write.resize(static_cast<size_t>(shared_bytes) / 4 + 1);
    last_read.resize(last_write.size());
  }
}

uint32_t Block::special(Special special, uint32_t thread) const {
  const Dim& b = launch_.block;
  const Dim& g = launch_.grid;
  const uint32_t bit = 1u << thread % kLanes;
  switch (special) {
    // clang-format off
    case Special::tid_x: return b.y * b.z == 1 ? thread : thread % b.x;
    case Special::tid_y: return b.y == 1 ? 0 : thread / b.x % b.y;
    case Special::tid_z: return b.z == 1 ? 0 : thread / (b.x * b.y);
    case Special::laneid: return thread % kLanes;
    case Special::lanemask_eq: return bit;
    case Special::lanemask_le: return bit * 2 - 1;
    case Special::lanemask_lt: return bit - 1;
    case Special::lanemask_ge: return ~(bit - 1);
    case Special::lanemask_gt: return ~(bit * 2 - 1);
    case Special::ntid_x: return b.x;
    case Special::ntid_y: return b.y;
    case Special::ntid_z: return b.z;
    case Special::nctaid_x: return g.x;
    case Special::nctaid_y: return g.y;
    case Special::nctaid_z: return g.z;
    case Special::warpid: return thread / kLanes;
    case Special::nsmid: return 132;
    case Special::dynamic_smem_size: return launch_.dynamic_shared;
    case Special::total_smem_size: return static_cast<uint32_t>(shared_bytes);
    case Special::ctaid_x: return index.x;
    case Special::ctaid_y: return index.y;
    case Special::ctaid_z: return index.z;
    case Special::smid: return static_cast<uint32_t>(number % 132);
      // clang-format on
  }
  return 0;
}

void Block::fill_specials(Warp& w, bool all) {
  const uint32_t first = static_cast<uint32_t>(w.index) * kLanes;
  for (const auto& [s, offset] : kernel().specials) {
    auto* cells = w.cells<uint32_t>(offset);
    if (s >= Special::ctaid_x || (all && s > Special::lanemask_gt)) {
      std::fill_n(cells, kLanes, special(s, first));
    } else if (all) {
      for (uint32_t l = 0; l < kLanes; ++l) cells[l] = special(s, first + l);
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
    if (++worker_.mark == 0) {
      std::fill(worker_.written.begin(), worker_.written.end(), uint8_t{0});
      worker_.mark = 1;
    }
    mark = worker_.mark;
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
  const uint64_t seed = Options::get().seed;
  std::minstd_rand random(static_cast<uint32_t>(seed * 7919 + number + 1));
  while (alive_threads > 0 && !stop_.load(std::memory_order_relaxed)) {
    if (seed != 0) std::shuffle(order_.begin(), order_.end(), random);
    bool progress = false;
    for (const size_t n : order_) {
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
  std::string text =
      fmt::format("in {}, block ({},{},{})", kernel().name, index.x, index.y, index.z);
  int lines = 0;
  for (const Warp& w : warps_) {
    if (w.finished()) continue;
    for (const Group& g : w.groups()) {
      if (++lines > 12) return text + "\n  ...";
      const bool at_barrier = g.state == Group::State::at_barrier;
      const Origin& origin = kernel().origins[static_cast<size_t>(at_barrier ? g.pc - 1 : g.pc)];
      text += fmt::format(
          "\n  warp {}, lanes {}{}, PTX line {}: {} ({})", w.index, lanes_text(g.mask),
          at_barrier ? " wait at the block's barrier" : " wait for lanes that don't come",
          origin.line, kernel().module->line_text(origin.line),
          kernel().module->source(origin.location));
    }
    if (w.alive != kAllLanes)
      text +=
          fmt::format("\n  warp {}: lanes {} have left the kernel", w.index, lanes_text(~w.alive));
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

}  // namespace derrd::ptx
