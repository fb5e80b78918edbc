// Loads, stores and atomics, each checked: inside a live allocation or the block's shared memory,
// aligned, and of shared memory only what the block has written.

#include <immintrin.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstdio>
#include <cstdlib>
#include <type_traits>
#include <utility>

#include "tests/ptx_executor/machine.h"

namespace derrd::ptx {

namespace {

template <int kSize>
using Word = std::conditional_t<
    kSize == 1, uint8_t,
    std::conditional_t<kSize == 2, uint16_t, std::conditional_t<kSize == 4, uint32_t, uint64_t>>>;

template <int kWidth>
struct alignas(kWidth) Chunk {
  uint8_t bytes[kWidth];
};

/// One access of its width: a 16-byte one of a status and its value does not tear.
template <int kWidth>
Chunk<kWidth> read_chunk(const std::byte* from) {
  Chunk<kWidth> chunk;
  if constexpr (kWidth == 16)
    _mm_store_si128(reinterpret_cast<__m128i*>(chunk.bytes),
                    _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  else
    std::memcpy(chunk.bytes, from, kWidth);
  return chunk;
}
template <int kWidth>
void write_chunk(std::byte* to, const Chunk<kWidth>& chunk) {
  if constexpr (kWidth == 16)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                     _mm_load_si128(reinterpret_cast<const __m128i*>(chunk.bytes)));
  else
    std::memcpy(to, chunk.bytes, kWidth);
}

const char* verb(bool writes) { return writes ? "write" : "read"; }

[[noreturn]] __attribute__((noinline, cold)) void misaligned(Warp& w, const Instruction& i,
                                                             int lane, uint64_t address,
                                                             uint32_t width, const char* space,
                                                             bool writes) {
  w.fault(i, lane, kMisalignedAddress,
          fmt::format("misaligned {} {} of {} bytes at {}", space, verb(writes), width,
                      DeviceMemory::is_device(address) ? DeviceMemory::instance().describe(address)
                                                       : fmt::to_string(address)));
}

// ---------------------------------------------------------------- addresses of a request

/// The addresses of a request's lanes. Where they follow one another, or are all alike, two of them
/// stand for all.
struct Addresses {
  uint64_t of[kLanes];
  bool adjacent = false;  ///< each lane's bytes follow those of the lane before
  bool same = false;

  Addresses(const Warp& w, const Instruction& i, uint32_t width) {
    const auto displacement = static_cast<uint64_t>(i.value);
    if ((i.flags & kWideAddress) != 0) {
      const auto* a = w.cells<uint64_t>(i.a);
      for (int l = 0; l < kLanes; ++l) of[l] = a[l] + displacement;
    } else {
      const auto* a = w.cells<uint32_t>(i.a);
      for (int l = 0; l < kLanes; ++l) of[l] = a[l] + static_cast<uint32_t>(displacement);
    }
    find_pattern(width);
  }
  Addresses(const uint64_t* a, uint64_t displacement, uint32_t width) {
    for (int l = 0; l < kLanes; ++l) of[l] = a[l] + displacement;
    find_pattern(width);
  }

  /// The lanes whose access does not lie in [begin, begin + size) or is not aligned.
  template <int kWidth>
  Mask outside(Mask m, uint64_t begin, uint64_t size) const {
    if (size < kWidth) return m;
    const auto fails = [&](int l) {
      return (of[l] - begin > size - kWidth) | ((of[l] & (kWidth - 1)) != 0);
    };
    if (adjacent || same) {
      const int first = std::countr_zero(m);
      const int last = kLanes - 1 - std::countl_zero(m);
      if (!fails(first) && !fails(last)) [[likely]]
        return 0;
    }
    Mask bad = 0;
    for (int l = 0; l < kLanes; ++l) bad |= fails(l) ? Mask{1} << l : 0;
    return bad & m;
  }

 private:
  void find_pattern(uint32_t width) {
    uint64_t from_adjacent = 0;
    uint64_t from_same = 0;
    for (uint32_t l = 0; l < kLanes; ++l) {
      from_adjacent |= of[l] ^ (of[0] + uint64_t{l} * width);
      from_same |= of[l] ^ of[0];
    }
    adjacent = from_adjacent == 0;
    same = from_same == 0;
  }
};

// ---------------------------------------------------------------- counting

uint32_t current_launch = 0;

/// True if no lane of the launch has loaded from (stored to) the sector before.
bool is_first_access(uint64_t sector, bool writes) {
  constexpr uint64_t kStamps = 0x2400'0000'0000;  // the last launch, per sector and kind of access
  static auto* const stamps = [] {
    void* at = mmap(reinterpret_cast<void*>(kStamps), kDeviceRange / 4, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (at == MAP_FAILED) {
      std::fprintf(stderr, "ptx-executor: no room for the stamps of sectors\n");
      std::abort();
    }
    return static_cast<uint32_t*>(at);
  }();
  uint32_t& stamp = stamps[2 * (sector - kDeviceBase / 32) + (writes ? 1 : 0)];
  return std::exchange(stamp, current_launch) != current_launch;
}

/// A cache of sectors in sets of 8, from which the least recently used one goes.
class Cache {
 public:
  explicit Cache(uint64_t bytes) : sets_(bytes / (32 * kWays) + 1) {}
  void clear() { std::fill(sets_.begin(), sets_.end(), Set{}); }

  struct Access {
    bool hits = false;
    bool writes_back = false;  ///< the sector that goes had been stored to
  };
  Access take(uint64_t sector, bool writes) {
    const uint64_t hash = sector * 0x9E37'79B9'7F4A'7C15 >> 32;
    Set& set = sets_[hash * sets_.size() >> 32];
    size_t way = 0;
    while (way + 1 < kWays && set[way] / 2 != sector) ++way;
    const bool hits = set[way] / 2 == sector;
    const bool stored = set[way] % 2 != 0;
    std::copy_backward(set.begin(), set.begin() + way, set.begin() + way + 1);
    set[0] = 2 * sector + (writes || (hits && stored) ? 1 : 0);
    return {hits, !hits && stored};
  }

 private:
  static constexpr size_t kWays = 8;
  using Set = std::array<uint64_t, kWays>;  // 2 sector + (stored to), the latest first
  std::vector<Set> sets_;
};

/// Counts a sector that a warp asks for once.
void count_sector(Counters& c, uint64_t sector, bool writes) {
  constexpr uint64_t kBytesOfL1 = 32'768;  // what is left for a block beside the others
  static Cache l1(kBytesOfL1);
  static Cache l2(Options::get().l2_bytes);
  static uint32_t launch = 0;
  if (launch != current_launch) l1.clear();
  launch = current_launch;
  if (is_first_access(sector, writes)) ++(writes ? c.stored_footprint : c.loaded_footprint);
  if (!writes && l1.take(sector, false).hits) return;  // stores go through
  ++c.l2_sectors;
  const Cache::Access access = l2.take(sector, writes);
  c.memory_sectors += (access.hits || writes ? 0 : 1) + (access.writes_back ? 1 : 0);
}

void count_global(Warp& w, Mask m, const Addresses& a, uint32_t width, bool writes) {
  Counters& c = w.block->worker().counters;
  uint64_t sectors[kLanes];
  int n = 0;
  bool ascends = true;
  for (Mask rest = m; rest != 0; rest &= rest - 1) {
    const uint64_t sector = a.of[std::countr_zero(rest)] >> 5;
    if (n > 0 && sector == sectors[n - 1]) continue;
    ascends &= n == 0 || sector > sectors[n - 1];
    sectors[n++] = sector;
  }
  if (!ascends) {
    std::sort(sectors, sectors + n);
    n = static_cast<int>(std::unique(sectors, sectors + n) - sectors);
  }
  const auto distinct = static_cast<uint64_t>(n);
  for (int s = 0; s < n; ++s) count_sector(c, sectors[s], writes);
  const uint64_t bytes = static_cast<uint64_t>(std::popcount(m)) * width;
  if (writes) {
    ++c.global_stores;
    c.store_sectors += distinct;
    c.store_bytes += bytes;
  } else {
    ++c.global_loads;
    c.load_sectors += distinct;
    c.load_bytes += bytes;
  }
}

/// 32 banks of 4 bytes; wider accesses are served by half or a quarter of the warp at a time.
void count_shared(Warp& w, Mask m, const Addresses& offsets, uint32_t width) {
  Counters& c = w.block->worker().counters;
  ++c.shared_requests;
  const int lanes = width <= 4 ? 32 : width <= 8 ? 16 : 8;
  for (int first = 0; first < kLanes; first += lanes) {
    uint32_t words[kLanes * 4];
    int n = 0;
    for (int l = first; l < first + lanes; ++l) {
      if (((m >> l) & 1) == 0) continue;
      for (uint32_t k = 0; k < std::max(width, 4u); k += 4)
        words[n++] = static_cast<uint32_t>(offsets.of[l] + k) / 4;
    }
    if (n == 0) continue;
    std::sort(words, words + n);
    n = static_cast<int>(std::unique(words, words + n) - words);
    uint32_t per_bank[32] = {};
    for (int k = 0; k < n; ++k) ++per_bank[words[k] % 32];
    c.shared_conflicts += *std::max_element(per_bank, per_bank + 32) - 1;
  }
}

// ---------------------------------------------------------------- races

constexpr uint32_t kAtomicThread = 0x8000'0000;

__attribute__((noinline)) void check_race(Warp& w, const Instruction& i, int lane, uint32_t offset,
                                          uint32_t width, bool writes, bool atomic, bool changes) {
  Block& block = *w.block;
  const uint32_t thread =
      static_cast<uint32_t>(w.index * kLanes + lane) | (atomic ? kAtomicThread : 0);
  for (uint32_t word = offset / 4; word <= (offset + width - 1) / 4; ++word) {
    Block::Access& write = block.last_write[word];
    Block::Access& read = block.last_read[word];
    const auto races = [&](const Block::Access& other) {
      if (other.block_epoch != block.epoch) return false;
      if (other.thread == thread && !other.many) return false;
      if (atomic && (other.thread & kAtomicThread) != 0) return false;
      const uint32_t other_warp = (other.thread & ~kAtomicThread) / kLanes;
      return other.many || other_warp != static_cast<uint32_t>(w.index) ||
             other.warp_epoch == w.epoch;
    };
    const bool with_write = races(write) && (!writes || changes);
    const bool with_read = writes && changes && races(read);
    if ((with_write || with_read) && width >= 4 && !is_toolkit_source(w, i)) {
      const Block::Access& other = with_write ? write : read;
      const uint32_t thread_of_other = other.thread & ~kAtomicThread;
      report_finding(
          w, i, lane, "race",
          fmt::format("{}s shared byte {} that {} {} with no barrier in between", verb(writes),
                      offset,
                      other.many ? "several threads" : fmt::format("thread {}", thread_of_other),
                      with_write ? "wrote" : "read"));
    }
    if (writes) {
      write = {block.epoch, w.epoch, thread, false};
    } else if (read.block_epoch == block.epoch && (read.thread != thread)) {
      const bool same_warp = read.thread / kLanes == thread / kLanes;
      if (!same_warp) read.many = true;
      read.thread = thread;
      read.warp_epoch = w.epoch;
    } else {
      read = {block.epoch, w.epoch, thread, read.block_epoch == block.epoch && read.many};
    }
  }
}

// ---------------------------------------------------------------- global memory's shadow

constexpr uint64_t kShadowWritten = 0x2800'0000'0000;   // a byte per byte of the device's range
constexpr uint64_t kShadowAccesses = 0x3000'0000'0000;  // 32 bytes per 4 of them

struct GlobalAccess {
  uint32_t launch = 0;
  uint32_t block = 0;
  uint32_t epochs = 0;  ///< of the block and of the warp
  uint32_t thread = 0;  ///< with kAtomicThread
};
struct GlobalWord {
  GlobalAccess write;
  GlobalAccess read;
};

void map_shadow() {
  static const bool mapped = [] {
    const auto map = [](uint64_t begin, uint64_t bytes) {
      return mmap(reinterpret_cast<void*>(begin), bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
                  0) != MAP_FAILED;
    };
    if (!map(kShadowWritten, kDeviceRange) || !map(kShadowAccesses, 8 * kDeviceRange)) {
      std::fprintf(stderr, "ptx-executor: no room for the shadow of global memory\n");
      std::abort();
    }
    return true;
  }();
  (void)mapped;
}
uint8_t* shadow_written(uint64_t address) {
  return reinterpret_cast<uint8_t*>(kShadowWritten + (address - kDeviceBase));
}
GlobalWord& shadow_word(uint64_t address) {
  return *reinterpret_cast<GlobalWord*>(kShadowAccesses +
                                        (address - kDeviceBase) / 4 * sizeof(GlobalWord));
}

__attribute__((noinline)) void check_global_lane(Warp& w, const Instruction& i, int lane,
                                                 uint64_t address, uint32_t width, bool writes,
                                                 bool strong, bool changes) {
  const Block& block = *w.block;
  if (!writes || strong) {
    const uint64_t first = written::first_unwritten(address, width);
    if (first != address + width && !is_toolkit_source(w, i)) {
      const Allocation* allocation = DeviceMemory::instance().find(address, width);
      report_finding(w, i, lane, "uninitialised",
                     fmt::format("reads byte {} of {} of {} bytes, which nobody has written",
                                 first - allocation->begin, allocation->name, allocation->size));
    }
  }
  if (writes) written::mark(address, width);
  const auto thread = static_cast<uint32_t>(w.index * kLanes + lane) | (strong ? kAtomicThread : 0);
  const uint32_t epochs = block.epoch << 12 | (w.epoch & 0xFFF);
  const auto number = static_cast<uint32_t>(block.number);
  for (uint64_t at = address / 4 * 4; at < address + width; at += 4) {
    GlobalWord& word = shadow_word(at);
    const auto races = [&](const GlobalAccess& other) {
      if (other.launch != current_launch) return false;
      if (strong && (other.thread & kAtomicThread) != 0) return false;
      if (other.block != number) return true;
      if ((other.thread & ~kAtomicThread) == (thread & ~kAtomicThread)) return false;
      if (other.epochs >> 12 != block.epoch) return false;
      return (other.thread & ~kAtomicThread) / kLanes != static_cast<uint32_t>(w.index) ||
             (other.epochs & 0xFFF) == (w.epoch & 0xFFF);
    };
    const bool with_write = races(word.write) && (!writes || changes);
    const bool with_read = writes && changes && races(word.read);
    if ((with_write || with_read) && width >= 4 && !is_toolkit_source(w, i)) {
      const GlobalAccess& other = with_write ? word.write : word.read;
      report_finding(
          w, i, lane, "race",
          fmt::format(
              "{}s global {}, which thread {} of block {} {} in the same launch, and nothing "
              "orders the two",
              verb(writes), DeviceMemory::instance().describe(at), other.thread & ~kAtomicThread,
              other.block, with_write ? "wrote" : "read"));
    }
    (writes ? word.write : word.read) = {current_launch, number, epochs, thread};
  }
}

// ---------------------------------------------------------------- addresses

__attribute__((noinline)) void find_range(Warp& w, const Instruction& i, int lane, uint64_t address,
                                          uint32_t width, bool writes, CachedRange& range) {
  const Allocation* allocation = DeviceMemory::instance().find(address, width);
  if (allocation == nullptr) {
    w.fault(i, lane, kIllegalAddress,
            fmt::format("global {} of {} bytes at {}", verb(writes), width,
                        DeviceMemory::instance().describe(address)));
  }
  range = {allocation->begin, allocation->size};
}

/// Checks the global accesses of the lanes.
template <int kWidth>
inline void check_global(Warp& w, const Instruction& i, Mask m, const Addresses& a, bool writes) {
  CachedRange& range = w.block->worker().ranges[static_cast<size_t>(w.number_of(i))];
  for (Mask bad = a.outside<kWidth>(m, range.begin, range.size); bad != 0; bad &= bad - 1)
    [[unlikely]] {
      const int l = std::countr_zero(bad);
      if ((a.of[l] & (kWidth - 1)) != 0) misaligned(w, i, l, a.of[l], kWidth, "global", writes);
      if (range.size < kWidth || a.of[l] - range.begin > range.size - kWidth)
        find_range(w, i, l, a.of[l], kWidth, writes, range);
    }
  if (Options::get().profile) count_global(w, m, a, kWidth, writes);
}

__attribute__((noinline, cold)) void outside_shared(Warp& w, const Instruction& i, int lane,
                                                    uint64_t offset, uint32_t width, bool writes) {
  if (offset % width != 0 && (width & (width - 1)) == 0)
    misaligned(w, i, lane, offset, width, "shared", writes);
  w.fault(i, lane, kIllegalAddress,
          fmt::format("shared {} of {} bytes at {}, and the block has {} bytes of shared memory",
                      verb(writes), width, static_cast<int64_t>(offset), w.block->shared_bytes));
}

__attribute__((noinline, cold)) void unwritten(Warp& w, const Instruction& i, int lane,
                                               uint32_t offset, uint32_t width) {
  if (is_toolkit_source(w, i)) return;
  uint32_t first = offset;
  while (first < offset + width && w.block->written[first] == w.block->mark) ++first;
  report_finding(w, i, lane, "uninitialised",
                 fmt::format("reads shared byte {}, which the block has not written", first));
}

void after_shared(Warp& w, const Instruction& i, Mask m, const Addresses& offsets, uint32_t width,
                  bool writes, bool atomic, Mask changes) {
  if (Options::get().racecheck) {
    each_lane(m, [&](int l) {
      check_race(w, i, l, static_cast<uint32_t>(offsets.of[l]), width, writes, atomic,
                 ((changes >> l) & 1) != 0);
    });
  }
  if (Options::get().profile) count_shared(w, m, offsets, width);
}

template <int kWidth>
inline void check_shared(Warp& w, const Instruction& i, Mask m, const Addresses& offsets,
                         bool writes) {
  const Mask bad = offsets.outside<kWidth>(m, 0, static_cast<uint64_t>(w.block->shared_bytes));
  if (bad != 0) [[unlikely]]
    outside_shared(w, i, std::countr_zero(bad), offsets.of[std::countr_zero(bad)], kWidth, writes);
}

/// Addresses of the lanes' bytes, for a request that is neither global nor shared.
template <int kWidth>
void find_bytes(Warp& w, const Instruction& i, Space space, Mask m, Addresses& a, bool writes) {
  a.adjacent = a.same = false;
  for (; m != 0; m &= m - 1) {
    const int l = std::countr_zero(m);
    a.of[l] = reinterpret_cast<uint64_t>(lane_bytes(w, i, space, a.of[l], kWidth, l, writes));
  }
}

/// True if all lanes of a generic request mean global memory.
bool all_on_device(Mask m, const Addresses& a) {
  Mask device = 0;
  for (int l = 0; l < kLanes; ++l) device |= DeviceMemory::is_device(a.of[l]) ? Mask{1} << l : 0;
  return (m & ~device) == 0;
}

// ---------------------------------------------------------------- loads

template <int kSize, bool kSigned, class Register, int kCount>
struct Load {
  static constexpr int kWidth = kSize * kCount;

  static Register element(const Chunk<kWidth>& chunk, int k) {
    Word<kSize> word;
    std::memcpy(&word, chunk.bytes + k * kSize, kSize);
    if constexpr (kSigned)
      return static_cast<Register>(static_cast<std::make_signed_t<Register>>(
          static_cast<std::make_signed_t<Word<kSize>>>(word)));
    else
      return static_cast<Register>(word);
  }

  /// Reads what lies at base + a.of[l] into the registers.
  static inline __attribute__((always_inline)) void lanes(Warp& w, const Instruction& i, Mask m,
                                                          const std::byte* base,
                                                          const Addresses& a) {
    Register* d[kCount];
    for (int k = 0; k < kCount; ++k) d[k] = w.cells<Register>(kCount == 1 ? i.d : i.list[k]);
    if (a.adjacent && kCount == 1) {  // of the lanes that do not load too, and drops it
      Word<kSize> words[kLanes];
      std::memcpy(words, base + a.of[0], sizeof words);
      Register values[kLanes];
      for (int l = 0; l < kLanes; ++l) {
        Chunk<kWidth> chunk;
        std::memcpy(chunk.bytes, &words[l], kSize);
        values[l] = element(chunk, 0);
      }
      if (m == kAllLanes) {
        std::memcpy(d[0], values, sizeof values);
      } else {
        for (int l = 0; l < kLanes; ++l) d[0][l] = (m >> l) & 1 ? values[l] : d[0][l];
      }
    } else if (a.same) {
      const Chunk<kWidth> chunk = read_chunk<kWidth>(base + a.of[0]);
      for (int k = 0; k < kCount; ++k) {
        const Register value = element(chunk, k);
        Register* to = d[k];
        for (int l = 0; l < kLanes; ++l) to[l] = (m >> l) & 1 ? value : to[l];
      }
    } else {
      for (; m != 0; m &= m - 1) {
        const int l = std::countr_zero(m);
        const Chunk<kWidth> chunk = read_chunk<kWidth>(base + a.of[l]);
        for (int k = 0; k < kCount; ++k) d[k][l] = element(chunk, k);
      }
    }
  }

  static void global_lanes(Warp& w, const Instruction& i, Mask m, const Addresses& a) {
    check_global<kWidth>(w, i, m, a, false);
    if (Options::get().globalcheck) [[unlikely]] {
      each_lane(m, [&](int l) {
        check_global_lane(w, i, l, a.of[l], kWidth, false, (i.flags & kStrong) != 0, false);
      });
    }
    lanes(w, i, m, reinterpret_cast<const std::byte*>(kBacking), a);
  }
  static void global(Warp& w, const Instruction& i, Mask m) {
    global_lanes(w, i, m, Addresses(w, i, kWidth));
  }
  static void shared(Warp& w, const Instruction& i, Mask m) {
    const Addresses a(w, i, kWidth);
    check_shared<kWidth>(w, i, m, a, false);
    const uint8_t* written = w.block->written;
    const uint8_t mark = w.block->mark;
    Mask unknown = 0;
    if (!a.adjacent || m != kAllLanes ||
        !std::all_of(written + a.of[0], written + a.of[0] + kLanes * kWidth,
                     [&](uint8_t x) { return x == mark; })) {
      for (Mask rest = m; rest != 0; rest &= rest - 1) {
        const int l = std::countr_zero(rest);
        Chunk<kWidth> flags;
        std::memcpy(flags.bytes, written + a.of[l], kWidth);
        for (const uint8_t flag : flags.bytes) unknown |= flag != mark ? Mask{1} << l : 0;
        if (a.same) break;
      }
    }
    if (unknown != 0) [[unlikely]] {
      const int l = std::countr_zero(unknown);
      unwritten(w, i, l, static_cast<uint32_t>(a.of[l]), kWidth);
    }
    lanes(w, i, m, w.block->shared, a);
    after_shared(w, i, m, a, kWidth, false, false, 0);
  }
  template <Space kSpace>
  static void other(Warp& w, const Instruction& i, Mask m) {
    Addresses a(w, i, kWidth);
    if (kSpace == Space::generic && all_on_device(m, a)) return global_lanes(w, i, m, a);
    find_bytes<kWidth>(w, i, kSpace, m, a, false);
    lanes(w, i, m, nullptr, a);
  }
  static void param(Warp& w, const Instruction& i, Mask m) {
    if ((i.flags & kUniform) == 0) return other<Space::param>(w, i, m);
    const auto& parameters = w.block->launch().parameters;
    const auto at = static_cast<uint64_t>(i.value);
    if (at + kWidth > parameters.size()) lane_bytes(w, i, Space::param, at, kWidth, 0, false);
    const Chunk<kWidth> chunk = read_chunk<kWidth>(parameters.data() + at);
    for (int k = 0; k < kCount; ++k) {
      Register* d = w.cells<Register>(kCount == 1 ? i.d : i.list[k]);
      const Register value = element(chunk, k);
      for (int l = 0; l < kLanes; ++l) d[l] = (m >> l) & 1 ? value : d[l];
    }
  }
  static Handler of(Space space) {
    switch (space) {
      case Space::global:
      case Space::constant:
        return global;
      case Space::shared:
        return shared;
      case Space::local:
        return other<Space::local>;
      case Space::param:
        return param;
      default:
        return other<Space::generic>;
    }
  }
};

// ---------------------------------------------------------------- stores

template <int kSize, class Register, int kCount>
struct Store {
  static constexpr int kWidth = kSize * kCount;

  /// Values that the lanes store.
  struct Values {
    const Register* from[kCount];
    Values(const Warp& w, const Instruction& i) {
      for (int k = 0; k < kCount; ++k) from[k] = w.cells<Register>(kCount == 1 ? i.b : i.list[k]);
    }
    Chunk<kWidth> of(int l) const {
      Chunk<kWidth> chunk;
      for (int k = 0; k < kCount; ++k) {
        const auto word = static_cast<Word<kSize>>(from[k][l]);
        std::memcpy(chunk.bytes + k * kSize, &word, kSize);
      }
      return chunk;
    }
  };

  static inline __attribute__((always_inline)) void lanes(Mask m, std::byte* base,
                                                          const Addresses& a,
                                                          const Values& values) {
    if (m == kAllLanes && a.adjacent && kCount == 1) {
      Word<kSize> words[kLanes];
      for (int l = 0; l < kLanes; ++l) words[l] = static_cast<Word<kSize>>(values.from[0][l]);
      std::memcpy(base + a.of[0], words, sizeof words);
      return;
    }
    for (; m != 0; m &= m - 1) {
      const int l = std::countr_zero(m);
      write_chunk<kWidth>(base + a.of[l], values.of(l));
    }
  }

  static void global_lanes(Warp& w, const Instruction& i, Mask m, const Addresses& a) {
    check_global<kWidth>(w, i, m, a, true);
    const Values values(w, i);
    if (Options::get().globalcheck) [[unlikely]] {
      for (Mask rest = m; rest != 0; rest &= rest - 1) {
        const int l = std::countr_zero(rest);
        const Chunk<kWidth> chunk = values.of(l);
        const bool changes = std::memcmp(DeviceMemory::bytes(a.of[l]), chunk.bytes, kWidth) != 0;
        check_global_lane(w, i, l, a.of[l], kWidth, true, false,
                          changes && (i.flags & kStrong) == 0);
      }
    }
    lanes(m, reinterpret_cast<std::byte*>(kBacking), a, values);
  }
  static void global(Warp& w, const Instruction& i, Mask m) {
    global_lanes(w, i, m, Addresses(w, i, kWidth));
  }
  static void shared(Warp& w, const Instruction& i, Mask m) {
    const Addresses a(w, i, kWidth);
    check_shared<kWidth>(w, i, m, a, true);
    const Values values(w, i);
    std::byte* bytes = w.block->shared;
    uint8_t* written = w.block->written;
    const uint8_t mark = w.block->mark;
    Mask changes = kAllLanes;
    if (Options::get().racecheck) {  // who stores what is there already disturbs nobody
      for (Mask rest = m; rest != 0; rest &= rest - 1) {
        const int l = std::countr_zero(rest);
        const Chunk<kWidth> chunk = values.of(l);
        if (written[a.of[l]] == mark && std::memcmp(bytes + a.of[l], chunk.bytes, kWidth) == 0)
          changes &= ~(Mask{1} << l);
        write_chunk<kWidth>(bytes + a.of[l], chunk);
        std::memset(written + a.of[l], mark, kWidth);
      }
    } else {
      lanes(m, bytes, a, values);
      if (m == kAllLanes && a.adjacent) {
        std::memset(written + a.of[0], mark, kLanes * kWidth);
      } else {
        for (Mask rest = m; rest != 0; rest &= rest - 1)
          std::memset(written + a.of[std::countr_zero(rest)], mark, kWidth);
      }
    }
    after_shared(w, i, m, a, kWidth, true, false, changes);
  }
  template <Space kSpace>
  static void other(Warp& w, const Instruction& i, Mask m) {
    Addresses a(w, i, kWidth);
    if (kSpace == Space::generic && all_on_device(m, a)) return global_lanes(w, i, m, a);
    find_bytes<kWidth>(w, i, kSpace, m, a, true);
    lanes(m, nullptr, a, Values(w, i));
  }
  static Handler of(Space space) {
    switch (space) {
      case Space::global:
        return global;
      case Space::shared:
        return shared;
      case Space::local:
      case Space::param:
        return other<Space::local>;
      case Space::generic:
        return other<Space::generic>;
      default:
        return nullptr;
    }
  }
};

template <int kSize, class Register, int kCount>
Handler load_signed(Space space, bool sign_extend) {
  if constexpr (kSize < static_cast<int>(sizeof(Register))) {
    if (sign_extend) return Load<kSize, true, Register, kCount>::of(space);
  }
  return Load<kSize, false, Register, kCount>::of(space);
}
template <int kSize, int kCount>
Handler load_register(Space space, bool sign_extend, int register_bytes) {
  if constexpr (kSize <= 4) {
    if (register_bytes == 4) return load_signed<kSize, uint32_t, kCount>(space, sign_extend);
  }
  return register_bytes == 8 ? load_signed<kSize, uint64_t, kCount>(space, sign_extend) : nullptr;
}
template <int kSize, int kCount>
Handler store_register(Space space, int register_bytes) {
  if (register_bytes == 8) return Store<kSize, uint64_t, kCount>::of(space);
  if constexpr (kSize <= 4) return Store<kSize, uint32_t, kCount>::of(space);
  return nullptr;
}

template <class F>
Handler with_shape(int size, int count, F f) {
  const auto with_count = [&]<int kSize>(std::integral_constant<int, kSize> s) -> Handler {
    if (count == 1) return f(s, std::integral_constant<int, 1>{});
    if (count == 2) return f(s, std::integral_constant<int, 2>{});
    if constexpr (kSize <= 4) {
      if (count == 4) return f(s, std::integral_constant<int, 4>{});
    }
    return nullptr;
  };
  switch (size) {
    case 1:
      return with_count(std::integral_constant<int, 1>{});
    case 2:
      return with_count(std::integral_constant<int, 2>{});
    case 4:
      return with_count(std::integral_constant<int, 4>{});
    case 8:
      return with_count(std::integral_constant<int, 8>{});
    default:
      return nullptr;
  }
}

// ---------------------------------------------------------------- atomics

template <class T>
using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;

template <class Op, class T, Space kSpace, bool kReturns>
void atomic_lanes(Warp& w, const Instruction& i, Mask m) {
  const Addresses a(w, i, sizeof(T));
  const auto& addresses = a.of;
  if constexpr (kSpace == Space::shared) check_shared<sizeof(T)>(w, i, m, a, true);
  const auto* b = w.cells<T>(i.b);
  const auto* c = w.cells<T>(i.c);
  for (Mask rest = m; rest != 0; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    auto* at =
        reinterpret_cast<Bits<T>*>(lane_bytes(w, i, kSpace, addresses[l], sizeof(T), l, true));
    if constexpr (kSpace == Space::shared) {
      const auto offset = static_cast<uint32_t>(addresses[l]);
      if (w.block->written[offset] != w.block->mark) unwritten(w, i, l, offset, sizeof(T));
      std::memset(w.block->written + offset, w.block->mark, sizeof(T));
    }
    if constexpr (kSpace != Space::shared) {
      if (Options::get().globalcheck && DeviceMemory::is_device(addresses[l]))
        check_global_lane(w, i, l, addresses[l], sizeof(T), true, true, true);
    }
    Bits<T> old = __atomic_load_n(at, __ATOMIC_RELAXED);
    Bits<T> made;
    do {
      made = std::bit_cast<Bits<T>>(static_cast<T>(Op{}(std::bit_cast<T>(old), b[l], c[l])));
    } while (
        !__atomic_compare_exchange_n(at, &old, made, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    if constexpr (kReturns) w.cells<T>(i.d)[l] = std::bit_cast<T>(old);
  }
  w.block->worker().counters.atomics += static_cast<uint64_t>(std::popcount(m));
  if constexpr (kSpace == Space::shared)
    after_shared(w, i, m, a, sizeof(T), true, true, kAllLanes);
  else if (Options::get().profile)
    count_global(w, m, a, sizeof(T), true);
}

template <class Op, class T>
Handler atomic_of(Space space, bool returns) {
  if (space == Space::shared)
    return returns ? atomic_lanes<Op, T, Space::shared, true>
                   : atomic_lanes<Op, T, Space::shared, false>;
  if (space == Space::global)
    return returns ? atomic_lanes<Op, T, Space::global, true>
                   : atomic_lanes<Op, T, Space::global, false>;
  return returns ? atomic_lanes<Op, T, Space::generic, true>
                 : atomic_lanes<Op, T, Space::generic, false>;
}
template <class Op>
Handler atomic_number(Space space, Type type, bool returns) {
  switch (type) {
    case Type::u32:
    case Type::b32:
      return atomic_of<Op, uint32_t>(space, returns);
    case Type::s32:
      return atomic_of<Op, int32_t>(space, returns);
    case Type::u64:
    case Type::b64:
      return atomic_of<Op, uint64_t>(space, returns);
    case Type::s64:
      return atomic_of<Op, int64_t>(space, returns);
    default:
      break;
  }
  if constexpr (std::is_invocable_v<Op, float, float, float>) {
    if (type == Type::f32) return atomic_of<Op, float>(space, returns);
    if (type == Type::f64) return atomic_of<Op, double>(space, returns);
  }
  return nullptr;
}

using AtomicChoice = Handler (*)(Space, Type, bool);
/// The value that an atomic operation leaves, of the old one and its operands b and c.
constexpr AtomicChoice numbers(auto op) { return atomic_number<decltype(op)>; }
template <class Op>
struct OnIntegers {
  template <std::integral T>
  T operator()(T old, T b, T c) const {
    return Op{}(old, b, c);
  }
};
constexpr AtomicChoice integers(auto op) { return atomic_number<OnIntegers<decltype(op)>>; }
constexpr std::pair<std::string_view, AtomicChoice> kAtomics[] = {
    {"add", numbers([](auto old, auto b, auto) { return old + b; })},
    {"exch", integers([](auto, auto b, auto) { return b; })},
    {"cas", integers([](auto old, auto b, auto c) { return old == b ? c : old; })},
    {"min", integers([](auto old, auto b, auto) { return std::min(old, b); })},
    {"max", integers([](auto old, auto b, auto) { return std::max(old, b); })},
    {"and", integers([](auto old, auto b, auto) { return old & b; })},
    {"or", integers([](auto old, auto b, auto) { return old | b; })},
    {"xor", integers([](auto old, auto b, auto) { return old ^ b; })},
    {"inc", integers([](auto old, auto b, auto) { return old >= b ? 0 : old + 1; })},
    {"dec", integers([](auto old, auto b, auto) { return old == 0 || old > b ? b : old - 1; })},
};

template <int kBytes>
void copy_async(Warp& w, const Instruction& i, Mask m) {
  const Addresses offsets(w, i, kBytes);
  check_shared<kBytes>(w, i, m, offsets, true);
  const Addresses sources(w.cells<uint64_t>(i.b),
                          static_cast<uint64_t>(int64_t{static_cast<int32_t>(i.e)}), kBytes);
  check_global<kBytes>(w, i, m, sources, false);
  const uint32_t* sizes = i.c != 0 ? w.cells<uint32_t>(i.c) : nullptr;
  for (Mask rest = m; rest != 0; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    const uint32_t bytes = sizes == nullptr ? kBytes : std::min<uint32_t>(sizes[l], kBytes);
    std::byte* to = w.block->shared + offsets.of[l];
    std::memset(to, 0, kBytes);
    std::memcpy(to, DeviceMemory::bytes(sources.of[l]), bytes);
    std::memset(w.block->written + offsets.of[l], w.block->mark, kBytes);
  }
}

}  // namespace

namespace written {

void mark(uint64_t address, uint64_t bytes) {
  map_shadow();
  std::memset(shadow_written(address), 1, bytes);
}
void copy(uint64_t to, uint64_t from, uint64_t bytes) {
  map_shadow();
  std::memmove(shadow_written(to), shadow_written(from), bytes);
}
uint64_t first_unwritten(uint64_t address, uint64_t bytes) {
  map_shadow();
  const auto* flags = shadow_written(address);
  const void* found = std::memchr(flags, 0, bytes);
  return found == nullptr
             ? address + bytes
             : address + static_cast<uint64_t>(static_cast<const uint8_t*>(found) - flags);
}
void next_launch() { ++current_launch; }

}  // namespace written

std::byte* lane_bytes(Warp& w, const Instruction& i, Space space, uint64_t address, uint32_t size,
                      int lane, bool writes) {
  if (space == Space::generic) {
    if (address - kSharedWindow < kWindow) {
      space = Space::shared;
      address -= kSharedWindow;
      if (address + size > static_cast<uint64_t>(w.block->shared_bytes) || address % size != 0)
        outside_shared(w, i, lane, address, size, writes);
      if (writes)
        std::memset(w.block->written + address, w.block->mark, size);
      else if (!std::all_of(w.block->written + address, w.block->written + address + size,
                            [&](uint8_t x) { return x == w.block->mark; })) {
        unwritten(w, i, lane, static_cast<uint32_t>(address), size);
      }
      if (Options::get().racecheck)
        check_race(w, i, lane, static_cast<uint32_t>(address), size, writes, false, true);
    } else if (address - kLocalWindow < kWindow) {
      space = Space::local;
      address -= kLocalWindow;
    } else if (address - kParamWindow < kWindow) {
      space = Space::param;
      address -= kParamWindow;
    } else {
      space = Space::global;
    }
  }
  if (space == Space::shared) return w.block->shared + address;
  if (space == Space::local) {
    const auto room = static_cast<uint64_t>(w.block->kernel().local_bytes);
    if (address % size != 0) misaligned(w, i, lane, address, size, "local", writes);
    if (address + size > room) {
      w.fault(i, lane, kIllegalAddress,
              fmt::format("local {} of {} bytes at {}, and a thread has {}", verb(writes), size,
                          address, room));
    }
    return w.local + static_cast<uint64_t>(lane) * room + address;
  }
  if (space == Space::param) {
    auto& parameters = const_cast<std::vector<std::byte>&>(w.block->launch().parameters);
    if (address + size > parameters.size() || writes) {
      w.fault(
          i, lane, kIllegalAddress,
          fmt::format("parameter {} at {} of {} bytes", verb(writes), address, parameters.size()));
    }
    return parameters.data() + address;
  }
  if (address % size != 0) misaligned(w, i, lane, address, size, "global", writes);
  CachedRange& range = w.block->worker().ranges[static_cast<size_t>(w.number_of(i))];
  if (range.size < size || address - range.begin > range.size - size)
    find_range(w, i, lane, address, size, writes, range);
  return DeviceMemory::bytes(address);
}

Handler load(Space space, int size, int count, bool sign_extend, int register_bytes) {
  return with_shape(size, count,
                    [&]<int kSize, int kCount>(std::integral_constant<int, kSize>,
                                               std::integral_constant<int, kCount>) -> Handler {
                      return load_register<kSize, kCount>(space, sign_extend, register_bytes);
                    });
}

Handler store(Space space, int size, int count, int register_bytes) {
  return with_shape(size, count,
                    [&]<int kSize, int kCount>(std::integral_constant<int, kSize>,
                                               std::integral_constant<int, kCount>) -> Handler {
                      return store_register<kSize, kCount>(space, register_bytes);
                    });
}

Handler atomic(Space space, const Statement& s, Type type, bool returns) {
  if (space == Space::constant || space == Space::param || space == Space::local) return nullptr;
  for (const auto& [name, choose] : kAtomics) {
    if (s.has(name)) return choose(space, type, returns);
  }
  return nullptr;
}

Handler async_copy(int size) {
  return size == 4    ? copy_async<4>
         : size == 8  ? copy_async<8>
         : size == 16 ? copy_async<16>
                      : Handler{nullptr};
}

}  // namespace derrd::ptx
